package vectors

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/tarnlake/tarn/vectors/distance"
)

// benchData is 63 thousand vectors of 384 numbers on a curved surface of far fewer
// dimensions, as sentence embeddings are, and 500 queries from the same source.
func benchData() (data, queries [][]float32) {
	const n, dim, inner = 63_000, 384, 40
	rng := rand.New(rand.NewPCG(51, 52))
	lift := randomVector(rng, dim*inner)
	for _, z := range clustered(rng, n+500, inner, 600) {
		v := make([]float32, dim)
		for j := range v {
			v[j] = distance.Dot(z, lift[j*inner:(j+1)*inner])
			if v[j] < 0 {
				v[j] *= 0.3
			}
			v[j] += float32(rng.NormFloat64())
		}
		data = append(data, v)
	}
	return data[:n], data[n:]
}

// BenchmarkCorpus loads the whole, and measures push, fold, reopening and queries
// at the default setting, one thread. Run with -benchtime 1x for the loading
// alone to count.
func BenchmarkCorpus(b *testing.B) {
	data, queries, real := corpus(b)
	if !real {
		b.Log("no corpus (make data): synthetic vectors")
		data, queries = benchData()
	}
	s := newMemoryStore(b, 51)
	e := openEngine(b, Options{Store: s})
	create(b, e, Spec{Name: "docs", Dimension: 384})
	began, cpu := time.Now(), cpuTime()
	pushAll(b, e, "docs", data, func(i int) []byte { return fmt.Appendf(nil, `{"section": "s%d"}`, i%50) })
	pushed := time.Since(began)
	must(b, e.Flush(background))
	folded, loading := time.Since(began), cpuTime()-cpu
	must(b, e.Close())
	began = time.Now()
	e = openEngine(b, Options{Store: s})
	query(b, e, "docs", Request{Values: queries[0], TopK: 10})
	first := time.Since(began)
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(b, err)
	b.Logf("pushed %.1f s, folded %.1f s (%.1f s of CPU), first query after reopening %v, %d neighbourhoods in %d segments, %d probes, calibrated %.3f",
		pushed.Seconds(), folded.Seconds(), loading.Seconds(), first, info.Neighbourhoods, info.Segments, info.Probes, info.Recall)
	b.ReportMetric(float64(len(data))/loading.Seconds(), "loaded/cpu-s")
	sum := 0.0
	for _, q := range queries[:100] {
		exact := keysOf(query(b, e, "docs", Request{Values: q, TopK: 10, Exact: true}))
		sum += share(keysOf(query(b, e, "docs", Request{Values: q, TopK: 10})), exact)
	}
	b.Logf("recall@10 %.4f", sum/100)
	for _, probes := range []int{5, 10, 20, 30, 40} {
		sum, scanned := 0.0, int64(0)
		for _, q := range queries[:200] {
			a := query(b, e, "docs", Request{Values: q, TopK: 10, Probes: probes})
			sum += share(keysOf(a), keysOf(query(b, e, "docs", Request{Values: q, TopK: 10, Exact: true})))
			scanned += a.Explain.Scanned
		}
		b.Logf("%d probes: recall@10 %.4f, %d compared", probes, sum/200, scanned/200)
	}
	for _, c := range []struct {
		name string
		r    Request
	}{
		{"auto", Request{TopK: 10}},
		{"top100", Request{TopK: 100, ReturnMetadata: true}},
		{"filter-2%", Request{TopK: 10, Filter: []byte(`{"section": "s7"}`)}},
		{"exact", Request{TopK: 10, Exact: true}},
	} {
		b.Run(c.name, func(b *testing.B) {
			before := cpuTime()
			scanned := int64(0)
			for i := range b.N {
				c.r.Values = queries[i%len(queries)]
				scanned += query(b, e, "docs", c.r).Explain.Scanned
			}
			b.ReportMetric(float64(cpuTime()-before)/1e3/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(scanned)/float64(b.N), "compared/op")
		})
	}
}

// cpuTime is what the process has used: on a machine with other work it tells
// more than the clock does.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
