package vectors

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestBytesAnswerFromFrontsAlone: ranked by bytes, a query reads nothing once fronts are in memory, and fronts are all that is
// kept. Distances are rounded, and few hits are others than those by full numbers.
func TestBytesAnswerFromFrontsAlone(t *testing.T) {
	const n, dim = 3000, 48
	rng := rand.New(rand.NewPCG(93, 94))
	data := clustered(rng, n+40, dim, 40)
	s := newMemoryStore(t, 93)
	tuning := Tuning{YoungRows: 500, FoldRows: 700, Target: 60}
	full := openEngine(t, Options{Store: s, Tuning: tuning})
	metrics := []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct}
	for _, m := range metrics {
		create(t, full, Spec{Name: "docs-" + m.String(), Dimension: dim, Metric: m})
		pushAll(t, full, "docs-"+m.String(), data[:n], func(i int) []byte { return fmt.Appendf(nil, `{"third": %d}`, i%3) })
		must(t, full.Flush(background))
		must(t, full.Delete(background, bucket, "docs-"+m.String(), []string{"k1", "k2", "k3"}))
	}
	lean := openEngine(t, Options{Store: s, Tuning: tuning, Ranking: RankingBytes})
	for _, m := range metrics {
		name := "docs-" + m.String()
		same, wanted := 0.0, 0.0
		for round := range 2 { // the first one reads fronts
			for i, q := range data[n:] {
				r := Request{Values: q, TopK: 10, Probes: 8}
				if i%2 == 1 {
					r.Filter = []byte(`{"third":1}`)
				}
				a, b := query(t, full, name, r), query(t, lean, name, r)
				if round == 0 {
					continue
				}
				if !b.Explain.Rounded || a.Explain.Rounded || b.Explain.BytesRead != 0 {
					t.Fatalf("%v: %+v; by full numbers %+v", m, b.Explain, a.Explain)
				}
				nearlySameDistances(t, m, b.Hits, a.Hits)
				same, wanted = same+share(keysOf(b), keysOf(a)), wanted+1
			}
		}
		if same < 0.97*wanted {
			t.Errorf("%v: %.3f of the hits are those by full numbers", m, same/wanted)
		}
		t.Logf("%v: %.3f of the hits are those by full numbers", m, same/wanted)
		fullWhereAskedFor(t, full, lean, name, data[n])
	}
	lean.cache.mu.Lock()
	defer lean.cache.mu.Unlock()
	for _, it := range lean.cache.mu.blocks {
		if it.block.HasVectors() && it.block.Len() > 0 {
			t.Fatalf("all of block %v is in memory", it.name)
		}
	}
	if len(lean.cache.mu.blocks) == 0 {
		t.Error("nothing is in memory")
	}
}

// nearlySameDistances compares hits that are in both answers.
func nearlySameDistances(t *testing.T, m distance.Metric, rounded, full []Hit) {
	t.Helper()
	if len(rounded) != len(full) {
		t.Fatalf("%v: %d hits, by full numbers %d", m, len(rounded), len(full))
	}
	if !slices.IsSortedFunc(rounded, func(a, b Hit) int { return cmp.Compare(a.Distance, b.Distance) }) {
		t.Errorf("%v: hits are not in the order of their distances: %v", m, rounded)
	}
	for _, h := range rounded {
		at := slices.IndexFunc(full, func(f Hit) bool { return f.Key == h.Key })
		if at < 0 {
			continue
		}
		if off := math.Abs(float64(h.Distance - full[at].Distance)); off > 0.02*max(1, math.Abs(float64(full[at].Distance))) {
			t.Errorf("%v: %s is at %v, by full numbers at %v", m, h.Key, h.Distance, full[at].Distance)
		}
	}
}

// fullWhereAskedFor: whoever asks for full numbers, or for what only they can tell, has them.
func fullWhereAskedFor(t *testing.T, full, lean *Engine, name string, q []float32) {
	t.Helper()
	within := query(t, full, name, Request{Values: q, TopK: 5, Exact: true}).Hits[4].Distance
	for what, r := range map[string]Request{
		"full": {Values: q, TopK: 10, Probes: 1 << 20, Ranking: RankingFull}, "exact": {Values: q, TopK: 10, Exact: true},
		"within": {Values: q, Within: &within}, "values": {Values: q, TopK: 10, Probes: 1 << 20, ReturnValues: true},
	} {
		a, b := query(t, full, name, r), query(t, lean, name, r)
		if b.Explain.Rounded || len(a.Hits) == 0 || !reflect.DeepEqual(a.Hits, b.Hits) {
			t.Errorf("%s of %s: %+v, want %+v", what, name, b.Hits, a.Hits)
		}
	}
	r := Request{Values: q, TopK: 10, Ranking: RankingBytes}
	if a := query(t, full, name, r); !a.Explain.Rounded {
		t.Errorf("bytes were asked for: %+v", a.Explain)
	}
	for _, r := range []Request{
		{Values: q, TopK: 10, Exact: true, Ranking: RankingBytes}, {Values: q, Within: &within, Ranking: RankingBytes}, {Values: q, TopK: 10, Ranking: 9},
	} {
		_, err := full.Query(background, bucket, name, r)
		refused(t, err, "ranking", "")
	}
}
