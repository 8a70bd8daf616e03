package vectors

import (
	"math/bits"
	"slices"

	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// A row has one cell in which it lies, and may be a guest of a second one, which then has its code: a query that
// looks there finds it too. All else of a row is where it lies, so a guest is followed there. Where its neighbourhood
// was written anew since, it is no longer where its place says, and is passed over: it is found in its own cell,
// as every row is, and gets a second one again when neighbourhoods are next shaped together.

// guests ranks those of a chunk that a mask tells; the guest of its first place is at from in the list.
func (s *scan) guests(list []segment.Place, from int, mask uint32, host *part) {
	r := s.ranking
	r.guests = r.guests[:0]
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros32(mask)
		if r.lower[i] >= r.limit.worst() {
			continue
		}
		at := list[from+i]
		if h, b := s.lies(at, host); b != nil && b.HasBytes() && at.Row() < b.Len() {
			b.FetchWide(at.Row())
			h.cells.Fetch(at.Cell())
			r.guests = append(r.guests, guest{at, h, b, r.lower[i]})
		}
	}
	for i := range r.guests {
		s.guest(&r.guests[i])
	}
}

// guest is one that is known to lie where it says.
type guest struct {
	at    segment.Place
	home  *home
	block *segment.Block
	lower float32 // its distance is hardly below that
}

// guest ranks a row that lies elsewhere by its bytes.
func (s *scan) guest(g *guest) {
	r, b, i := s.ranking, g.block, g.at.Row()
	if g.lower >= r.limit.worst() {
		return
	}
	from := &g.home.parts[g.home.celled]
	if s.chosen != nil && !s.chosen.segments[from.file].Has(from.first+i) {
		return
	}
	place := r.search.Place(s.m.atlas, &r.query, g.home.place, g.at.Cell())
	probe := s.m.atlas.Probe(&r.query, place)
	score, err := probe.Wide(b.Wide(i))
	if score-err >= r.limit.worst() || r.met.has(b.IDs()[i]) || !s.wanted(b, i) {
		return
	}
	if s.chosen == nil && s.filter != nil && !s.filter.Match(b.Document(i)) {
		return
	}
	s.matches++
	r.met.add(b.IDs()[i])
	s.wait(b, from, i, score, err)
}

// lies is where a guest of a part lies. There is no block where it is not there any more, where its cell is looked into
// anyway, or where it is not in memory, and its cell is to be looked into.
func (s *scan) lies(at segment.Place, host *part) (*home, *segment.Block) {
	h := s.m.homes[at.Neighbourhood]
	if h == nil || h.cells == nil || at.Cell() >= h.cells.Len() || h.parts[h.celled].file != host.file {
		return nil, nil
	}
	r, bit := s.ranking, uint64(1)<<at.Cell()
	if r.seen[h.place]&bit != 0 {
		return nil, nil
	}
	if b := s.o.e.cache.peek(&h.parts[h.celled]); b != nil {
		return h, b
	}
	if b := r.came[h.parts[h.celled].held]; b != nil {
		return h, b
	}
	if !r.calling || len(r.called) == calledMax {
		return nil, nil
	}
	r.called = append(r.called, r.search.Place(s.m.atlas, &r.query, h.place, at.Cell()))
	return nil, nil
}

// calledMax bounds the cells that are looked into only for guests of others.
const calledMax = 64

// met are the ids of rows that came as guests, so that none counts twice where its own cell is looked into later.
type met struct {
	maybe [16]uint64 // a filter: of each id's hash, six bits for the bit, four for the word
	ids   []uint64
}

func (m *met) reset() {
	m.maybe = [16]uint64{}
	m.ids = m.ids[:0]
}

func hashOf(id uint64) (word, bit uint64) {
	h := id * 0x9e3779b97f4a7c15
	return h >> 60, 1 << (h >> 54 & 63)
}

func (m *met) add(id uint64) {
	word, bit := hashOf(id)
	m.maybe[word] |= bit
	m.ids = append(m.ids, id)
}

func (m *met) has(id uint64) bool {
	word, bit := hashOf(id)
	return m.maybe[word]&bit != 0 && slices.Contains(m.ids, id)
}

// call takes a cell that guests come from, to be looked into.
func (p *probing) call() (v visit, ok bool) {
	r := p.ranking
	for n := len(r.called); n > 0; n = len(r.called) {
		place := r.called[n-1]
		r.called = r.called[:n-1]
		if v, ok := p.visit(place); ok {
			v.called = true
			return v, true
		}
	}
	return v, false
}

// visit a place, unless it was visited, or has nothing that the filter means.
func (p *probing) visit(place navigate.Place) (v visit, ok bool) {
	h, seen, bit := p.m.byPlace[place.Home()], &p.ranking.seen[place.Home()], uint64(1)<<(place.Cell()%quantize.CellsMax)
	if *seen&bit != 0 {
		return v, false
	}
	worth := 1.0
	if p.chosen != nil {
		worth = p.worth // look gives it back where nothing was there
	}
	first := *seen == 0
	*seen |= bit
	return visit{home: h, place: place, first: first, worth: worth}, true
}
