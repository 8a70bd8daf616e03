package vectors

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/segment"
)

// spread is where a filter's rows lie, as far as queries asked: how many in each neighbourhood, and in which of its
// cells. A query that knows it goes from one cell that holds a match to the next, however many that hold none lie
// between them.
type spread struct {
	filter string
	rows   int
	homes  []homeSpread // by their places
}

// homeSpread is that of one neighbourhood.
type homeSpread struct {
	rows  int
	cells atomic.Uint64 // a bit for each that may hold some; 0: not known yet
}

// spreadsMax is how many filters a view remembers: 16 bytes a neighbourhood each.
const spreadsMax = 16

// spreads are those of the filters that were asked for last.
type spreads struct {
	mu   sync.Mutex
	list []*spread // the last one first
}

func (r *spreads) find(text string) *spread {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.list, func(x *spread) bool { return x.filter == text })
	if at < 0 {
		return nil
	}
	found := r.list[at]
	copy(r.list[1:at+1], r.list[:at])
	r.list[0] = found
	return found
}

func (r *spreads) keep(x *spread) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.Insert(r.list, 0, x)
	if len(r.list) > spreadsMax {
		r.list[spreadsMax] = nil
		r.list = r.list[:spreadsMax]
	}
}

// spreadOf a filter whose rows were chosen.
func (m *moment) spreadOf(f *filter.Filter, c *selection) *spread {
	if r := m.spreads.find(f.Text()); r != nil {
		return r
	}
	r := &spread{filter: f.Text(), homes: make([]homeSpread, len(m.byPlace))}
	for at, h := range m.byPlace {
		n := c.inHome(h)
		r.homes[at].rows = n
		r.rows += n
	}
	m.spreads.keep(r)
	return r
}

// HasHome reports whether the filter means something in a neighbourhood.
func (s *scan) HasHome(place int) bool { return s.chosen.spread.homes[place].rows > 0 }

// CellsOf are the cells of a neighbourhood that may hold something that it means.
func (s *scan) CellsOf(place int) uint64 {
	h, to := s.m.byPlace[place], &s.chosen.spread.homes[place]
	if known := to.cells.Load(); known != 0 {
		return known
	}
	if h.cells == nil || 2*to.rows > h.rows {
		return ^uint64(0) // hardly one holds none
	}
	b := s.o.e.cache.peek(&h.parts[h.celled])
	if b == nil || b.Cells() == 0 {
		return ^uint64(0)
	}
	cells := ^uint64(0)
	if p := &h.parts[h.celled]; s.chosen.in(p) == to.rows { // else some are in none: whichever is nearest leads to them
		cells = s.chosen.cells(b, p)
	}
	to.cells.Store(cells)
	return cells
}

// cells of a block that hold something.
func (c *selection) cells(b *segment.Block, from *part) (cells uint64) {
	set := c.segments[from.file]
	for i := range b.Cells() {
		run := b.Cell(i)
		if set.Any(from.first+run.First, from.first+run.First+run.Rows) {
			cells |= 1 << i
		}
	}
	return cells
}
