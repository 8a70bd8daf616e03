package navigate

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/vectors/distance"
)

// clustered centroids gather around groups middle points, the closer the smaller spread.
func clustered(seed uint64, m distance.Metric, n, dim, groups int, spread float32) *Centroids {
	rng := rand.New(rand.NewPCG(seed, 77))
	middles := rowsOf(rng, m, groups, dim)
	rows, ids := make([]float32, 0, n*dim), make([]uint32, n)
	for i := range n {
		ids[i] = uint32(3*i + 5)
		row := slices.Clone(middles[i%groups*dim : (i%groups+1)*dim])
		for j, x := range rowsOf(rng, m, 1, dim) {
			row[j] += spread * x
		}
		if m == distance.Cosine {
			distance.Scale(row, distance.Inverse(row))
		}
		rows = append(rows, row...)
	}
	return New(m, dim, ids, rows)
}

// found is the share of the n nearest centroids that nav finds, by distances in float64
// that share nothing with the package. Equal centroids stand for each other.
func found(c *Centroids, nav Navigator, queries []*distance.Query, n int) float64 {
	hits, total := 0, 0
	for _, q := range queries {
		byID, all := map[uint32]float64{}, []float64{}
		for i, id := range c.IDs() {
			byID[id] = plainDistance(c.metric, q.Vector(), c.Row(i))
			all = append(all, byID[id])
		}
		slices.Sort(all)
		n := min(n, len(all))
		total += n
		for _, id := range nav.First(q, n) {
			if d, ok := byID[id]; ok && d <= all[n-1]+1e-5*(1+math.Abs(all[n-1])) {
				hits++
			}
			delete(byID, id) // counts once
		}
	}
	return float64(hits) / float64(total)
}

func plainDistance(m distance.Metric, a, b []float32) (sum float64) {
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if m == distance.DotProduct {
			sum -= x * y
		} else {
			sum += (x - y) * (x - y)
		}
	}
	return sum
}

func TestChooseNeverReturnsANavigatorBelowTheFloor(t *testing.T) {
	chosen, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(metrics).Draw(t, "metric")
		n := rapid.IntRange(1, 400).Draw(t, "centroids")
		dim := rapid.IntRange(1, 48).Draw(t, "dimension")
		groups := rapid.IntRange(1, 40).Draw(t, "groups")
		spread := rapid.SampledFrom([]float32{0.02, 0.2, 1, 5}).Draw(t, "spread")
		o := Options{Seed: rapid.Uint64().Draw(t, "seed"), Probes: rapid.IntRange(1, 40).Draw(t, "probes"), Above: 1}
		c := clustered(o.Seed, m, n, dim, groups, spread)
		nav, measured := Choose(context.Background(), c, o)
		_, isGraph := nav.(*Graph)
		if isGraph != measured.Graph || measured.Reason == "" {
			t.Fatalf("the report %+v does not fit %T", measured, nav)
		}
		if !isGraph {
			refused++
			if nav != Navigator(c) {
				t.Fatalf("refused, but %T is not the exact scan", nav)
			}
			return
		}
		chosen++
		if got := found(c, nav, heldOutQueries(c, o.Seed), o.Probes); measured.Recall < Floor || got < Floor {
			t.Fatalf("chosen at recall %.4f, said to be %.4f", got, measured.Recall)
		}
		// Other queries may do worse by chance, not by much.
		if got := found(c, nav, heldOutQueries(c, o.Seed+1), o.Probes); got < Floor-0.02 {
			t.Fatalf("recall %.4f on other queries, measured %.4f", got, measured.Recall)
		}
	})
	t.Logf("chosen %d times, refused %d times", chosen, refused)
	if chosen == 0 || refused == 0 {
		t.Fatalf("chosen %d times, refused %d times: the draws show only one side", chosen, refused)
	}
}

func TestFewCentroidsAreScannedExactly(t *testing.T) {
	c := clustered(1, distance.Cosine, graphAbove, 4, 10, 1)
	nav, m := Choose(context.Background(), c, Options{})
	if nav != Navigator(c) || m.Graph || m.Recall != 0 {
		t.Fatalf("%T, %+v", nav, m)
	}
}

func TestTheLibrarysFaultIsNoticed(t *testing.T) {
	c := clustered(11, distance.Euclidean, 10_000, 16, 100, 0.5)
	nav, m := Choose(context.Background(), c, Options{Seed: 11})
	t.Logf("10,000 clustered centroids of 16 dimensions: %s", m.Reason)
	if nav != Navigator(c) || m.Graph {
		t.Fatalf("a graph of recall %.3f was chosen", m.Recall)
	}
	if m.Recall == 0 || m.Recall >= Floor {
		t.Fatalf("recall %.3f is no measurement of the fault: %s", m.Recall, m.Reason)
	}
}

func TestACancelledChoiceIsTheExactScan(t *testing.T) {
	c := clustered(2, distance.Euclidean, 200, 8, 10, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	nav, m := Choose(ctx, c, Options{Above: 1})
	if nav != Navigator(c) || !strings.Contains(m.Reason, context.Canceled.Error()) {
		t.Fatalf("%T, %+v", nav, m)
	}
}

func chosenGraph(t *testing.T) (*Centroids, *Graph) {
	t.Helper()
	c := clustered(3, distance.Euclidean, 60, 8, 6, 1)
	nav, m := Choose(context.Background(), c, Options{Seed: 3, Above: 1})
	g, ok := nav.(*Graph)
	if !ok {
		t.Fatalf("no graph of 60 centroids was chosen: %s", m.Reason)
	}
	return c, g
}

func TestTheChosenNavigatorIsSearchedConcurrently(t *testing.T) {
	c, g := chosenGraph(t)
	queries := heldOutQueries(c, 4)
	want := make([][]uint32, len(queries))
	for i, q := range queries {
		want[i] = g.First(q, 10)
	}
	var tasks sync.WaitGroup
	for range 8 {
		tasks.Go(func() {
			for i, q := range queries {
				if got := g.First(q, 10); !slices.Equal(got, want[i]) {
					t.Errorf("query %d: %v, alone it was %v", i, got, want[i])
				}
			}
		})
	}
	tasks.Wait()
}
