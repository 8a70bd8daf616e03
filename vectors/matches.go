package vectors

import (
	"context"
	"math"

	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// everyMatch compares with every row that the filter means, in full numbers where they are in memory.
func (s *scan) everyMatch(ctx context.Context) error {
	s.tail()
	var parts []part
	for _, h := range s.m.byPlace {
		for i := range h.parts {
			if s.chosen.in(&h.parts[i]) > 0 {
				parts = append(parts, h.parts[i])
			}
		}
	}
	for len(parts) > 0 {
		n := min(64, len(parts))
		if err := s.someMatches(ctx, parts[:n:n]); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return s.settle(ctx)
}

func (s *scan) someMatches(ctx context.Context, parts []part) error {
	blocks, err := s.fetch(ctx, parts, s.o.e.cache.blocks)
	if err != nil {
		return err
	}
	for i, b := range blocks {
		s.explain.Probed++
		switch {
		case b.HasVectors():
			s.matchesIn(b, &parts[i])
		case b.HasBytes() && (b.Cells() == 0 || s.cellsOf(&parts[i]) != nil):
			s.matchesByBytes(b, &parts[i])
		default:
			if err := s.chosenParts(ctx, parts[i:i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// matchesAhead is how many rows are asked for before they are compared: each lies somewhere else in memory.
const matchesAhead = 4

func (s *scan) matchesIn(b *segment.Block, from *part) {
	rows := s.ranking.rows[:0]
	s.chosen.segments[from.file].Each(from.first, from.first+b.Len(), func(row int) bool {
		rows = append(rows, int32(row-from.first))
		return true
	})
	s.ranking.rows = rows
	s.explain.Scanned += int64(len(rows))
	for at, i := range rows {
		if at+matchesAhead < len(rows) {
			quantize.PrefetchFloats(b.Vector(int(rows[at+matchesAhead])))
		}
		s.direct(b, int(i))
	}
}

// cellsOf are the cells that a part's rows lie in; nil: in none.
func (s *scan) cellsOf(p *part) *quantize.Cells {
	h := s.m.homes[p.entry.Neighbourhood]
	if h.cells == nil || h.parts[h.celled].held != p.held {
		return nil
	}
	return h.cells
}

// matchesByBytes leaves the rows of a front to settle that may be near.
func (s *scan) matchesByBytes(b *segment.Block, from *part) {
	h, r := s.m.homes[from.entry.Neighbourhood], s.ranking
	probe, last := r.query.At(h.centroid), -1
	if len(s.scores) < b.Width() {
		s.scores = make([]float32, b.Width())
	}
	s.chosen.segments[from.file].Each(from.first, from.first+b.Len(), func(row int) bool {
		i := row - from.first
		if b.Cells() > 0 {
			if cell := b.CellOf(i); cell != last {
				probe, last = h.cells.At(&r.query, cell, s.scores[:b.Width()]), cell
			}
		}
		s.explain.Scanned++
		s.selectedByBytes(&probe, b, from, i, float32(math.Inf(-1)))
		return true
	})
}
