package navigate

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// someAtlas is neighbourhoods of which every fifth has no cells, with all places as points, not rotated.
func someAtlas(rng *rand.Rand, m distance.Metric, homes, each, dim int) (*Atlas, map[[2]int][]float32) {
	centroids := rowsOf(rng, m, homes, dim)
	ids, cells, points := make([]uint32, homes), make([]*quantize.Cells, homes), map[[2]int][]float32{}
	for h := range homes {
		ids[h] = uint32(h + 1)
		centroid := centroids[h*dim : (h+1)*dim]
		if h%5 == 0 {
			points[[2]int{h, NoCell}] = centroid
			continue
		}
		var turned []float32
		for c := range each {
			p := slices.Clone(centroid)
			for j := range p {
				p[j] += 0.3 * float32(rng.NormFloat64()) * distance.Norm(centroid) / float32(dim)
			}
			if m == distance.Cosine {
				distance.Scale(p, distance.Inverse(p))
			}
			points[[2]int{h, c}] = p
			turned = append(turned, quantize.RotationOf(dim).Turned(p)...)
		}
		cells[h] = quantize.NewCells(m, centroid, turned)
	}
	return NewAtlas(New(m, dim, ids, centroids), cells), points
}

// nearSome is a vector near one of the places.
func nearSome(rng *rand.Rand, m distance.Metric, points map[[2]int][]float32, dim int) []float32 {
	at := [2]int{rng.IntN(60), rng.IntN(40)}
	if at[0]%5 == 0 {
		at[1] = NoCell
	}
	v := slices.Clone(points[at])
	for j := range v {
		v[j] += 0.3 * float32(rng.NormFloat64()) * distance.Norm(points[at]) / float32(dim)
	}
	if m == distance.Cosine {
		distance.Scale(v, distance.Inverse(v))
	}
	return v
}

func trueScore(m distance.Metric, q, p []float32) float32 {
	switch m {
	case distance.Euclidean:
		return distance.L2(q, p)
	case distance.Cosine:
		return distance.L2(q, p) / 2
	}
	return -distance.Dot(q, p)
}

// TestNearestPlacesAreFound: of the nearest places nearly all are found, the first ones in order, and with all
// wanted each place is found once.
func TestNearestPlacesAreFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	const homes, each, dim = 60, 40, 48
	for _, m := range metrics {
		a, points := someAtlas(rng, m, homes, each, dim)
		if a.Places() != len(points) {
			t.Fatalf("%d places, want %d", a.Places(), len(points))
		}
		var s Search
		var q quantize.Query
		for _, n := range []int{1, 10, 100, a.Places()} {
			hits, tried := 0, 0
			for range 30 {
				v := nearSome(rng, m, points, dim)
				q.Reset(m, v)
				var scores []float32
				for _, p := range points {
					scores = append(scores, trueScore(m, v, p))
				}
				slices.Sort(scores)
				found := s.Nearest(a, &q, n)
				if len(found) > n || n == a.Places() && len(found) != n {
					t.Fatalf("%v: %d places for %d", m, len(found), n)
				}
				seen := map[[2]int]bool{}
				for i, p := range found {
					at := [2]int{p.Home(), p.Cell()}
					want := trueScore(m, v, points[at])
					if seen[at] || points[at] == nil || max(want-p.Score(), p.Score()-want) > 0.02*distance.Norm(v)*3 {
						t.Fatalf("%v: place %v, seen %v, scores %v, want %v", m, at, seen[at], p.Score(), want)
					}
					seen[at] = true
					if i > 0 && i < inOrder && p.Score() < found[i-1].Score() {
						t.Fatalf("%v: place %d is nearer than the one before", m, i)
					}
					if want <= scores[n-1] {
						hits++
					}
				}
				tried += n
			}
			if hits*100 < tried*85 {
				t.Errorf("%v: of the %d nearest places %d of %d were found", m, n, hits, tried)
			}
		}
	}
}

// TestVectorsGatherAtTheNearestPlace: as good as always, and a query for the vector itself finds that place first.
func TestVectorsGatherAtTheNearestPlace(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	const homes, each, dim, n = 60, 40, 48, 200
	for _, m := range metrics {
		a, points := someAtlas(rng, m, homes, each, dim)
		var s Search
		var q quantize.Query
		right, first := 0, 0
		for range n {
			v := nearSome(rng, m, points, dim)
			q.Reset(m, v)
			got := s.Gather(a, &q)
			best := distance.L2(v, points[[2]int{got.Home(), got.Cell()}])
			least := best
			for _, p := range points {
				least = min(least, distance.L2(v, p))
			}
			if best <= least*1.001 {
				right++
			}
			if p := s.Nearest(a, &q, 4)[0]; p.Home() == got.Home() && p.Cell() == got.Cell() {
				first++
			}
		}
		if right*100 < n*85 {
			t.Errorf("%v: %d of %d vectors gather at the nearest place", m, right, n)
		}
		if m != distance.DotProduct && first*100 < n*99 {
			t.Errorf("%v: a query comes first to %d of %d vectors' places", m, first, n)
		}
	}
}

// TestRefiningGathersRows: rows come nearer to their cells, none is lost, and sizes stay within bounds.
func TestRefiningGathersRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	const n, dim, target = 3000, 64, 20
	for _, m := range metrics {
		middles := rowsOf(rng, m, 90, dim)
		rows := make([]float32, 0, n*dim)
		for range n {
			c := rng.IntN(90)
			row := slices.Clone(middles[c*dim : (c+1)*dim])
			for j := range row {
				row[j] += 0.2 * float32(rng.NormFloat64()) * distance.Norm(row) / 6
			}
			if m == distance.Cosine {
				distance.Scale(row, distance.Inverse(row))
			}
			rows = append(rows, row...)
		}
		f := Refining{Metric: m, Dimension: dim, Width: dim, Rows: rows, Member: make([]int32, n), Points: slices.Clone(middles[:3*dim]), Target: target}
		for i := range f.Member {
			f.Member[i] = int32(i % 3)
		}
		before := apart(&f)
		if err := f.Refine(context.Background(), 6, 3, rng); err != nil {
			t.Fatal(err)
		}
		if after := apart(&f); after > before/4 {
			t.Errorf("%v: rows are %v from their cells, before it was %v", m, after, before)
		}
		if f.Cells() < n/target/3 || f.Cells() > 3*n/target {
			t.Errorf("%v: %d cells for %d rows", m, f.Cells(), n)
		}
		sizes := make([]int, f.Cells())
		for _, c := range f.Member {
			sizes[c]++
		}
		if most := slices.Max(sizes); most > 6*target {
			t.Errorf("%v: a cell has %d rows", m, most)
		}
	}
}

// TestRowsThatAreAllAlikeAreRefined: there is nothing to divide, and no end is missed.
func TestRowsThatAreAllAlikeAreRefined(t *testing.T) {
	rng := rand.New(rand.NewPCG(37, 38))
	f := Refining{Metric: distance.Euclidean, Dimension: 64, Width: 64, Rows: make([]float32, 500*64), Member: make([]int32, 500), Points: make([]float32, 64), Target: 8}
	if err := f.Refine(context.Background(), 4, 3, rng); err != nil {
		t.Fatal(err)
	}
	if f.Cells() == 0 || slices.Max(f.Member) >= int32(f.Cells()) {
		t.Errorf("%d cells, rows in cell %d", f.Cells(), slices.Max(f.Member))
	}
}

func TestGroupsAreBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(39, 40))
	points, homes := rowsOf(rng, distance.Euclidean, 100, 8), rowsOf(rng, distance.Euclidean, 5, 8)
	f := Refining{Metric: distance.Euclidean, Dimension: 8, Width: 8, Points: points}
	for i := range int32(500) {
		f.Member = append(f.Member, i%100) // five rows in each cell
	}
	f.sort()
	for _, room := range []struct{ rows, cells, most int }{{1, 20, 20}, {1, 64, 26}, {150, 64, 30}, {5000, 20, 20}} {
		sizes := make([]int, 5)
		for _, g := range f.Group(homes, room.rows, room.cells) {
			sizes[g]++
		}
		if slices.Max(sizes) > room.most {
			t.Errorf("100 cells in groups of %v, with room for %d cells of %d rows in all", sizes, room.cells, room.rows)
		}
	}
}

func apart(f *Refining) (sum float64) {
	for i, c := range f.Member {
		sum += float64(distance.L2(f.row(int32(i)), f.point(int(c))))
	}
	return sum
}

// TestSelectionBringsTheLeastToTheFront: for any number of keys, those that are equal among them.
func TestSelectionBringsTheLeastToTheFront(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for range 2000 {
		list := make([]uint64, 1+rng.IntN(200))
		for i := range list {
			list[i] = rng.Uint64N(1 + rng.Uint64N(300))
		}
		sorted, n := slices.Clone(list), rng.IntN(len(list)+1)
		slices.Sort(sorted)
		least(list, n)
		slices.Sort(list[:n])
		slices.Sort(list[n:])
		if !slices.Equal(list[:n], sorted[:n]) || !slices.Equal(list[n:], sorted[n:]) {
			t.Fatalf("the %d least of %v are %v", n, sorted, list[:n])
		}
	}
}

// some places only: of each third neighbourhood every second cell.
type thirds struct{}

func (thirds) HasHome(home int) bool { return home%3 == 0 }
func (thirds) CellsOf(int) uint64    { return 0x5555555555555555 }

// TestASearchWithinFindsThePlacesThere: what a search of everything finds, in its order, without the rest; all of them
// where as many are wanted; and what it passed over is told.
func TestASearchWithinFindsThePlacesThere(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	const homes, each, dim = 60, 40, 48
	for _, m := range metrics {
		a, points := someAtlas(rng, m, homes, each, dim)
		var s Search
		var q quantize.Query
		q.Reset(m, nearSome(rng, m, points, dim))
		var want []Place
		for _, p := range s.Nearest(a, &q, a.Places()) {
			if p.Home()%3 == 0 && (p.Cell() == NoCell || p.Cell()%2 == 0) {
				want = append(want, p)
			}
		}
		slices.SortFunc(want, func(x, y Place) int { return cmp.Compare(x.ranked, y.ranked) })
		got := slices.Clone(s.NearestIn(a, &q, a.Places(), thirds{}))
		slices.SortFunc(got, func(x, y Place) int { return cmp.Compare(x.ranked, y.ranked) })
		if !slices.Equal(got, want) {
			t.Fatalf("%v: %d places within, want %d", m, len(got), len(want))
		}
		passed := slices.Collect(s.Passed(homes))
		if len(passed) != homes-homes/3 || slices.ContainsFunc(passed, func(home int) bool { return home%3 == 0 }) {
			t.Errorf("%v: passed over %v", m, passed)
		}
		few := s.NearestIn(a, &q, 10, thirds{})
		if len(few) != 10 || few[0] != want[0] {
			t.Errorf("%v: the first of 10 places is %v, want %v", m, few[0], want[0])
		}
		first := s.homes[0]
		for home := range s.Passed(0) {
			if h := slices.IndexFunc(s.homes, func(h uint64) bool { return int(uint32(h)) == home }); s.homes[h] > first {
				t.Errorf("%v: neighbourhood %d is not nearer than the first", m, home)
			}
		}
	}
}
