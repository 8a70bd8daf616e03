package navigate

import (
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// Atlas is all places where rows of an index lie: the cells of its neighbourhoods, and, where a neighbourhood
// has none, itself.
type Atlas struct {
	centroids *Centroids
	cells     []*quantize.Cells // of each neighbourhood, as centroids have them; nil: it has none
	places    int
}

// NewAtlas takes the cells of each neighbourhood, in the order of centroids.
func NewAtlas(c *Centroids, cells []*quantize.Cells) *Atlas {
	a := &Atlas{centroids: c, cells: cells}
	for _, of := range cells {
		a.places++
		if of != nil {
			a.places += of.Len() - 1
		}
	}
	return a
}

// Places is how many there are.
func (a *Atlas) Places() int { return a.places }

// Centroids of the neighbourhoods.
func (a *Atlas) Centroids() *Centroids { return a.centroids }

// NoCell is the place of a neighbourhood without cells.
const NoCell = 255

// HomesAround is how many neighbourhoods' cells a search looks at beside as many as it wants places.
const HomesAround = 8

// Place is one that a search found.
type Place struct{ ranked uint64 }

// Score of the place, by which places are ranked: as quantize has it for rows.
func (p Place) Score() float32 { return scoreOf(uint32(p.ranked >> 32)) }

// Home is the neighbourhood, by its place among the centroids.
func (p Place) Home() int { return int(uint32(p.ranked) >> 8) }

// Cell is the cell in it, or NoCell.
func (p Place) Cell() int { return int(uint8(p.ranked)) }

// Within is what a search may find, by the neighbourhoods' places among the centroids.
type Within interface {
	HasHome(home int) bool
	CellsOf(home int) uint64 // a bit each; not 0 where it has the neighbourhood
}

// Search finds the places nearest to a query. Its memory is used again by the next one; it belongs to one
// goroutine.
type Search struct {
	dots   []float32 // of the query with each centroid: by dot
	marks  []uint32  // by centroid: the serial of the search that found its dot
	serial uint32
	some   bool      // only dots that are marked are known
	ends   []float32 // lower ends of estimates, by slot of the chart
	lower  [quantize.ChunkRows]float32
	homes  []uint64
	looked int // of homes
	held   int // of homes: those behind them were passed over
	found  []uint64
	limit  float32
	places []Place
}

// most is how many places are taken by their estimates, of which the n nearest are kept.
func most(n int) int { return n + n/5 + 16 }

// Nearest are the n places nearest to a query, the first few of them in order, the nearest first, and the rest behind
// those. Fewer come where there are not so many, and where the rest lies in neighbourhoods whose centroids are far.
func (s *Search) Nearest(a *Atlas, q *quantize.Query, n int) []Place {
	return s.NearestIn(a, q, n, nil)
}

// NearestIn is Nearest of what is within; nil: of all. Fewer than n come only where no more are.
func (s *Search) NearestIn(a *Atlas, q *quantize.Query, n int, in Within) []Place {
	homes := s.nearHomes(a, q, n+HomesAround, in)
	s.found, s.limit = s.found[:0], float32(math.Inf(1))
	most := most(n)
	for _, h := range homes {
		home := int(uint32(h))
		if a.cells[home] == nil {
			s.offer(a.ofHome(q, scoreOf(uint32(h>>32))), home, NoCell, most)
			continue
		}
		probe, cells := s.probeHome(a, q, home), ^uint64(0)
		if in != nil {
			cells = in.CellsOf(home)
		}
		s.estimate(a.cells[home], &probe, home, cells, most)
	}
	s.cut(most)
	s.score(a, q)
	s.cut(n)
	return s.ordered()
}

// nearHomes puts the n nearest neighbourhoods in order.
func (s *Search) nearHomes(a *Atlas, q *quantize.Query, n int, in Within) []uint64 {
	if in == nil && a.centroids.charts(n) {
		return s.charted(a, q, n)
	}
	s.rank(a.centroids, q, a.centroids.metric == distance.DotProduct)
	if in != nil {
		s.pass(in)
	}
	return s.firstHomes(n)
}

func (s *Search) estimate(c *quantize.Cells, p *quantize.Probe, home int, cells uint64, most int) {
	for first := 0; first < c.Len(); first += quantize.ChunkRows {
		some := uint32(cells >> first)
		if some == 0 {
			continue
		}
		for mask := some & c.Estimate(p, first/quantize.ChunkRows, 0, s.limit, &s.lower); mask != 0; mask &= mask - 1 {
			at := bits.TrailingZeros32(mask)
			s.offer(s.lower[at], home, first+at, most)
		}
	}
}

// score puts true scores in the place of estimates.
func (s *Search) score(a *Atlas, q *quantize.Query) {
	const ahead = 4
	for _, f := range s.found[:min(ahead, len(s.found))] {
		a.fetch(Place{f})
	}
	for i, f := range s.found {
		if i+ahead < len(s.found) {
			a.fetch(Place{s.found[i+ahead]})
		}
		p := Place{f}
		if p.Cell() == NoCell {
			continue
		}
		probe := s.probeHome(a, q, p.Home())
		s.found[i] = uint64(bitsOf(a.cells[p.Home()].Score(&probe, p.Cell())))<<32 | f&math.MaxUint32
	}
}

func (a *Atlas) fetch(p Place) {
	if p.Cell() != NoCell {
		a.cells[p.Home()].Fetch(p.Cell())
	}
}

// inOrder is how many places come in order.
const inOrder = 24

// ordered are the places found.
func (s *Search) ordered() []Place {
	first := min(inOrder, len(s.found))
	least(s.found, first)
	slices.Sort(s.found[:first])
	s.places = s.places[:0]
	for _, f := range s.found {
		s.places = append(s.places, Place{f})
	}
	return s.places
}

// Homes are the neighbourhoods whose cells the last search looked at, the nearest first, by their places
// among the centroids.
func (s *Search) Homes() iter.Seq2[int, int] {
	return func(yield func(at, home int) bool) {
		for at, h := range s.homes[:s.looked] {
			if !yield(at, int(uint32(h))) {
				return
			}
		}
	}
}

// Passed are the neighbourhoods that the last search passed over because they are not within, and that are nearer
// than one of Homes; behind the last one of these, all.
func (s *Search) Passed(than int) iter.Seq[int] {
	return func(yield func(home int) bool) {
		for _, h := range s.homes[s.held:] {
			if (than >= s.looked || h < s.homes[than]) && !yield(int(uint32(h))) {
				return
			}
		}
	}
}

// Gather is the place to which a vector belongs: the nearest by euclidean distance, or by angle under
// Cosine. Under DotProduct the Place's score is not one.
func (s *Search) Gather(a *Atlas, q *quantize.Query) Place {
	homes := s.gatherHomes(a, q, 1+HomesAround)
	s.found, s.limit = s.found[:0], float32(math.Inf(1))
	for _, h := range homes {
		s.gatherHome(a, q, int(uint32(h)), scoreOf(uint32(h>>32)))
	}
	s.cut(1)
	return Place{s.found[0]}
}

// gatherHomes is nearHomes by euclidean distance, whatever the metric.
func (s *Search) gatherHomes(a *Atlas, q *quantize.Query, n int) []uint64 {
	if a.centroids.metric != distance.DotProduct {
		return s.nearHomes(a, q, n, nil)
	}
	s.rank(a.centroids, q, false)
	return s.firstHomes(n)
}

// Cell is that of cells to which a vector belongs.
func (s *Search) Cell(c *quantize.Cells, q *quantize.Query) int {
	probe := c.AtHome(q)
	s.found, s.limit = s.found[:0], float32(math.Inf(1))
	for cell := range c.Len() {
		s.offer(c.Apart(&probe, cell), 0, cell, 1)
	}
	s.cut(1)
	return Place{s.found[0]}.Cell()
}

// gatherHome offers the cells of a neighbourhood whose centroid Centroids.Nearest gives this score.
func (s *Search) gatherHome(a *Atlas, q *quantize.Query, home int, score float32) {
	cells, square := a.cells[home], 2*score+q.Square()
	if cells == nil {
		apart := square // in the measure of Cells.Apart
		switch a.centroids.metric {
		case distance.Cosine:
			apart = square / 2
		case distance.DotProduct:
			apart = score
		}
		s.offer(apart, home, NoCell, 1)
		return
	}
	probe := q.Away(square)
	for cell := range cells.Len() {
		s.offer(cells.Apart(&probe, cell), home, cell, 1)
	}
}

// rank scores neighbourhoods: score above, place among the centroids below.
func (s *Search) rank(c *Centroids, q *quantize.Query, byProduct bool) {
	s.some = false
	s.dots = slices.Grow(s.dots[:0], c.Len())[:c.Len()]
	s.homes = slices.Grow(s.homes[:0], c.Len())[:c.Len()]
	distance.DotRows(q.Vector(), c.rows, s.dots)
	for i, dot := range s.dots {
		score := -dot
		if !byProduct {
			score += c.halves[i]
		}
		s.homes[i] = uint64(bitsOf(score))<<32 | uint64(i)
	}
	s.held = c.Len()
}

// pass brings the neighbourhoods that are not within behind those that are.
func (s *Search) pass(in Within) {
	s.held = 0
	for i, h := range s.homes {
		if in.HasHome(int(uint32(h))) {
			s.homes[i], s.homes[s.held] = s.homes[s.held], h
			s.held++
		}
	}
}

// firstHomes puts the n nearest in order.
func (s *Search) firstHomes(n int) []uint64 {
	n = min(n, s.held)
	least(s.homes[:s.held], n)
	slices.Sort(s.homes[:n])
	s.looked = n
	return s.homes[:n]
}

// offer takes a place that may be among the n nearest.
func (s *Search) offer(score float32, home, cell, n int) {
	if score >= s.limit {
		return
	}
	s.found = append(s.found, uint64(bitsOf(score))<<32|uint64(home)<<8|uint64(cell))
	if len(s.found) >= 3*n+64 {
		s.cut(n)
	}
}

// cut leaves the n nearest, and passes over what is farther from now on.
func (s *Search) cut(n int) {
	if len(s.found) <= n {
		return
	}
	least(s.found, n)
	s.found = s.found[:n]
	s.limit = scoreOf(uint32(slices.Max(s.found) >> 32))
}

// ofHome is the score of a neighbourhood, which rank gave another, as that of a cell would be.
func (a *Atlas) ofHome(q *quantize.Query, score float32) float32 {
	switch a.centroids.metric {
	case distance.Cosine:
		return score + q.Square()/2
	case distance.Euclidean:
		return 2*score + q.Square()
	}
	return score
}

// probeHome is a query at the centroid of a neighbourhood.
func (s *Search) probeHome(a *Atlas, q *quantize.Query, home int) quantize.Probe {
	return q.Away(2*(a.centroids.halves[home]-s.dot(a.centroids, q, home)) + q.Square())
}

// Probe is a query at a place.
func (a *Atlas) Probe(q *quantize.Query, p Place) quantize.Probe {
	if p.Cell() == NoCell {
		return q.At(a.centroids.row(p.Home()))
	}
	return a.cells[p.Home()].Probe(q, p.Cell(), p.Score())
}

// Place is a cell of a neighbourhood, as if the last search, for this query, had found it.
func (s *Search) Place(a *Atlas, q *quantize.Query, home, cell int) Place {
	probe := s.probeHome(a, q, home)
	return Place{uint64(bitsOf(a.cells[home].Score(&probe, cell)))<<32 | uint64(home)<<8 | uint64(cell)}
}

// bitsOf orders numbers as their bits.
func bitsOf(x float32) uint32 {
	b := math.Float32bits(x)
	if b>>31 == 1 {
		return ^b
	}
	return b | 1<<31
}

func scoreOf(b uint32) float32 {
	if b>>31 == 1 {
		return math.Float32frombits(b &^ (1 << 31))
	}
	return math.Float32frombits(^b)
}

// least brings the n least numbers to the front, in any order: Hoare's selection.
func least(list []uint64, n int) {
	for len(list) > n && n > 0 {
		if len(list) <= 12 {
			slices.Sort(list)
			return
		}
		at := divide(list)
		if at >= n {
			list = list[:at]
		} else {
			list, n = list[at:], n-at
		}
	}
}

// divide puts numbers below a middle one before those that are not, and tells where these begin: after the
// first, before the end.
func divide(list []uint64) int {
	a, b, c := list[0], list[len(list)/2], list[len(list)-1]
	middle := max(min(a, b), min(max(a, b), c))
	i, j := -1, len(list)
	for {
		for i++; list[i] < middle; i++ {
		}
		for j--; list[j] > middle; j-- {
		}
		if i >= j {
			return max(1, min(j+1, len(list)-1))
		}
		list[i], list[j] = list[j], list[i]
	}
}
