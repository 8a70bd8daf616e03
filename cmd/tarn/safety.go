package main

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tarnlake/tarn/objects"
)

// safety shows audits and repair among the metrics, as they are when they are asked for.
type safety struct{ store *objects.Store }

var (
	auditBytes   = prometheus.NewDesc("tarn_audit_read_bytes_total", "Bytes that audits read from drives since the start.", nil, nil)
	auditShards  = prometheus.NewDesc("tarn_audit_verified_shards_total", "Shards that audits verified since the start.", nil, nil)
	auditBad     = prometheus.NewDesc("tarn_audit_bad_shards_total", "Shards that audits found missing or wrong since the start.", nil, nil)
	auditOrphans = prometheus.NewDesc("tarn_audit_orphans", "Records of the last or present pass that nobody names.", []string{"drive"}, nil)
	auditAge     = prometheus.NewDesc("tarn_audit_age_seconds", "Time since the longest unread byte of a drive was verified.", []string{"drive"}, nil)
	auditPart    = prometheus.NewDesc("tarn_audit_progress", "Part of a drive that the pass under way has read; 1 where none is.", []string{"drive"}, nil)
	repairQueue  = prometheus.NewDesc("tarn_repair_queued", "Stripes that are known to be damaged.", nil, nil)
	repairBytes  = prometheus.NewDesc("tarn_repair_written_bytes", "Bytes that the repair under way, else the last one, wrote.", nil, nil)
	repairActive = prometheus.NewDesc("tarn_repair_running", "1 while a repair is under way.", nil, nil)
)

func (s safety) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, ch) }

func (s safety) Collect(ch chan<- prometheus.Metric) {
	drives, found, _ := s.store.Audits()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	send(auditBytes, prometheus.CounterValue, float64(found.Bytes))
	send(auditShards, prometheus.CounterValue, float64(found.Shards))
	send(auditBad, prometheus.CounterValue, float64(found.Bad))
	for _, d := range drives {
		number, part := strconv.Itoa(int(d.Drive)), 1.0
		if d.Running && d.BytesTotal > 0 {
			part = min(1, float64(d.Bytes)/float64(d.BytesTotal))
		}
		send(auditOrphans, prometheus.GaugeValue, float64(d.Orphans), number)
		send(auditAge, prometheus.GaugeValue, d.AgeMax.Seconds(), number)
		send(auditPart, prometheus.GaugeValue, part, number)
	}
	repair := s.store.Repairing()
	running := 0.0
	if repair.Running {
		running = 1
	}
	send(repairActive, prometheus.GaugeValue, running)
	send(repairQueue, prometheus.GaugeValue, float64(repair.Queued))
	send(repairBytes, prometheus.GaugeValue, float64(repair.Report.BytesWritten))
}
