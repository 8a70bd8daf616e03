package navigate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// refined are cells over rows of a few clusters.
func refined(t *testing.T, seed uint64, n, dim, target int) *Refining {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, seed))
	width := quantize.Width(dim)
	f := &Refining{Metric: distance.Euclidean, Dimension: dim, Width: width, Target: target, Member: make([]int32, n)}
	for range n {
		at := float32(rng.IntN(12))
		for j := range width {
			x := float32(0)
			if j < dim {
				x = at*float32(j%3) + float32(rng.NormFloat64())
			}
			f.Rows = append(f.Rows, x)
		}
	}
	f.Points = slices.Clone(f.Rows[:width])
	if err := f.Refine(t.Context(), 6, 3, rng); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGuestsFillTheChunksOfOtherCells(t *testing.T) {
	f := refined(t, 7, 3000, 24, 20)
	guests, err := f.Guests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hosts, all := map[int32]int{}, 0
	for cell, of := range guests {
		if len(of) > f.freeIn(cell) {
			t.Errorf("cell %d of %d rows has %d guests", cell, len(f.of(cell)), len(of))
		}
		for _, row := range of {
			if int(f.Member[row]) == cell {
				t.Errorf("row %d is a guest of its own cell", row)
			}
			if _, twice := hosts[row]; twice {
				t.Errorf("row %d is a guest twice", row)
			}
			hosts[row] = cell
		}
		all += len(of)
	}
	if all < 500 {
		t.Errorf("%d guests of 3,000 rows in %d cells", all, f.Cells())
	}
}

// The first wish of a row is the cell of the least loss among those near, found here one by one.
func TestARowWishesForTheCellThatSeesItFromElsewhere(t *testing.T) {
	f := refined(t, 8, 600, 24, 30) // so few cells that all of them are near
	if f.Cells() > guestsNear {
		t.Fatalf("%d cells", f.Cells())
	}
	f.halve()
	wishes, err := f.wishes(t.Context())
	if err != nil || len(wishes) < 500 {
		t.Fatalf("%d wishes, %v", len(wishes), err)
	}
	for _, w := range wishes {
		best, least := int32(-1), math.Inf(1)
		for c := range f.Cells() {
			if loss := f.lossOf(w.row, c); int32(c) != f.Member[w.row] && loss < least {
				best, least = int32(c), loss
			}
		}
		if got := f.lossOf(w.row, int(w.cells[0])); w.cells[0] != best && got > least*1.001 {
			t.Fatalf("row %d wishes for cell %d of loss %v; cell %d has %v", w.row, w.cells[0], got, best, least)
		}
		for i := 1; i < len(w.cells) && w.cells[i] >= 0; i++ {
			if f.lossOf(w.row, int(w.cells[i]))*1.001 < f.lossOf(w.row, int(w.cells[i-1])) {
				t.Fatalf("row %d: its wishes are not in order", w.row)
			}
		}
	}
}

// lossOf is |r'|² + λ(⟨r, r'⟩/|r|)², as it is written.
func (f *Refining) lossOf(row int32, cell int) float64 {
	x, own, other := f.row(row), f.point(int(f.Member[row])), f.point(cell)
	var apart, along, to float64
	for j := range x {
		a, b := float64(x[j]-own[j]), float64(x[j]-other[j])
		apart, along, to = apart+b*b, along+a*b, to+a*a
	}
	return apart + guestsAlong*along*along/to
}
