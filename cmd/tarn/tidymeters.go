package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarnlake/tarn/objects"
)

// tidy shows what packing and reclamation do. tell is asked at every scrape.
func (m *meters) tidy(tell func() objects.Tidiness) {
	for _, g := range []struct {
		name, help string
		of         func(objects.Tidiness) int64
	}{
		{"tarn_small_backlog_blobs", "Small blobs that wait to be packed, as far as is known.", func(t objects.Tidiness) int64 { return int64(t.BacklogBlobs) }},
		{"tarn_small_bytes", "Living blobs in whole copies, at the last look at the index.", func(t objects.Tidiness) int64 { return t.SmallBytes }},
		{"tarn_shared_bytes", "Living blobs in shared stripes, at the last look at the index.", func(t objects.Tidiness) int64 { return t.SharedBytes }},
		{"tarn_sparse_bytes", "Garbage in extents, at the last look at the index.", func(t objects.Tidiness) int64 { return t.SparseBytes }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help},
			func() float64 { return float64(g.of(tell())) }))
	}
	for _, c := range []struct {
		name, help string
		of         func(objects.Tidiness) int64
	}{
		{"tarn_joint_bytes_total", "Small blobs that shared a stripe from the start.", func(t objects.Tidiness) int64 { return t.JointBytes }},
		{"tarn_miscounts_total", "Times that the counts of what is alive were found wrong; ever 0, unless Tarn is.", func(t objects.Tidiness) int64 { return t.Miscounts }},
		{"tarn_packed_bytes_total", "Small blobs that were packed into shared stripes.", func(t objects.Tidiness) int64 { return t.PackedBytes }},
		{"tarn_moved_bytes_total", "Shards that were moved out of sparse extents.", func(t objects.Tidiness) int64 { return t.MovedBytes }},
		{"tarn_given_back_bytes_total", "Extents that were swept.", func(t objects.Tidiness) int64 { return t.GivenBack }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help},
			func() float64 { return float64(c.of(tell())) }))
	}
}
