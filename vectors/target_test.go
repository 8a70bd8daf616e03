package vectors

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestProbesFollowWhatIsAsked: queries that are unlike stored vectors find what they should once enough of them were asked, and
// those that are like them then cost no more than they must.
func TestProbesFollowWhatIsAsked(t *testing.T) {
	const n, dim, k = 12_000, 24, 10
	rng := rand.New(rand.NewPCG(95, 96))
	data := clustered(rng, n+200, dim, 150)
	like, data := data[n:], data[:n]
	unlike := make([][]float32, 200) // between two clusters
	for i := range unlike {
		unlike[i] = slices.Clone(data[rng.IntN(n)])
		for j, x := range data[rng.IntN(n)] {
			unlike[i][j] = (unlike[i][j] + x) / 2
		}
	}
	for name, queries := range map[string][][]float32{"like": like, "unlike": unlike} {
		e := openEngine(t, Options{Store: newMemoryStore(t, 95), Tuning: Tuning{YoungRows: 1000, FoldRows: 5000, Target: 100}})
		create(t, e, Spec{Name: "docs", Dimension: dim, Metric: distance.Euclidean})
		pushAll(t, e, "docs", data, nil)
		must(t, e.Flush(background))
		before, err := e.DescribeIndex(background, bucket, "docs")
		must(t, err)
		for i := range askedFirst {
			query(t, e, "docs", Request{Values: queries[i%len(queries)], TopK: k})
		}
		must(t, e.Flush(background))
		after, err := e.DescribeIndex(background, bucket, "docs")
		must(t, err)
		found := 0.0
		for _, q := range queries {
			found += share(keysOf(query(t, e, "docs", Request{Values: q, TopK: k})), bruteForce(distance.Euclidean, data, q, k, nil))
		}
		found /= float64(len(queries))
		if listed := e.InMemory(9); len(listed) != 1 || listed[0].Probes != after.Probes || listed[0].Vectors != n || e.InMemory(0) != nil {
			t.Errorf("in memory are %+v", listed)
		}
		_, m, err := e.current(background, bucket, "docs")
		must(t, err)
		if m.upkeep.filtered < after.Probes && name == "like" {
			t.Errorf("%d probes of queries with a filter, %d of others", m.upkeep.filtered, after.Probes)
		}
		t.Logf("%s: %d probes by stored vectors, %d by what was asked, recall %.4f, measured %.4f", name, before.Probes, after.Probes, found, after.Recall)
		if found < RecallDefault || found < after.Recall-0.02 || found > after.Recall+0.02 {
			t.Errorf("%s: recall@%d is %.4f, measured %.4f", name, k, found, after.Recall)
		}
		if after.Probes == before.Probes || name == "like" && after.Probes > before.Probes {
			t.Errorf("%s: %d probes, %d before anything was asked", name, after.Probes, before.Probes)
		}
	}
}

// TestAnIndexHasATargetOfItsOwn, which may change, and which is kept.
func TestAnIndexHasATargetOfItsOwn(t *testing.T) {
	const n, dim = 6000, 24
	rng := rand.New(rand.NewPCG(97, 98))
	data := clustered(rng, n, dim, 90)
	s := newMemoryStore(t, 97)
	o := Options{Store: s, Tuning: Tuning{YoungRows: 1000, FoldRows: 3000, Target: 60}}
	e := openEngine(t, o)
	create(t, e, Spec{Name: "docs", Dimension: dim, RecallTarget: 0.999})
	if info, err := e.ChangeRecall(background, bucket, "docs", 0.99); err != nil || info.Target() != 0.99 || info.Probes != 0 { // before there is anything in it
		t.Fatalf("%+v, %v", info, err)
	}
	pushAll(t, e, "docs", data, nil)
	must(t, e.Flush(background))
	high, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	if info, err := e.ChangeRecall(background, bucket, "docs", 0.6); err != nil || info.Target() != 0.6 {
		t.Fatalf("%+v, %v", info, err)
	}
	must(t, e.Flush(background))
	low, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	if low.Probes == 0 || low.Probes*2 > high.Probes || low.Recall < 0.6 || high.Recall < 0.99 {
		t.Errorf("%d probes at %v for a recall of 0.6, %d at %v for 0.99", low.Probes, low.Recall, high.Probes, high.Recall)
	}
	again, err := openEngine(t, o).DescribeIndex(background, bucket, "docs")
	must(t, err)
	if again.Target() != 0.6 || again.Probes != low.Probes {
		t.Errorf("opened anew: %+v", again)
	}
	for _, target := range []float64{0, 0.4, 1, -1} {
		_, err := e.ChangeRecall(background, bucket, "docs", target)
		refused(t, err, "recallTarget", "must be 0.5 to 0.999")
	}
	_, err = e.CreateIndex(background, bucket, Spec{Name: "more", Dimension: 2, RecallTarget: 1})
	refused(t, err, "recallTarget", "must be 0.5 to 0.999")
	if _, err := e.ChangeRecall(background, bucket, "none", 0.9); err != ErrNoIndex {
		t.Errorf("no such index: %v", err)
	}
}

// TestEveryQueryIsAsLikelyASample: of many, a sample has some of each tenth, and it is told once that it is due.
func TestEveryQueryIsAsLikelyASample(t *testing.T) {
	var a asked
	due := 0
	for i := range 20_000 {
		if a.note([]float32{float32(i)}) {
			due++
		}
	}
	var tenths [10]int
	for _, s := range a.samples() {
		tenths[int(s.values[0])/2000]++
	}
	if len(a.list) != askedMost || due != 1 || !a.wanted() || slices.Min(tenths[:]) < 4 || slices.Max(tenths[:]) > 26 {
		t.Errorf("%d samples, by tenths %v, due %d times", len(a.list), tenths, due)
	}
	a.chosen(100, 1000)
	if a.wanted() || a.dueAt() != 4*askedFirst {
		t.Errorf("due after %d more", a.dueAt())
	}
	a.chosen(100, 1_000_000)
	if a.dueAt() != 100*1_000_000/askedShare {
		t.Errorf("due after %d more", a.dueAt())
	}
	few := asked{}
	for range askedLeast - 1 {
		few.note([]float32{1})
	}
	if few.samples() != nil {
		t.Error("too few were taken for a sample")
	}
}
