package vectors

import (
	"context"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// placing gives the rows of a step to neighbourhoods, and, in those that are written anew, to cells. There, cells
// are kept as they were but for what their rows ask for: they move to the middle of their rows, rows move to the nearest,
// large ones are divided, and small ones given up.
type placing struct {
	*stepping
	list    []*home           // as the centroids have them
	cells   []*quantize.Cells // likewise
	anew    []bool            // likewise: all rows of the neighbourhood are in this step
	sources []*home           // whose rows and cells go into what is written anew
	from    []spot            // of each row: the source, and a cell of it; -1: none
	at      []spot            // of each row: where it goes, by place among the centroids
	guests  map[spot][]int    // rows that are found in a cell beside its own
	within  []int             // of each row: its place in its block, once it is known
}

// spot is a place among neighbourhoods, and a cell in it.
type spot struct{ home, cell int }

// effort is how often cells and rows are moved, and whether rows become guests.
type effort struct {
	rounds, wide int // as Refine takes them
	guests       bool
}

// Efforts of steps. On 62,666 sentence embeddings 0.99 of the nearest neighbours were in 12,000 rows with cells as k-means
// in each neighbourhood finds them, in 9,000 after one round over all, in 6,500 after three and in 4,900 after ten,
// November 2026. What is done in a hurry, while an index grows, is done again once it is calm.
var (
	effortBuild   = effort{8, 2, true}
	effortPolish  = effort{5, 2, true}
	effortSome    = effort{2, 2, true} // of the neighbourhoods
	effortHurried = effort{2, 1, false}
)

func (p *placing) effort() effort {
	switch {
	case p.m.hurried:
		return effortHurried
	case p.p.build:
		return effortBuild
	case p.p.polish:
		return effortPolish
	}
	return effortSome
}

// place finds where the rows go.
func (s *stepping) place(ctx context.Context) (*placing, error) {
	p := &placing{stepping: s, from: make([]spot, len(s.rows)), at: make([]spot, len(s.rows)), guests: map[spot][]int{}}
	if len(s.rows) == 0 {
		return p, nil
	}
	var anew []int
	var atlas *navigate.Atlas
	atlas, p.list = atlasOf(s.centroids, s.homes)
	p.cells, p.anew = make([]*quantize.Cells, len(p.list)), make([]bool, len(p.list))
	for i, h := range p.list {
		p.cells[i] = h.cells
		if h.floor == s.seq || slices.Contains(s.p.homes, h.id) {
			p.anew[i] = true
			anew = append(anew, i)
		}
	}
	if err := p.gather(ctx, atlas, p.takeSources(anew)); err != nil {
		return nil, err
	}
	if err := p.shapeAll(ctx, anew); err != nil {
		return nil, err
	}
	p.centroids = gatherCentroids(&s.o.rec.spec, s.homes, p.centroids)
	p.noteStubborn()
	return p, nil
}

// noteStubborn remembers neighbourhoods that got nearly all rows of one that was divided: to divide them again
// would be no better.
func (p *placing) noteStubborn() {
	before, after := map[uint32]int{}, map[spot]int{} // by neighbourhood before, and by that and the one after
	for i, at := range p.at {
		from := p.origins[i].home
		before[from]++
		after[spot{int(from), at.home}]++
	}
	for s, n := range after {
		if id := uint32(s.home); slices.Contains(p.p.divide, id) && 10*n > 9*before[id] && n > 2*p.o.e.o.Tuning.Target {
			p.o.upkeep.hold(p.list[s.cell].id, n)
		}
	}
}

// takeSources lists the sources, and finds them by id.
func (p *placing) takeSources(anew []int) map[uint32]int {
	places := map[uint32]int{}
	if p.p.build {
		for at, i := range anew {
			places[p.list[i].id] = at
			p.sources = append(p.sources, p.list[i])
		}
		return places
	}
	for _, id := range p.p.homes {
		if !slices.Contains(p.p.remove, id) {
			places[id] = len(p.sources)
			p.sources = append(p.sources, p.m.homes[id])
		}
	}
	return places
}

// gather finds the cell that each row is in, or is nearest to.
func (p *placing) gather(ctx context.Context, atlas *navigate.Atlas, sources map[uint32]int) error {
	spec := &p.o.rec.spec
	f := newFinder()
	defer f.release()
	var scratch []float32
	for i := range p.rows {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		from := p.origins[i]
		source, kept := sources[from.home]
		if kept && from.cell >= 0 {
			p.from[i] = spot{source, from.cell}
			continue
		}
		v := directed(spec, p.rows[i].Vector, p.rows[i].Inverse)
		switch {
		case kept:
			p.from[i] = spot{source, f.nearest(spec, p.sources[source].cells, v)}
		case p.p.build:
			scratch = slices.Grow(scratch[:0], len(p.list))[:len(p.list)]
			p.from[i] = spot{sources[p.centroids.Nearest(v, scratch)], -1}
		default:
			p.from[i] = spot{-1, -1}
			p.at[i].home, p.at[i].cell = f.place(spec, atlas, v)
		}
	}
	return nil
}

// shapeAll makes the cells of what is written anew, of all neighbourhoods together.
func (p *placing) shapeAll(ctx context.Context, anew []int) error {
	all := make([]int, len(p.sources))
	for i := range all {
		all[i] = i
	}
	return p.shape(ctx, all, anew, p.effort())
}

// shape makes the cells of some neighbourhoods of those of some sources.
func (p *placing) shape(ctx context.Context, from, to []int, e effort) error {
	s := shaping{placing: p, to: to}
	s.take(from)
	if len(s.rows) == 0 {
		return nil
	}
	if err := s.Refine(ctx, e.rounds, e.wide, p.rng); err != nil {
		return err
	}
	var guests [][]int32
	if e.guests && len(to) > 1 {
		var err error
		if guests, err = s.Guests(ctx); err != nil {
			return err
		}
	}
	s.settle(guests)
	return nil
}

// write adds a block for each neighbourhood that got rows.
func (p *placing) write(b *segment.Builder) error {
	groups := make([][]int, len(p.list))
	for i, at := range p.at {
		groups[at.home] = append(groups[at.home], i)
	}
	p.within = make([]int, len(p.rows))
	for home, rows := range groups {
		if p.celled(home) {
			slices.SortStableFunc(rows, func(i, j int) int { return p.at[i].cell - p.at[j].cell })
		}
		for at, i := range rows {
			p.within[i] = at
		}
	}
	for home, rows := range groups {
		if len(rows) == 0 {
			continue
		}
		if err := p.writeHome(b, home, rows); err != nil {
			return err
		}
	}
	return nil
}

// celled reports whether a neighbourhood's rows in this step are in cells.
func (p *placing) celled(home int) bool { return p.anew[home] && p.cells[home] != nil }

func (p *placing) writeHome(b *segment.Builder, home int, members []int) error {
	h, cells := p.list[home], p.cells[home]
	rows := make([]segment.Row, len(members))
	for at, i := range members {
		rows[at] = p.rows[i]
		rows[at].Neighbourhood = h.id
	}
	if !p.celled(home) {
		return b.AddCoded(h.id, p.homes[h.id].centroid, rows)
	}
	ends := make([]uint32, cells.Len())
	for _, i := range members {
		ends[p.at[i].cell]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	return b.AddCelled(h.id, cells, ends, rows, p.guestsOf(home))
}

// guestsOf are those of each cell of a neighbourhood.
func (p *placing) guestsOf(home int) [][]segment.Guest {
	guests := make([][]segment.Guest, p.cells[home].Len())
	for cell := range guests {
		for _, i := range p.guests[spot{home, cell}] {
			if at := p.at[i]; p.celled(at.home) && p.within[i] < segment.PlaceRowsMax {
				guests[cell] = append(guests[cell], segment.Guest{Row: p.rows[i], At: segment.PlaceOf(p.list[at.home].id, p.within[i], at.cell)})
			}
		}
	}
	return guests
}

// shaping is neighbourhoods whose cells are made.
type shaping struct {
	*placing
	navigate.Refining
	to   []int // by place among the centroids
	rows []int // theirs, by place in the step
}

// take rotates the rows of sources, and begins with the cells that they are in: a source without cells is one.
func (s *shaping) take(from []int) {
	spec := &s.o.rec.spec
	s.Metric, s.Dimension, s.Width, s.Target = spec.Metric, spec.Dimension, quantize.Width(spec.Dimension), s.o.e.o.Tuning.Cell
	first := make([]int, len(s.sources)) // of each source: its first cell
	for i := range first {
		first[i] = -1
	}
	for _, source := range from {
		first[source] = s.Cells()
		s.takeCells(s.sources[source])
	}
	for i, at := range s.from {
		if at.home < 0 || first[at.home] < 0 {
			continue
		}
		s.rows = append(s.rows, i)
		s.Member = append(s.Member, int32(first[at.home]+max(0, at.cell)))
	}
	s.turn()
}

func (s *shaping) takeCells(h *home) {
	if h.cells == nil {
		s.Points = append(s.Points, quantize.RotationOf(s.o.rec.spec.Dimension).Turned(h.centroid)...)
		return
	}
	at := len(s.Points)
	s.Points = append(s.Points, make([]float32, h.cells.Len()*s.Width)...)
	for i := range h.cells.Len() {
		h.cells.Point(i, s.Points[at+i*s.Width:at+(i+1)*s.Width])
	}
}

func (s *shaping) turn() {
	rotation := quantize.RotationOf(s.o.rec.spec.Dimension)
	s.Rows = make([]float32, len(s.rows)*s.Width)
	for at, i := range s.rows {
		r, out := &s.placing.rows[i], s.Rows[at*s.Width:(at+1)*s.Width]
		rotation.Apply(r.Vector, out)
		if s.Metric == distance.Cosine {
			distance.Scale(out, r.Inverse)
		}
	}
}

// settle gives cells to neighbourhoods, moves these to the middle of their rows, and places the rows.
func (s *shaping) settle(guests [][]int32) {
	rotation := quantize.RotationOf(s.o.rec.spec.Dimension)
	var turned []float32
	for _, home := range s.to {
		turned = append(turned, rotation.Turned(s.list[home].centroid)...)
	}
	groups := s.Group(turned, 2*s.o.e.o.Tuning.Target*7/8, quantize.CellsMax) // so that none need be divided at once
	points, within := make([][]float32, len(s.to)), make([]int, len(groups))
	for cell, g := range groups {
		within[cell] = len(points[g]) / s.Width
		points[g] = append(points[g], s.Points[cell*s.Width:(cell+1)*s.Width]...)
	}
	members := make([][]int, len(s.to))
	for at, i := range s.rows {
		g := groups[s.Member[at]]
		s.at[i] = spot{s.to[g], within[s.Member[at]]}
		members[g] = append(members[g], i)
	}
	for cell, of := range guests {
		at := spot{s.to[groups[cell]], within[cell]}
		for _, i := range of {
			s.guests[at] = append(s.guests[at], s.rows[i])
		}
	}
	for g, home := range s.to {
		s.settleHome(home, members[g], points[g])
	}
}

func (s *shaping) settleHome(to int, members []int, points []float32) {
	spec := &s.o.rec.spec
	h := s.list[to]
	moved := &home{id: h.id, floor: s.seq, centroid: middle(spec, s.placing.rows, members, h.centroid)}
	s.homes[h.id], s.list[to] = moved, moved
	s.cells[to] = nil
	if len(points) > s.Width {
		s.cells[to] = quantize.NewCells(spec.Metric, moved.centroid, points)
		return
	}
	for _, i := range members {
		s.at[i].cell = navigate.NoCell
	}
}

// middle of rows; without any, or where they cancel out, it stays where it was.
func middle(spec *Spec, rows []segment.Row, members []int, was []float32) []float32 {
	sum := make([]float32, spec.Dimension)
	for _, i := range members {
		distance.Add(sum, directed(spec, rows[i].Vector, rows[i].Inverse))
	}
	factor := 1 / float32(max(1, len(members)))
	if spec.Metric == distance.Cosine {
		factor = distance.Inverse(sum)
	}
	if len(members) == 0 || factor == 0 {
		return was
	}
	distance.Scale(sum, factor)
	return sum
}
