package vectors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// clustered makes n vectors in uneven clusters of several widths, as embeddings
// have them.
func clustered(rng *rand.Rand, n, dim, clusters int) [][]float32 {
	middles := make([][]float32, clusters)
	for i := range middles {
		middles[i] = randomVector(rng, dim)
	}
	out := make([][]float32, n)
	for i := range out {
		c := int(float64(clusters) * rng.Float64() * rng.Float64())
		v := randomVector(rng, dim)
		width := 0.2 + 0.5*float32(c%7)/7
		for j := range v {
			v[j] = middles[c][j] + width*v[j]
		}
		out[i] = v
	}
	return out
}

// bruteForce is the k nearest by float64 sums: it shares nothing with the engine.
func bruteForce(metric distance.Metric, data [][]float32, q []float32, k int, keep func(i int) bool) []string {
	type scored struct {
		i int
		d float64
	}
	var all []scored
	for i, v := range data {
		if keep == nil || keep(i) {
			all = append(all, scored{i, naiveDistance(metric, q, v)})
		}
	}
	sort.Slice(all, func(a, b int) bool { return all[a].d < all[b].d })
	var keys []string
	for _, s := range all[:min(k, len(all))] {
		keys = append(keys, fmt.Sprintf("k%d", s.i))
	}
	return keys
}

func share(got, want []string) float64 {
	n := 0
	for _, k := range got {
		if slices.Contains(want, k) {
			n++
		}
	}
	return float64(n) / float64(max(len(want), 1))
}

func pushAll(t testing.TB, e *Engine, name string, data [][]float32, metadata func(i int) []byte) {
	t.Helper()
	for from := 0; from < len(data); from += BatchMax {
		var batch []Vector
		for i := from; i < min(from+BatchMax, len(data)); i++ {
			v := Vector{Key: fmt.Sprintf("k%d", i), Values: data[i]}
			if metadata != nil {
				v.Metadata = metadata(i)
			}
			batch = append(batch, v)
		}
		must(t, e.Put(background, bucket, name, batch))
	}
}

func TestRecallHoldsOnClusteredData(t *testing.T) {
	const n, dim, k = 20_000, 24, 10
	rng := rand.New(rand.NewPCG(21, 22))
	data := clustered(rng, n+30, dim, 150)
	queries := data[n:]
	data = data[:n]
	s := newMemoryStore(t, 21)
	e := openEngine(t, Options{Store: s, Rows: ownRowFiles{s}, Tuning: Tuning{YoungRows: 2000, FoldRows: 3000, Target: 150}})
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean} {
		name := "index-" + metric.String()
		create(t, e, Spec{Name: name, Dimension: dim, Metric: metric})
		pushAll(t, e, name, data, func(i int) []byte {
			return fmt.Appendf(nil, `{"rare": %v, "tenth": %d, "third": %d}`, i%100 == 0, i%10, i%3)
		})
		must(t, e.Flush(background))
		info, err := e.DescribeIndex(background, bucket, name)
		must(t, err)
		if info.Neighbourhoods < n/600 || info.Vectors != n || info.Probes == 0 || info.Probes == info.Neighbourhoods {
			t.Fatalf("%v: %+v", metric, info)
		}
		t.Logf("%v: %d neighbourhoods, %d segments, %d probes, recall %.3f when calibrated", metric, info.Neighbourhoods, info.Segments, info.Probes, info.Recall)
		filters := []struct {
			text string
			keep func(i int) bool
		}{{"", nil}, {`{"tenth": 3}`, func(i int) bool { return i%10 == 3 }}, {`{"rare": true}`, func(i int) bool { return i%100 == 0 }},
			{`{"tenth": {"$lt": 5}}`, func(i int) bool { return i%10 < 5 }},
			{`{"rare": true, "tenth": 0, "third": 0}`, func(i int) bool { return i%300 == 0 }}}
		for _, f := range filters {
			sum, scanned := 0.0, int64(0)
			for _, q := range queries {
				a := query(t, e, name, Request{Values: q, TopK: k, Filter: []byte(f.text)})
				sum += share(keysOf(a), bruteForce(metric, data, q, k, f.keep))
				scanned += a.Explain.Scanned
			}
			recall := sum / float64(len(queries))
			t.Logf("%v %s: recall@%d %.4f, %d vectors compared a query", metric, f.text, k, recall, scanned/int64(len(queries)))
			if recall < 0.95 {
				t.Errorf("%v %s: recall@%d is %.4f", metric, f.text, k, recall)
			}
		}
		r, err := e.Recall(background, bucket, name, 40, k)
		must(t, err)
		if r.Recall < 0.95 || r.Samples < 35 {
			t.Errorf("%v: measured recall is %+v", metric, r)
		}
	}
}

func TestRecallSurvivesTheReplacementOfEveryVector(t *testing.T) {
	const n, dim, k = 4000, 16, 10
	rng := rand.New(rand.NewPCG(31, 32))
	s := newMemoryStore(t, 31)
	e := openEngine(t, Options{Store: s, Rows: ownRowFiles{s}, Tuning: Tuning{YoungRows: 800, FoldRows: 500, Target: 50}})
	create(t, e, Spec{Name: "docs", Dimension: dim, Metric: distance.Euclidean})
	pushAll(t, e, "docs", clustered(rng, n, dim, 60), nil)
	data := clustered(rng, n, dim, 60) // other middles: the data drifted
	for _, v := range data {
		for j := range v {
			v[j] += 3
		}
	}
	pushAll(t, e, "docs", data, nil)
	must(t, e.Flush(background))
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	largest := 0
	o, m, err := e.current(background, bucket, "docs")
	must(t, err)
	for _, h := range m.homes {
		largest = max(largest, h.rows)
	}
	if info.Vectors != n || info.Superseded > n/2 || largest > 3*o.e.o.Tuning.Target {
		t.Errorf("%d vectors, %d superseded, largest neighbourhood %d", info.Vectors, info.Superseded, largest)
	}
	sum := 0.0
	for range 50 {
		q := slices.Clone(data[rng.IntN(n)])
		q[0] += 0.1
		sum += share(keysOf(query(t, e, "docs", Request{Values: q, TopK: k})), bruteForce(distance.Euclidean, data, q, k, nil))
	}
	if sum/50 < 0.95 {
		t.Errorf("recall@%d is %.4f", k, sum/50)
	}
	t.Logf("%d neighbourhoods, %d segments, %d superseded, %d probes, recall %.4f", info.Neighbourhoods, info.Segments, info.Superseded, info.Probes, sum/50)
}

// A few vectors far from all others keep a centroid for themselves; the others are divided all the same.
func TestNeighbourhoodsDivideBesideAFewFarVectors(t *testing.T) {
	const target = 50
	for seed := range int64(5) {
		rng := rand.New(rand.NewPCG(uint64(seed), 51))
		e := openEngine(t, Options{Store: newMemoryStore(t, seed), Tuning: Tuning{YoungRows: 30, Target: target}})
		create(t, e, Spec{Name: "docs", Dimension: 8, Metric: distance.Euclidean})
		data := make([][]float32, 2*target+target/4)
		for i := range data {
			data[i] = randomVector(rng, 8)
			if i%30 == 29 {
				data[i][0] += 1000
			}
		}
		pushAll(t, e, "docs", data[:target+target/5], nil) // one neighbourhood
		must(t, e.Flush(background))
		pushAll(t, e, "docs", data, nil) // folded into it, which is then divided
		must(t, e.Flush(background))
		_, m, err := e.current(background, bucket, "docs")
		must(t, err)
		for _, h := range m.homes {
			if h.rows > 2*target {
				t.Errorf("seed %d: %d of %d rows are in one neighbourhood", seed, h.rows, m.rows)
			}
		}
	}
}

func TestManyTimesTheSameVector(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 41), Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 3})
	same := make([][]float32, 300)
	for i := range same {
		same[i] = []float32{1, 2, 3}
	}
	pushAll(t, e, "docs", same, nil)
	must(t, e.Flush(background))
	if a := query(t, e, "docs", Request{Values: []float32{1, 2, 3}, TopK: 300}); len(a.Hits) != 300 {
		t.Errorf("%d of 300 hits", len(a.Hits))
	}
}
