package vectors

import (
	"slices"

	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// A row has one cell in which it lies, and may be a guest of a second one, which then has its code: a query that
// looks there finds it too. All else of a row is where it lies, so a guest is followed there. Where its neighbourhood
// was written anew since, it is no longer where its place says, and is passed over: it is found in its own cell,
// as every row is, and gets a second one again when neighbourhoods are next shaped together.

// guest ranks a row that lies elsewhere by its bytes; its distance is hardly below lower.
func (s *scan) guest(at segment.Place, from *part, lower float32) {
	r := s.ranking
	if lower >= r.limit.worst() {
		return
	}
	h, b := s.lies(at, from)
	if b == nil {
		return
	}
	i := at.Row()
	if !b.HasBytes() || i >= b.Len() {
		return
	}
	if s.chosen != nil && !s.chosen.segments[from.file].Has(h.parts[h.celled].first+i) {
		return
	}
	place := r.search.Place(s.m.atlas, &r.query, h.place, at.Cell())
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
	s.wait(b, &h.parts[h.celled], i, score, err)
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
	if *seen&bit != 0 || p.chosen != nil && p.chosen.inHome(h) == 0 && (p.whole || !p.o.hasDeltas(&p.m, h.id)) {
		return v, false
	}
	first := *seen == 0
	*seen |= bit
	return visit{home: h, place: place, first: first}, true
}
