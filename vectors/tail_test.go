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
		if len(v.deltas[id]) != 1 || len(v.deltas) != 1 {
			t.Errorf("%s: rows wait in %v, want %d", when, v.deltas, id)
		}
	}
	expect("with one neighbourhood", v, 1)
	next := v.next(spec, &delta{homes: map[uint32]*home{2: {id: 2, centroid: []float32{9}}}})
	expect("when a nearer one came", next, 2)

	far := next.next(spec, &delta{folded: map[string]bool{"a": true}})
	far.join(spec, &push{key: "b", block: block(1), under: v.centroids}) // prepared before the nearer one came
	expect("when it joins afterwards", far, 2)
}
