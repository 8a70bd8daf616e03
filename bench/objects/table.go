package main

import (
	"fmt"
	"strings"
	"time"
)

// ratio is the median over the rounds of what a target did to what another did.
func (r *rounds) ratio(job, target, to string) string {
	a, b := r.seen[job][target], r.seen[job][to]
	var of []float64
	for i := range min(len(a), len(b)) {
		of = append(of, a[i].perSecond/b[i].perSecond)
	}
	if len(of) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", middle(of))
}

// table is the outcome in Markdown.
func (r *rounds) table() string {
	var b strings.Builder
	b.WriteString("| | of bare HTTP | of the raw disk | Tarn | median | p99 | server's CPU | client's CPU | bare HTTP | its CPU | raw disk |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, job := range jobNames {
		if len(r.seen[job]) > 0 {
			b.WriteString(r.row(job))
		}
	}
	return b.String()
}

func (r *rounds) row(job string) string {
	tarn, bare, disk := median(r.seen[job]["tarn"]), median(r.seen[job]["bare"]), median(r.seen[job]["disk"])
	cells := []string{
		job, r.ratio(job, "tarn", "bare"), r.ratio(job, "tarn", "disk"),
		rate(job, tarn), milliseconds(tarn.p50), milliseconds(tarn.p99), microseconds(tarn.cpu), microseconds(tarn.clientCPU),
		rate(job, bare), microseconds(bare.cpu), rate(job, disk),
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func rate(job string, m measure) string {
	switch {
	case m.perSecond == 0:
		return ""
	case job == putLarge4 || job == getFirst4 || job == getLarge4:
		return fmt.Sprintf("%.0f MB/s", m.perSecond*large/1e6)
	case job == list:
		return fmt.Sprintf("%.0f keys/s", m.perSecond)
	}
	return fmt.Sprintf("%.0f/s", m.perSecond)
}

func milliseconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}

func microseconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f µs", float64(d)/1e3)
}
