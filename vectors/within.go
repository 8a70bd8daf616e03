package vectors

import (
	"context"
	"math"
	"slices"

	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// nearby finds all that is no farther than a distance. Nothing is left to chance: what is passed over
// certainly is farther, a block as it lies within a radius of its centroid, a row by its bytes.
func (s *scan) nearby(ctx context.Context) error {
	s.explain.Exact = true
	s.ranking = newRanking(s.best.k, s)
	defer s.ranking.release()
	if s.chosen != nil {
		if err := s.chooseTail(ctx); err != nil {
			return err
		}
		s.explain.Plan = PlanBitmap
		s.tail()
	} else {
		s.wholeTail()
	}
	var look []reach
	for _, h := range s.m.sortedHomes() {
		probe, some := s.ranking.query.At(h.centroid), false
		for i := range h.parts {
			r := reach{part: &h.parts[i], home: h, probe: probe}
			if h.cells != nil && i == h.celled {
				r.cells = h.cells
			}
			if s.chosen != nil && s.chosen.in(r.part) == 0 || r.beyond(*s.best.within) {
				continue
			}
			look, some = append(look, r), true
		}
		if some {
			s.explain.Probed++
		}
	}
	for some := range slices.Chunk(look, 64) {
		if err := s.reaches(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) wholeTail() {
	for _, p := range s.m.tail {
		if p.block != nil {
			s.pushed(p)
		}
	}
}

// reach is a part that may have something within the distance.
type reach struct {
	part  *part
	home  *home
	probe quantize.Probe  // at the centroid
	cells *quantize.Cells // which the codes are relative to; nil: to the centroid
}

// beyond reports whether all of the part is farther than a distance. Its radius is known once it was
// looked into; it stays when the block leaves memory.
func (r *reach) beyond(distance float32) bool {
	bits := r.part.held.radius.Load()
	return bits != 0 && r.probe.Least(r.home.centroid, math.Float32frombits(bits)) > distance
}

// measure learns a part's radius.
func (r *reach) measure(s *scan, b *segment.Block) {
	if r.part.held.radius.Load() != 0 {
		return
	}
	radius := float32(math.SmallestNonzeroFloat32)
	r.eachRun(s, b, func(run segment.Run, cell int) {
		off := float32(0)
		if cell >= 0 {
			off = r.cells.Off(cell, s.scores[:b.Width()])
		}
		for i := run.First; i < run.First+run.Rows; i++ {
			row, _, mul := b.Wide(i)
			radius = max(radius, off+quantize.Reach(s.o.rec.spec.Metric, row, mul))
		}
	})
	r.part.held.radius.Store(math.Float32bits(radius))
}

// eachRun calls f with the rows of each cell, or with all, which are in none: cell -1.
func (r *reach) eachRun(s *scan, b *segment.Block, f func(run segment.Run, cell int)) {
	if r.cells == nil {
		f(b.Whole(), -1)
		return
	}
	if len(s.scores) < b.Width() {
		s.scores = make([]float32, b.Width())
	}
	for i := range b.Cells() {
		f(b.Cell(i), i)
	}
}

func (s *scan) reaches(ctx context.Context, some []reach) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	parts := make([]part, len(some))
	for i := range some {
		parts[i] = *some[i].part
	}
	s.noteHits(parts)
	blocks, read, err := s.o.e.cache.blocks(ctx, parts)
	s.noteRead(read)
	if err != nil {
		return err
	}
	var plain []part // without codes that could be read, as an older release wrote them
	for i, b := range blocks {
		if !b.Coded() || (b.Cells() > 0) != (some[i].cells != nil) {
			plain = append(plain, parts[i])
			continue
		}
		some[i].measure(s, b)
		s.reached(b, &some[i])
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.ranking.waiting = s.ranking.waiting[:0]
	return s.plainly(ctx, plain)
}

func (s *scan) plainly(ctx context.Context, parts []part) error {
	if len(parts) == 0 {
		return nil
	}
	if s.chosen != nil {
		return s.chosenParts(ctx, parts)
	}
	return s.parts(ctx, parts)
}

// reached leaves the rows of a block to settle that may be within the distance.
func (s *scan) reached(b *segment.Block, r *reach) {
	r.eachRun(s, b, func(run segment.Run, cell int) {
		probe := r.probe
		if cell >= 0 {
			probe = r.cells.At(&s.ranking.query, cell, s.scores[:b.Width()])
		}
		if s.chosen != nil {
			s.reachedChosen(b, r, run, &probe)
			return
		}
		s.explain.Scanned += int64(run.Rows)
		for i := run.First; i < run.First+run.Rows; i++ {
			if s.mayBeWithin(b, &probe, i) && s.passes(b, i, true) {
				s.waitWithin(b, r, i)
			}
		}
	})
}

func (s *scan) reachedChosen(b *segment.Block, r *reach, run segment.Run, probe *quantize.Probe) {
	first := r.part.first
	s.chosen.segments[r.part.file].Each(first+run.First, first+run.First+run.Rows, func(row int) bool {
		s.explain.Scanned++
		if i := row - first; s.mayBeWithin(b, probe, i) && s.wanted(b, i) {
			s.waitWithin(b, r, i)
		}
		return true
	})
}

func (s *scan) mayBeWithin(b *segment.Block, probe *quantize.Probe, i int) bool {
	row, add, mul := b.Wide(i)
	return !(probe.Sure(row, add, mul) > *s.best.within) // also where a number passed what float32 holds
}

func (s *scan) waitWithin(b *segment.Block, r *reach, i int) {
	s.explain.Reranked++
	s.ranking.waiting = append(s.ranking.waiting, waiting{row: int32(i), block: b, from: r.part})
}
