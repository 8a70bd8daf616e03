package vectors

import (
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// A query with nothing in memory reads in two rounds, fronts and then full numbers, wherever guests of the cells come from; and its recall is
// that of one with all in memory.
func TestAColdQueryReadsInTwoRounds(t *testing.T) {
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		e, _, queries := guested(t, 437, metric)
		o, _, err := e.current(background, bucket, "docs")
		must(t, err)
		warm, cold := 0.0, 0.0
		for _, q := range queries {
			r := Request{Values: q, TopK: 10, Probes: 8}
			first := keysOf(query(t, e, "docs", r))
			e.cache.evict(o.rec.inc)
			a := query(t, e, "docs", r)
			if a.Explain.Rounds > 2 || a.Explain.BytesRead == 0 {
				t.Fatalf("%v: %d rounds, %d bytes read", metric, a.Explain.Rounds, a.Explain.BytesRead)
			}
			exact := keysOf(query(t, e, "docs", Request{Values: q, TopK: 10, Exact: true})) // and all is in memory again
			warm, cold = warm+share(first, exact), cold+share(keysOf(a), exact)
		}
		if n := float64(len(queries)); cold < warm-n/100 {
			t.Errorf("%v: recall is %.3f cold, %.3f warm", metric, cold/n, warm/n)
		}
	}
}
