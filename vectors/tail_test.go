package vectors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/segment"
)

// A row of the tail waits in the neighbourhood that is nearest now, not in that which was when it was pushed:
// where a query looks first.
func TestFreshRowsFollowTheNearestNeighbourhood(t *testing.T) {
	spec := &Spec{Dimension: 1, Metric: distance.Euclidean}
	block := func(neighbourhood uint32) *segment.Block {
		frame, err := segment.EncodeBlock([]segment.Row{{ID: 1, Key: "k", Vector: []float32{10}, Neighbourhood: neighbourhood}}, 1)
		must(t, err)
		b, err := segment.OpenBlock(frame)
		must(t, err)
		return b
	}
	v := emptyView().next(spec, &delta{homes: map[uint32]*home{1: {id: 1, centroid: []float32{0}}}})
	v.join(spec, &push{key: "a", block: block(1), under: v.centroids})
	expect := func(when string, v *view, id uint32) {
		t.Helper()
		if len(v.loose) == 0 && (len(v.deltas[id]) != 1 || len(v.deltas) != 1) || len(v.loose)+len(v.deltas) != 1 {
			t.Errorf("%s: rows wait in %v and are loose %v, want %d", when, v.deltas, v.loose, id)
		}
	}
	expect("with one neighbourhood", v, 1)
	next := v.next(spec, &delta{homes: map[uint32]*home{2: {id: 2, centroid: []float32{9}}}})
	expect("when a nearer one came", next, 2)

	far := next.next(spec, &delta{folded: map[string]bool{"a": true}})
	far.join(spec, &push{key: "b", block: block(1), under: v.centroids}) // prepared before the nearer one came
	expect("when it joins afterwards", far, 2)
}

// The step that moves neighbourhoods says where fresh rows wait; what it did not see is loose, and so is all where
// what it said is of another step. Every row of the tail is in one place, whatever was said.
func TestFreshRowsWaitWhereTheStepFoundOrAreLoose(t *testing.T) {
	spec := &Spec{Dimension: 1, Metric: distance.Euclidean}
	pushed := func(v *view, key string) *push {
		frame, err := segment.EncodeBlock([]segment.Row{{ID: 1, Key: key, Vector: []float32{10}, Neighbourhood: 1}}, 1)
		must(t, err)
		b, err := segment.OpenBlock(frame)
		must(t, err)
		p := &push{key: key, block: b, under: v.centroids}
		v.join(spec, p)
		return p
	}
	v := emptyView().next(spec, &delta{homes: map[uint32]*home{1: {id: 1, centroid: []float32{0}}}})
	seen, unseen, folded := pushed(v, "seen"), pushed(v, "unseen"), pushed(v, "folded")
	own, foreign := &segmentFile{seq: 7}, &segmentFile{seq: 7}
	for name, written := range map[string]*segmentFile{"its own entry": own, "another's entry": foreign} {
		next := v.next(spec, &delta{
			homes: map[uint32]*home{2: {id: 2, centroid: []float32{9}}}, segments: map[uint64]*segmentFile{7: written}, folded: map[string]bool{folded.key: true},
			places: &tailPlaces{file: own, of: map[*push][]uint32{seen: {2}}},
		})
		waits, loose := next.deltas[2], next.loose
		if written == own && (len(waits) != 1 || waits[0].push != seen || len(loose) != 1 || loose[0].push != unseen) {
			t.Errorf("%s: %v wait and %v are loose, want the one that was seen and the other", name, waits, loose)
		}
		if written == foreign && (len(next.deltas) != 0 || len(loose) != 2) {
			t.Errorf("%s: %v wait and %v are loose, want both loose", name, next.deltas, loose)
		}
	}
}

// Rows of the tail whose neighbourhood is not known are found by queries of every kind, however few places they look into.
func TestLooseRowsAreFoundByEveryQuery(t *testing.T) {
	const dim, fresh = 16, 40
	for _, cacheBytes := range []int64{0, 1} { // 1: no block stays in memory
		rng := rand.New(rand.NewPCG(71, 0))
		e := openEngine(t, Options{Store: newMemoryStore(t, 71), CacheBytes: cacheBytes, Tuning: Tuning{YoungRows: 200, Target: 32}})
		create(t, e, Spec{Name: "docs", Dimension: dim, Metric: distance.Euclidean, Texts: []string{"text"}})
		push := func(prefix string, n int) (list []Vector) {
			for i := range n {
				list = append(list, Vector{Key: fmt.Sprintf("%s-%d", prefix, i), Values: randomVector(rng, dim), Metadata: fmt.Appendf(nil, `{"kind":%q,"n":%d,"text":"%s%d"}`, prefix, i, prefix, i)})
			}
			must(t, e.Put(background, bucket, "docs", list))
			return list
		}
		for range 4 {
			push(fmt.Sprint("old", rng.Uint32()), 500)
		}
		must(t, e.Flush(background))
		rows := push("new", fresh)
		loosen(t, e, fresh)
		for i, v := range rows {
			zero := float32(0.001)
			for name, r := range map[string]Request{
				"probing":                    {Probes: 1, TopK: 1},
				"as calibrated":              {TopK: 10},
				"with a page of many":        {Probes: 1, TopK: 1000},
				"exactly":                    {Exact: true, TopK: 1},
				"within a distance":          {Within: &zero, TopK: 5},
				"within it, filtered":        {Within: &zero, TopK: 5, Filter: []byte(`{"kind":"new"}`)},
				"filtered, all matches":      {Probes: 1, TopK: 1, Filter: fmt.Appendf(nil, `{"kind":"new","n":%d}`, i)},
				"filtered, the nearest ones": {Probes: 1, TopK: 1, Filter: []byte(`{"n":{"$lt":1000}}`)},
				"filtered, exactly":          {Exact: true, TopK: 1, Filter: []byte(`{"kind":"new"}`)},
			} {
				r.Values = v.Values
				if got := keysOf(query(t, e, "docs", r)); len(got) == 0 || got[0] != v.Key {
					t.Errorf("%s (%s), cache of %d: %.40v", v.Key, name, cacheBytes, got)
				}
			}
			twin := Vector{Key: "twin", Values: v.Values}
			must(t, e.Put(background, bucket, "docs", []Vector{twin}))
			if got := keysOf(query(t, e, "docs", Request{LikeKey: "twin", Probes: 1, TopK: 1})); !slices.Equal(got, []string{v.Key}) {
				t.Errorf("like %s: %v", v.Key, got)
			}
			must(t, e.Delete(background, bucket, "docs", []string{"twin"}))
			word := []TextQuery{{Field: "text", Text: fmt.Sprint("new", i)}}
			if got := keysOf(query(t, e, "docs", Request{Texts: word, TopK: 1})); !slices.Equal(got, []string{v.Key}) {
				t.Errorf("%s by its word: %v", v.Key, got)
			}
		}
		if n, err := e.Count(background, bucket, "docs", []byte(`{"kind":"new"}`)); err != nil || n != fresh {
			t.Errorf("%d loose rows are counted, %v", n, err)
		}
		if n := len(rowsOfView(t, e).loose); n < fresh {
			t.Errorf("only %d are loose at the end", n)
		}
	}
}

func rowsOfView(t *testing.T, e *Engine) *view {
	t.Helper()
	o, _, err := e.current(background, bucket, "docs")
	must(t, err)
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.mu.view
}

// loosen makes all rows of the tail loose, as after a step that did not see them.
func loosen(t *testing.T, e *Engine, want int) {
	t.Helper()
	o, _, err := e.current(background, bucket, "docs")
	must(t, err)
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.mu.view
	for id, refs := range v.deltas {
		v.loose = append(v.loose, refs...)
		delete(v.deltas, id)
	}
	if len(v.loose) != want || v.centroids == nil {
		t.Fatalf("%d rows are loose, want %d", len(v.loose), want)
	}
}
