package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarnlake/tarn/access/admission"
)

// gateMeters are what /_/metrics shows of admission.
type gateMeters struct{ gate *admission.Gate }

var (
	gateLimit    = prometheus.NewDesc("tarn_admission_limit_units", "Units of work that may be under way at once.", nil, nil)
	gateOpen     = prometheus.NewDesc("tarn_admission_open_requests", "Requests admitted and not yet done.", nil, nil)
	gateWorking  = prometheus.NewDesc("tarn_admission_working_units", "Units of work under way, by class.", []string{"class"}, nil)
	gateWaiting  = prometheus.NewDesc("tarn_admission_waiting_requests", "Requests that wait for room, by class.", []string{"class"}, nil)
	gateAdmitted = prometheus.NewDesc("tarn_admission_admitted_total", "Requests admitted, by class.", []string{"class"}, nil)
	gateRefused  = prometheus.NewDesc("tarn_admission_refused_total", "Requests told to come again, by class.", []string{"class"}, nil)
)

// Describe implements prometheus.Collector.
func (gateMeters) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gateLimit, gateOpen, gateWorking, gateWaiting, gateAdmitted, gateRefused} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g gateMeters) Collect(out chan<- prometheus.Metric) {
	s := g.gate.Status()
	put := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	put(gateLimit, prometheus.GaugeValue, float64(s.Limit))
	put(gateOpen, prometheus.GaugeValue, float64(s.Open))
	for _, c := range s.Classes {
		name := c.Class.String()
		put(gateWorking, prometheus.GaugeValue, float64(c.Working), name)
		put(gateWaiting, prometheus.GaugeValue, float64(c.Waiting), name)
		put(gateAdmitted, prometheus.CounterValue, float64(c.Admitted), name)
		put(gateRefused, prometheus.CounterValue, float64(c.Refused), name)
	}
}
