package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
)

// driveMeters show the drives as they are when somebody looks.
type driveMeters struct {
	store *objects.Store
	clock host.Clock
}

var (
	driveState = prometheus.NewDesc("tarn_drive_state", "1 for the state that a drive is in, 0 for the others.", []string{"drive", "state"}, nil)
	driveSince = prometheus.NewDesc("tarn_drive_state_seconds", "Time for which a drive is in its state.", []string{"drive"}, nil)
	driveUsed  = prometheus.NewDesc("tarn_drive_used_bytes", "Bytes in a drive's extents.", []string{"drive"}, nil)
	driveFree  = prometheus.NewDesc("tarn_drive_free_bytes", "Free bytes of a drive's device.", []string{"drive"}, nil)
	driveTotal = prometheus.NewDesc("tarn_drive_total_bytes", "Size of a drive's device in bytes.", []string{"drive"}, nil)
	driveLeft  = prometheus.NewDesc("tarn_drive_drain_left_bytes", "Bytes that are left on a drive that is drained.", []string{"drive"}, nil)
	writable   = prometheus.NewDesc("tarn_store_writable", "1 while writes are taken.", nil, nil)
	domains    = prometheus.NewDesc("tarn_failure_domains", "Devices with a drive that takes shards.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m driveMeters) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{driveState, driveSince, driveUsed, driveFree, driveTotal, driveLeft, writable, domains} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m driveMeters) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	now := m.clock.Now()
	for _, d := range m.store.Drives() {
		if d.Number == 0 || d.State == objects.DriveRetired {
			continue
		}
		drive := strconv.Itoa(int(d.Number))
		for i, name := range objects.DriveStates {
			is := 0.0
			if i == int(d.State) {
				is = 1
			}
			gauge(driveState, is, drive, name)
		}
		gauge(driveSince, now.Sub(d.Since).Seconds(), drive)
		gauge(driveUsed, float64(d.BytesUsed), drive)
		gauge(driveFree, float64(d.BytesFree), drive)
		gauge(driveTotal, float64(d.BytesTotal), drive)
		if d.Draining {
			gauge(driveLeft, float64(d.Drain.Bytes), drive)
		}
	}
	health := m.store.Health()
	is := 0.0
	if health.Writable {
		is = 1
	}
	gauge(writable, is)
	gauge(domains, float64(health.Devices))
}
