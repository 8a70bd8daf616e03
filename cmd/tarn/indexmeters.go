package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarnlake/tarn/vectors"
)

// indexMeters are what /_/metrics shows of the vector indexes that are in memory.
type indexMeters struct{ engine *vectors.Engine }

// indexMetersMax bounds the indexes that are shown: each has series of its own.
const indexMetersMax = 1000

var (
	ofIndex       = []string{"bucket", "index"}
	indexVectors  = prometheus.NewDesc("tarn_index_vectors", "Vectors alive, of an index in memory.", ofIndex, nil)
	indexTail     = prometheus.NewDesc("tarn_index_tail_vectors", "Vectors not yet folded into neighbourhoods.", ofIndex, nil)
	indexProbes   = prometheus.NewDesc("tarn_index_probes", "Cells that an automatic query looks into.", ofIndex, nil)
	indexRecall   = prometheus.NewDesc("tarn_index_recall", "Share of the ten nearest that is found, measured when probes were last chosen, by queries asked lately or else by stored vectors.", ofIndex, nil)
	indexTarget   = prometheus.NewDesc("tarn_index_recall_target", "Share of the ten nearest that is to be found.", ofIndex, nil)
	indexesMeters = []*prometheus.Desc{indexVectors, indexTail, indexProbes, indexRecall, indexTarget}
)

// Describe implements prometheus.Collector.
func (indexMeters) Describe(out chan<- *prometheus.Desc) {
	for _, d := range indexesMeters {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m indexMeters) Collect(out chan<- prometheus.Metric) {
	for _, i := range m.engine.InMemory(indexMetersMax) {
		put := func(d *prometheus.Desc, value float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, i.Bucket, i.Name)
		}
		put(indexVectors, float64(i.Vectors))
		put(indexTail, float64(i.TailVectors))
		put(indexTarget, i.Target())
		if i.Probes > 0 {
			put(indexProbes, float64(i.Probes))
			put(indexRecall, i.Recall)
		}
	}
}
