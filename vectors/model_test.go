package vectors

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
)

// modelVector is what the model knows of a key. The model is a map, and its
// neighbours come from float64 sums over all of it: it shares nothing with the engine.
type modelVector struct {
	values []float32
	group  int
	words  string
	source objects.VersionID
}

type model map[string]modelVector

func (m model) nearest(metric distance.Metric, q []float32, k, group int) []string {
	type scored struct {
		key string
		d   float64
	}
	var all []scored
	for key, v := range m {
		if group >= 0 && v.group != group {
			continue
		}
		all = append(all, scored{key, naiveDistance(metric, q, v.values)})
	}
	sort.Slice(all, func(a, b int) bool { return all[a].d < all[b].d || all[a].d == all[b].d && all[a].key < all[b].key })
	var keys []string
	for _, s := range all[:min(k, len(all))] {
		keys = append(keys, s.key)
	}
	return keys
}

func naiveDistance(metric distance.Metric, a, b []float32) float64 {
	var dot, aa, bb, l2 float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb, l2 = dot+x*y, aa+x*x, bb+y*y, l2+(x-y)*(x-y)
	}
	switch metric {
	case distance.Cosine:
		return 1 - dot/math.Sqrt(aa*bb)
	case distance.Euclidean:
		return l2
	}
	return -dot
}

// history is one run of random operations.
type history struct {
	t       *rapid.T
	store   *memoryStore
	e       *Engine
	metric  distance.Metric
	model   model
	sources map[string]objects.VersionID // living objects
	next    byte
}

const modelDim = 4

func (h *history) vector() []float32 {
	v := make([]float32, modelDim)
	for i := range v {
		v[i] = float32(rapid.IntRange(-40, 40).Draw(h.t, "x"))
	}
	if slices.Max(v) == 0 && slices.Min(v) == 0 {
		v[0] = 1
	}
	// Two vectors are hardly ever equally far: ties would make the order a matter of taste.
	for i := range v {
		v[i] += float32(rapid.IntRange(0, 1<<16).Draw(h.t, "fraction")) / (1 << 18)
	}
	return v
}

func (h *history) put() {
	n := rapid.IntRange(1, 30).Draw(h.t, "vectors")
	batch := map[string]modelVector{}
	for range n {
		v := modelVector{values: h.vector(), group: rapid.IntRange(0, 3).Draw(h.t, "group"), words: h.words()}
		if names := sortedKeys(h.sources); len(names) > 0 && rapid.IntRange(0, 3).Draw(h.t, "with source") == 0 {
			v.source = h.sources[names[rapid.IntRange(0, len(names)-1).Draw(h.t, "source")]]
		}
		batch[fmt.Sprintf("k%d", rapid.IntRange(0, 150).Draw(h.t, "key"))] = v
	}
	var vectors []Vector
	for _, key := range sortedKeys(batch) {
		v := batch[key]
		out := Vector{Key: key, Values: v.values, Metadata: fmt.Appendf(nil, `{"g": %d, "words": %q}`, v.group, v.words)}
		for name, version := range h.sources {
			if version == v.source {
				out.Source = &Source{Key: name, Version: version}
			}
		}
		vectors = append(vectors, out)
	}
	h.ok(h.e.Put(background, bucket, "docs", vectors))
	for key, v := range batch {
		h.model[key] = v
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (h *history) ok(err error) {
	if err != nil {
		h.t.Helper()
		h.t.Fatal(err)
	}
}

func (h *history) remove() {
	var keys []string
	for range rapid.IntRange(1, 20).Draw(h.t, "deletes") {
		keys = append(keys, fmt.Sprintf("k%d", rapid.IntRange(0, 150).Draw(h.t, "key")))
	}
	h.ok(h.e.Delete(background, bucket, "docs", keys))
	for _, k := range keys {
		delete(h.model, k)
	}
}

func (h *history) object(t testing.TB) {
	if names := sortedKeys(h.sources); len(names) > 2 {
		name := names[rapid.IntRange(0, len(names)-1).Draw(h.t, "object")]
		h.store.dropObject(t, name, h.sources[name])
		for key, v := range h.model {
			if v.source == h.sources[name] {
				delete(h.model, key)
			}
		}
		delete(h.sources, name)
		return
	}
	h.next++
	name := fmt.Sprintf("object-%d", h.next)
	h.sources[name] = objects.VersionID{h.next}
	h.store.putObject(t, name, h.sources[name])
}

func (h *history) reopen() {
	h.ok(h.e.Close())
	e, err := Open(background, Options{Store: h.store, Tuning: small, Rows: h.rows(), CacheBytes: h.cacheBytes()})
	h.ok(err)
	h.e = e
}

// check compares everything that can be asked with the model.
func (h *history) check() {
	q := h.vector()
	group := rapid.IntRange(-1, 3).Draw(h.t, "group")
	r := Request{Values: q, TopK: rapid.IntRange(1, 40).Draw(h.t, "k"), Exact: true}
	if group >= 0 {
		r.Filter = fmt.Appendf(nil, `{"g": %d}`, group)
	}
	a, err := h.e.Query(background, bucket, "docs", r)
	h.ok(err)
	want := h.model.nearest(h.metric, q, r.TopK, group)
	if got := keysOf(a); !h.asNear(q, group, got, want) {
		h.t.Fatalf("exact neighbours of %v in group %d:\n%v, want\n%v", q, group, got, want)
	}
	r.Exact, r.Probes = false, rapid.IntRange(0, 3).Draw(h.t, "probes")
	a, err = h.e.Query(background, bucket, "docs", r)
	h.ok(err)
	if len(a.Hits) != len(want) {
		h.t.Fatalf("probing finds %d of %d", len(a.Hits), len(want))
	}
	for _, hit := range a.Hits {
		if _, alive := h.model[hit.Key]; !alive {
			h.t.Fatalf("probing finds %q, which is dead", hit.Key)
		}
	}
	page, err := h.e.List(background, bucket, "docs", ListRequest{Max: 1000, WithValues: true})
	h.ok(err)
	var listed []string
	for _, v := range page.Vectors {
		listed = append(listed, v.Key)
		if !slices.Equal(v.Values, h.model[v.Key].values) {
			h.t.Fatalf("%s has the values %v, want %v", v.Key, v.Values, h.model[v.Key].values)
		}
	}
	if alive := sortedKeys(h.model); !slices.Equal(listed, alive) {
		h.t.Fatalf("list is\n%v, want\n%v", listed, alive)
	}
}

// asNear reports whether an answer is the wanted one, but for an order that float32 does not tell: then other
// keys of the group, each once, are as near as the wanted ones.
func (h *history) asNear(q []float32, group int, got, want []string) bool {
	seen := map[string]bool{}
	for i, key := range got {
		v, alive := h.model[key]
		if i >= len(want) || !alive || seen[key] || group >= 0 && v.group != group {
			return false
		}
		seen[key] = true
		d, least := naiveDistance(h.metric, q, v.values), naiveDistance(h.metric, q, h.model[want[i]].values)
		size := 1.0
		if h.metric != distance.Cosine {
			for j := range q {
				size += math.Abs(float64(q[j]) * float64(v.values[j]))
			}
		}
		if math.Abs(d-least) > 1e-6*size {
			return false
		}
	}
	return len(got) == len(want)
}

func TestHistoriesAgreeWithBruteForce(t *testing.T) {
	seed := int64(0)
	rapid.Check(t, func(r *rapid.T) {
		seed++
		store := newMemoryStore(t, seed)
		h := &history{t: r, store: store, metric: rapid.SampledFrom([]distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct}).Draw(r, "metric"), model: model{}, sources: map[string]objects.VersionID{}}
		h.reopenFirst()
		defer func() { _ = h.e.Close() }()
		_, err := h.e.CreateIndex(background, bucket, Spec{Name: "docs", Dimension: modelDim, Metric: h.metric})
		h.ok(err)
		for range rapid.IntRange(5, 25).Draw(r, "operations") {
			switch rapid.IntRange(0, 12).Draw(r, "operation") {
			case 0, 1, 2, 3:
				h.put()
			case 4:
				h.remove()
			case 5, 6:
				h.object(t)
			case 7:
				h.ok(h.e.Flush(background))
				if n := store.deadSources(t); n > 0 {
					r.Fatalf("%d dead sources are remembered after a flush", n)
				}
			case 8:
				h.reopen()
			case 9:
				h.store.repair(t)
			case 10:
				h.removeWhere()
			case 11:
				h.changeTexts()
			}
			h.check()
			h.checkMeaning()
		}
	})
}

// rows alternates between the forms of row files, but not within one history.
func (h *history) rows() RowFiles {
	if h.metric == distance.DotProduct {
		return nil // Parquet
	}
	return ownRowFiles{h.store}
}

// cacheBytes is enough, or for fronts only, or for nothing; one of them within a history.
func (h *history) cacheBytes() int64 {
	switch h.metric {
	case distance.Euclidean:
		return 16 << 10
	case distance.DotProduct:
		return 1
	}
	return 0
}

func (h *history) reopenFirst() {
	e, err := Open(background, Options{Store: h.store, Tuning: small, Rows: h.rows(), CacheBytes: h.cacheBytes()})
	h.ok(err)
	h.e = e
}

// TestConcurrentWritersAreNeverMissed: while upkeep and repair run beside writers, each
// writer's own vector is its own nearest neighbour as soon as it was answered.
func TestConcurrentWritersAreNeverMissed(t *testing.T) {
	rounds := 60
	if os.Getenv("TARN_SOAK") != "" {
		rounds = 5000
	}
	s := newMemoryStore(t, 11)
	engines := []*Engine{openEngine(t, Options{Store: s, Tuning: small}), openEngine(t, Options{Store: s, Tuning: small})}
	create(t, engines[0], Spec{Name: "docs", Dimension: 8, Metric: distance.Euclidean, Texts: []string{"round"}})
	written := make(chan struct{}, 1) // a round: everything is moved, but not so often that nobody reads on one processor
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for i := range rounds {
				if !writeAndLook(t, engines, w, i, rng) {
					return
				}
				select {
				case written <- struct{}{}:
				default:
				}
			}
		})
	}
	var repairer sync.WaitGroup
	repairer.Go(func() {
		for range written {
			s.repair(t)
		}
	})
	writers.Wait()
	close(written)
	repairer.Wait()
	for _, e := range engines {
		must(t, e.Flush(background))
	}
}

// writeAndLook overwrites one of the writer's keys through one engine and looks
// for it, and for its past, through another.
// foundByMeaning: what was written in a round, and nothing else, is found by its words, and counted.
func foundByMeaning(t *testing.T, e *Engine, round string, want int) bool {
	a, err := e.Query(context.Background(), bucket, "docs", Request{Texts: []TextQuery{{"round", round}}, TopK: 100})
	if err != nil || len(a.Hits) != want {
		t.Errorf("%s was acknowledged; words find %v, %v", round, keysOf(a), err)
		return false
	}
	n, err := e.Count(context.Background(), bucket, "docs", fmt.Appendf(nil, `{"round":%q}`, round))
	if err != nil || n != uint64(want) {
		t.Errorf("%s was acknowledged; %d are counted, %v", round, n, err)
		return false
	}
	return true
}

func writeAndLook(t *testing.T, engines []*Engine, w, i int, rng *rand.Rand) bool {
	writer, reader := engines[rng.IntN(2)], engines[rng.IntN(2)]
	var batch []Vector
	for j := range 5 {
		batch = append(batch, Vector{Key: fmt.Sprintf("w%d-%d", w, (i*5+j)%40), Values: randomVector(rng, 8), Metadata: fmt.Appendf(nil, `{"round":"r%dw%d"}`, i, w)})
	}
	if err := writer.Put(context.Background(), bucket, "docs", batch); err != nil {
		t.Errorf("put: %v", err)
		return false
	}
	if !foundByMeaning(t, reader, fmt.Sprintf("r%dw%d", i, w), len(batch)) {
		return false
	}
	v := batch[rng.IntN(len(batch))]
	for _, exact := range []bool{true, false} {
		a, err := reader.Query(context.Background(), bucket, "docs", Request{Values: v.Values, TopK: 200, Exact: exact})
		if err != nil {
			t.Errorf("query: %v", err)
			return false
		}
		seen := map[string]int{}
		for _, h := range a.Hits {
			seen[h.Key]++
		}
		if len(a.Hits) == 0 || a.Hits[0].Key != v.Key || a.Hits[0].Distance != 0 || seen[v.Key] != 1 {
			t.Errorf("round %d of writer %d (exact %v): %s was acknowledged; seen %d times, hits %v", i, w, exact, v.Key, seen[v.Key], keysOf(a))
			return false
		}
	}
	if i%7 == 6 {
		if err := writer.Delete(context.Background(), bucket, "docs", []string{v.Key}); err != nil {
			t.Errorf("delete: %v", err)
			return false
		}
		got, err := reader.Get(context.Background(), bucket, "docs", []string{v.Key}, true, false)
		if err != nil || len(got) != 0 {
			t.Errorf("get of a deleted key: %v, %v", got, err)
			return false
		}
	}
	return true
}
