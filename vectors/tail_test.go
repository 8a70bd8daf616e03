package vectors

import (
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
