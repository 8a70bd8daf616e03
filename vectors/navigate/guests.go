package navigate

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// guestsAlong weighs what a second cell has in common with the first one. On 62,666 sentence embeddings in 2,848 cells of
// k-means, with 0.3 guests a row, 0.99 of the nearest neighbours were in 192 chunks with none, 165 with 0 (the second
// nearest cell), 105 with 1, 88 with 2 and 84 with 4; with 0.6 guests, in 72 with 2, November 2026.
const guestsAlong = 2

// wish is the cells that a row would be a guest of, the best first.
type wish struct {
	ratio float32 // of its loss in the first to its squared distance to its own cell
	row   int32
	cells [4]int32 // -1: none
}

// Guests gives rows a second cell, as long as there are free places in the chunks of the cells: the list of each
// cell. A query that the row's own cell is far from, though the row is near, comes from the other side of the row: so the best
// second cell is the one from which the row is seen in another direction, not the next best one (Sun et al., "SOAR:
// Improved Indexing for Approximate Nearest Neighbor Search", NeurIPS 2023, theorem 3.1: |r'|² + λ(⟨r, r'⟩/|r|)² is least). It
// follows Refine.
func (f *Refining) Guests(ctx context.Context) ([][]int32, error) {
	f.halve()
	wishes, err := f.wishes(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(wishes, func(a, b wish) int { return cmp.Or(cmp.Compare(a.ratio, b.ratio), cmp.Compare(a.row, b.row)) })
	guests := make([][]int32, f.Cells())
	for _, w := range wishes {
		for _, c := range w.cells {
			if c >= 0 && len(guests[c]) < f.freeIn(int(c)) {
				guests[c] = append(guests[c], w.row)
				break
			}
		}
	}
	return guests, nil
}

// freeIn is how many places a cell's chunks have beside its own rows.
func (f *Refining) freeIn(cell int) int {
	rows := len(f.of(cell))
	return quantize.Chunks(rows)*quantize.ChunkRows - rows
}

// guestsNear is how many cells, those nearest to it by their codes, a row chooses from. With the 64 nearest to its own cell in place
// of them, 0.99 of the nearest neighbours were in 113 places, with these in 69, and in 163 without guests.
const guestsNear = 32

// wishing finds the wishes of rows one by one.
type wishing struct {
	*Refining
	cells        *quantize.Cells
	query        quantize.Query
	search       Search
	lower        [quantize.ChunkRows]float32
	near         []float32 // [guestsNear][Width]
	dots, across []float32
}

// wishes are those of all rows.
func (f *Refining) wishes(ctx context.Context) ([]wish, error) {
	w := wishing{
		Refining: f, cells: quantize.NewCells(distance.Euclidean, make([]float32, f.Dimension), f.Points),
		near: make([]float32, guestsNear*f.Width), dots: make([]float32, guestsNear), across: make([]float32, guestsNear),
	}
	wishes := make([]wish, 0, len(f.Member))
	for row := range f.Member {
		if row%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if x, ok := w.wish(int32(row)); ok {
			wishes = append(wishes, x)
		}
	}
	return wishes, nil
}

// nearby are the cells nearest to a row, by their codes.
func (w *wishing) nearby(row []float32) []uint64 {
	w.query.ResetTurned(distance.Euclidean, w.Dimension, row)
	probe, s := w.cells.AtHome(&w.query), &w.search
	s.found, s.limit = s.found[:0], float32(math.Inf(1))
	for first := 0; first < w.Cells(); first += quantize.ChunkRows {
		for mask := w.cells.Estimate(&probe, first/quantize.ChunkRows, 0, s.limit, &w.lower); mask != 0; mask &= mask - 1 {
			at := bits.TrailingZeros32(mask)
			s.offer(w.lower[at], 0, first+at, guestsNear)
		}
	}
	s.cut(guestsNear)
	return s.found
}

// wish of a row.
func (w *wishing) wish(i int32) (wish, bool) {
	x, own := w.row(i), int(w.Member[i])
	square, point := distance.Dot(x, x), w.point(own)
	toOwn := distance.Dot(x, point)
	apart := square - 2*toOwn + 2*w.halves[own]
	if apart <= 1e-5*square {
		return wish{}, false // it is the cell's point
	}
	found := w.nearby(x)
	for at, f := range found {
		copy(w.near[at*w.Width:(at+1)*w.Width], w.point(int(uint32(f))))
	}
	near, dots, across := w.near[:len(found)*w.Width], w.dots[:len(found)], w.across[:len(found)]
	distance.DotRows(x, near, dots)
	distance.DotRows(point, near, across)
	var wants wanting
	for at, f := range found {
		cell := int32(uint32(f))
		if int(cell) == own {
			continue
		}
		along := square - dots[at] - toOwn + across[at]
		loss := square - 2*dots[at] + 2*w.halves[cell] + guestsAlong*along*along/apart
		wants.offer(loss, cell)
	}
	if wants.n == 0 {
		return wish{}, false
	}
	out := wish{ratio: wants.losses[0] / apart, row: i, cells: wants.cells}
	for at := wants.n; at < len(out.cells); at++ {
		out.cells[at] = -1
	}
	return out, true
}

// wanting keeps the cells of the least losses.
type wanting struct {
	n      int
	losses [4]float32
	cells  [4]int32
}

func (w *wanting) offer(loss float32, cell int32) {
	if w.n == len(w.cells) && loss >= w.losses[w.n-1] {
		return
	}
	w.n = min(w.n+1, len(w.cells))
	at := w.n - 1
	for ; at > 0 && loss < w.losses[at-1]; at-- {
		w.losses[at], w.cells[at] = w.losses[at-1], w.cells[at-1]
	}
	w.losses[at], w.cells[at] = loss, cell
}
