package vectors

import (
	"context"
	"math"
	"math/bits"

	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// fewOf: where no more than one in so many rows of a block is meant, each is compared in full numbers
// at once, which is quicker than to scan codes for it.
const fewOf = 16

// choose finds the rows that the filter means before anything is compared.
func (s *scan) choose(ctx context.Context) (err error) {
	if s.filter == nil {
		return nil
	}
	if s.chosen, err = s.o.choose(ctx, &s.m, s.filter); err != nil {
		return err
	}
	s.explain.Plan = PlanDocuments
	if s.chosen != nil {
		s.explain.Selected = int64(s.chosen.rows)
	}
	return nil
}

// chooseTail finds what the filter means in the tail too.
func (s *scan) chooseTail(ctx context.Context) error {
	if s.chosen == nil {
		return nil
	}
	err := s.o.chooseTail(ctx, &s.m, s.filter, s.chosen)
	s.explain.Selected = int64(s.chosen.rows)
	return err
}

// tail compares with the chosen rows of the tail.
func (s *scan) tail() {
	for p, set := range s.chosen.pushes {
		set.Each(0, p.rows(), func(row int) bool {
			s.explain.Scanned++
			s.direct(p.block, row)
			return true
		})
	}
}

// sparser: where a filter means one in so many rows, its k nearest lie as far away as so many times k do without it, and the
// cells that hold them grow in number with the logarithm, as those of automaticProbes do with k.
const sparser = 0.4

// worthOf is what a look into a cell counts for in which something is meant, where some of the rows are.
func worthOf(meant, rows int) float64 {
	return 1 / (1 + sparser*math.Log2(max(1, float64(rows)/float64(max(1, meant)))))
}

// A match that is compared at once costs a quarter of what a look into a cell does.
const matchesPerCell = 4

// densely compares with all that the filter means, where that is hardly more work than to look for the nearest: done.
func (s *scan) densely(ctx context.Context, probes int) (done bool, err error) {
	if s.chosen == nil {
		s.needed = max(s.needed, probes*s.m.rows/(4*s.m.places()))
		return false, nil
	}
	s.explain.Plan = PlanBitmap
	s.worth = worthOf(s.chosen.rows, s.m.rows)
	if s.chosen.rows > s.needed && !s.fewMatches(probes) {
		return false, nil
	}
	if err := s.chooseTail(ctx); err != nil {
		return true, err
	}
	s.explain.Plan = PlanMatches
	return true, s.everyMatch(ctx)
}

// fewMatches: it is quicker to compare with each. Where blocks would have to be read for it, there must be fewer still.
func (s *scan) fewMatches(probes int) bool {
	if s.chosen.rows <= probes*s.m.rows/(4*s.m.places()) {
		return true
	}
	if float64(s.chosen.rows)*s.worth > float64(matchesPerCell*probes) {
		return false
	}
	for _, h := range s.m.byPlace {
		for i := range h.parts {
			if p := &h.parts[i]; s.o.e.cache.peek(p) == nil && s.chosen.in(p) > 0 {
				return false
			}
		}
	}
	return true
}

// selected compares the chosen rows of a run.
func (s *scan) selected(b *segment.Block, run segment.Run, from *part, probe *quantize.Probe) {
	set, first := s.chosen.segments[from.file], from.first+run.First
	n := set.Count(first, first+run.Rows)
	if n == 0 {
		return // guests are found in their own cells, which are as near
	}
	s.matches += n
	if !b.Coded() || n*fewOf <= run.Rows && b.HasVectors() && len(run.Guests) == 0 {
		s.explain.Scanned += int64(n)
		set.Each(first, first+run.Rows, func(row int) bool {
			s.direct(b, row-from.first)
			return true
		})
		return
	}
	s.masked(b, run, from, probe, set)
}

// direct compares a chosen row in full numbers.
func (s *scan) direct(b *segment.Block, i int) {
	d := s.query.Row(b.Vector(i), b.Inverse(i))
	if !s.best.wants(d, b.IDs()[i]) || s.ranking != nil && s.ranking.met.has(b.IDs()[i]) || !s.wanted(b, i) {
		return
	}
	s.best.add(found{distance: d, id: b.IDs()[i], block: b, row: i})
	if s.ranking != nil {
		s.ranking.limit.add(d)
	}
}

// wanted reports whether a row that the filter means may be in the answer.
func (s *scan) wanted(b *segment.Block, i int) bool {
	return s.o.alive(&s.m, b, i) && (s.without == "" || b.Key(i) != s.without)
}

// masked scans the codes of the chosen rows.
func (s *scan) masked(b *segment.Block, run segment.Run, from *part, probe *quantize.Probe, set filter.Set) {
	r, rows := s.ranking, run.Rows
	size := quantize.ChunkBytes(b.Width())
	chunks := run.Chunks
	for first := 0; first < rows+len(run.Guests); first += quantize.ChunkRows {
		chunk := chunks[:size]
		chunks = chunks[size:]
		own := uint32(0)
		if first < rows {
			own = uint32(set.Bits(from.first+run.First+first, min(quantize.ChunkRows, rows-first)))
		}
		guests := ^(uint32(math.MaxUint32) >> min(quantize.ChunkRows, max(0, first+quantize.ChunkRows-rows)))
		if own|guests == 0 {
			continue
		}
		s.explain.Scanned += int64(bits.OnesCount32(own))
		mask := probe.Scan(chunk, boundWidth, r.limit.worst(), &r.lower)
		guests &= mask
		for mask &= own; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask)
			s.selectedByBytes(probe, b, from, run.First+first+i, r.lower[i])
		}
		if guests != 0 {
			s.guests(run.Guests, first-rows, guests, from)
		}
	}
}

// selectedByBytes is byBytes for a row that the filter means.
func (s *scan) selectedByBytes(probe *quantize.Probe, b *segment.Block, from *part, i int, lower float32) {
	r := s.ranking
	if lower >= r.limit.worst() {
		return
	}
	score, err := probe.Wide(b.Wide(i))
	if score-err >= r.limit.worst() || r.met.has(b.IDs()[i]) || !s.wanted(b, i) {
		return
	}
	s.wait(b, from, i, score, err)
}

// everyChosen compares with every row that the filter means.
func (s *scan) everyChosen(ctx context.Context) error {
	s.explain.Plan = PlanMatches
	if err := s.chooseTail(ctx); err != nil {
		return err
	}
	s.tail()
	var parts []part
	for _, h := range s.m.sortedHomes() {
		for _, p := range h.parts {
			if s.chosen.in(&p) > 0 {
				parts = append(parts, p)
			}
		}
	}
	for len(parts) > 0 {
		n := min(64, len(parts))
		if err := s.chosenParts(ctx, parts[:n]); err != nil {
			return err
		}
		parts = parts[n:]
	}
	return nil
}

func (s *scan) chosenParts(ctx context.Context, parts []part) error {
	blocks, err := s.fetch(ctx, parts, s.o.e.cache.wholes)
	if err != nil {
		return err
	}
	for i, b := range blocks {
		from := &parts[i]
		s.chosen.segments[from.file].Each(from.first, from.first+b.Len(), func(row int) bool {
			s.explain.Scanned++
			s.direct(b, row-from.first)
			return true
		})
	}
	return nil
}
