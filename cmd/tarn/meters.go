package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tarnlake/tarn/objects/drive"
)

// meters are what /_/metrics shows.
type meters struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	driveDown prometheus.Counter
	shardBad  prometheus.Counter
	written   *prometheus.CounterVec
	records   *prometheus.CounterVec
	syncs     *prometheus.CounterVec
}

func newMeters() *meters {
	m := &meters{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tarn_requests_total", Help: "Answered requests by door, operation and status."}, []string{"door", "operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tarn_request_seconds", Help: "Time to answer by door and operation.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 18)}, []string{"door", "operation"}),
		driveDown: prometheus.NewCounter(prometheus.CounterOpts{Name: "tarn_drive_down_total", Help: "Times that a drive was declared down."}),
		shardBad:  prometheus.NewCounter(prometheus.CounterOpts{Name: "tarn_shard_bad_total", Help: "Shards that a read found missing or wrong."}),
	}
	class := []string{"class"}
	m.written = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tarn_drive_written_bytes_total", Help: "Bytes written to extents by class, and to make them ready (zeros)."}, class)
	m.records = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tarn_drive_written_records_total", Help: "Records written to extents by class."}, class)
	m.syncs = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tarn_drive_syncs_total", Help: "Syncs of extents by class, each of all records that waited."}, class)
	m.registry.MustRegister(m.requests, m.seconds, m.driveDown, m.shardBad, m.written, m.records, m.syncs,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *meters) served(door, operation, status string, took time.Duration) {
	if operation == "" {
		operation = "unknown"
	}
	m.requests.WithLabelValues(door, operation, status).Inc()
	m.seconds.WithLabelValues(door, operation).Observe(took.Seconds())
}

func (m *meters) servedHTTP(door, operation string, status int, took time.Duration) {
	m.served(door, operation, strconv.Itoa(status), took)
}

// committed counts what one sync of a drive covered.
func (m *meters) committed(class drive.Class, records int, bytes int64) {
	of := class.String()
	m.written.WithLabelValues(of).Add(float64(bytes))
	m.records.WithLabelValues(of).Add(float64(records))
	m.syncs.WithLabelValues(of).Inc()
}

func (m *meters) zeroed(bytes int64) { m.written.WithLabelValues("zeros").Add(float64(bytes)) }

func (m *meters) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
