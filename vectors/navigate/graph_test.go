package navigate

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/coder/hnsw"

	"github.com/tarnlake/tarn/vectors/distance"
)

func TestAPanicOfTheLibraryIsARefusal(t *testing.T) {
	c, g := chosenGraph(t)
	g.graph.Distance = func(_, _ []float32) float32 { panic("as the library does") }
	q := heldOutQueries(c, 5)[0]
	for range 2 {
		if got, want := g.First(q, 10), c.First(q, 10); !slices.Equal(got, want) {
			t.Fatalf("%v, the exact scan says %v", got, want)
		}
		if !g.broken.Load() {
			t.Fatal("the graph is still asked")
		}
	}
	if _, _, err := g.measure(context.Background(), heldOutQueries(c, 5), 10); !errors.Is(err, errBroken) {
		t.Fatalf("a measurement of a broken graph: %v", err)
	}
}

func TestAPanicWhileBuildingIsARefusal(t *testing.T) {
	tooShort := &Centroids{ids: make([]uint32, 60), dim: 8, rows: make([]float32, 9)}
	g, err := newGraph(context.Background(), tooShort, 1)
	if g != nil || !errors.Is(err, errBroken) {
		t.Fatalf("%v, %v", g, err)
	}
}

func TestMoreThanWasMeasuredIsScannedExactly(t *testing.T) {
	c, g := chosenGraph(t)
	g.graph = nil // to ask it would panic
	q := heldOutQueries(c, 7)[0]
	if got, want := g.First(q, g.trusted+1), c.First(q, g.trusted+1); !slices.Equal(got, want) || g.broken.Load() {
		t.Fatalf("%v, the exact scan says %v", got, want)
	}
}

func TestTheTopmostLevelHasOneRow(t *testing.T) {
	for _, n := range []int{1, 2, 9, 300, 2_000} {
		g, err := newGraph(context.Background(), clustered(8, distance.Cosine, n, 4, 5, 1), 8)
		if err != nil {
			t.Fatal(err)
		}
		sizes := (&hnsw.Analyzer[int32]{Graph: g.graph}).Topography()
		if sizes[0] != n || sizes[len(sizes)-1] != 1 || n >= 300 && len(sizes) < 4 {
			t.Errorf("%d rows: levels of %v rows", n, sizes)
		}
	}
}

func TestNumbersThatAreNoneDoNotHang(t *testing.T) {
	c := New(distance.Cosine, 3, []uint32{1, 2, 3, 4}, make([]float32, 12)) // zero rows, all equal
	nav, m := Choose(context.Background(), c, Options{Above: 1})
	if got := nav.First(distance.NewQuery(distance.Cosine, []float32{1, 0, 0}), 9); len(got) != 4 {
		t.Fatalf("%v of four centroids (%s)", got, m.Reason)
	}
	if got := nav.First(distance.NewQuery(distance.Cosine, []float32{1, 0, 0}), 0); len(got) != 0 {
		t.Fatalf("%v were not asked for", got)
	}
}
