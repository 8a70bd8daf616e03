package navigate

import (
	"context"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

var metrics = []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct}

func rowsOf(rng *rand.Rand, m distance.Metric, n, dim int) []float32 {
	rows := make([]float32, n*dim)
	for i := range rows {
		rows[i] = float32(rng.NormFloat64())
	}
	for i := range n {
		if row := rows[i*dim : (i+1)*dim]; m == distance.Cosine {
			distance.Scale(row, distance.Inverse(row))
		}
	}
	return rows
}

func TestOrderIsThatOfASort(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, m := range metrics {
		const n, dim = 137, 11
		rows := rowsOf(rng, m, n, dim)
		ids := make([]uint32, n)
		for i := range ids {
			ids[i] = uint32(1000 + i)
		}
		c := New(m, dim, ids, rows)
		q := distance.NewQuery(m, rowsOf(rng, m, 1, dim))
		want := append([]uint32(nil), ids...)
		score := func(id uint32) float64 {
			var dot, l2 float64
			for j, x := range rows[(id-1000)*dim : (id-999)*dim] {
				dot += float64(x) * float64(q.Vector()[j])
				l2 += (float64(x) - float64(q.Vector()[j])) * (float64(x) - float64(q.Vector()[j]))
			}
			if m == distance.DotProduct {
				return -dot
			}
			return l2
		}
		sort.Slice(want, func(a, b int) bool { return score(want[a]) < score(want[b]) })
		order := c.Order(q)
		for i, w := range want {
			if id, ok := order.Next(); !ok || id != w {
				t.Fatalf("%v: place %d is %d, want %d", m, i, id, w)
			}
		}
		if _, ok := order.Next(); ok {
			t.Fatalf("%v: more centroids than there are", m)
		}
	}
}

func TestEveryCentroidIsItsOwnNearest(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, m := range metrics {
		rows := rowsOf(rng, m, 50, 16)
		ids := make([]uint32, 50)
		for i := range ids {
			ids[i] = uint32(i)
		}
		c := New(m, 16, ids, rows)
		for i := range ids {
			if got := c.Nearest(c.Row(i), nil); got != uint32(i) {
				t.Errorf("%v: centroid %d is nearest to %d", m, i, got)
			}
		}
	}
}

func TestClustersFollowTheDataAndStayEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	const blobs, each, dim = 20, 150, 24
	for _, m := range metrics {
		middles := rowsOf(rng, m, blobs, dim)
		rows := make([]float32, 0, blobs*each*dim)
		for i := range blobs * each {
			row := append([]float32(nil), middles[i%blobs*dim:(i%blobs+1)*dim]...)
			for j := range row {
				row[j] += float32(rng.NormFloat64()) * 0.02
			}
			rows = append(rows, row...)
		}
		got, err := Cluster(context.Background(), m, rows, dim, blobs, rng)
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]uint32, blobs)
		for i := range ids {
			ids[i] = uint32(i)
		}
		c := New(m, dim, ids, got)
		sizes := map[uint32]int{}
		for i := range blobs * each {
			sizes[c.Nearest(rows[i*dim:(i+1)*dim], nil)]++
		}
		largest := 0
		for _, s := range sizes {
			largest = max(largest, s)
		}
		if largest > 4*each {
			t.Errorf("%v: largest cluster has %d rows, the mean is %d", m, largest, each)
		}
	}
}

func TestClusterTakesFewerRowsThanCentroids(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	got, err := Cluster(context.Background(), distance.Euclidean, []float32{1, 2, 3, 4}, 2, 9, rng)
	if err != nil || len(got) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	same := make([]float32, 100*3) // all rows alike, and zero
	if _, err := Cluster(context.Background(), distance.Cosine, same, 3, 5, rng); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Cluster(ctx, distance.Cosine, same, 3, 5, rng); err == nil {
		t.Fatal("a cancelled clustering went on")
	}
}
