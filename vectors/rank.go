package vectors

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"sync"

	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// boundWidth is how many standard errors a row's one-bit estimate may be off before the row
// is passed over. On 62,666 sentence embeddings recall@10 was 0.9776 at 1.5, 0.9784 at 1.9, 0.9791 at
// 2.3 and 0.9792 at 3, and the time the same, November 2026.
const boundWidth = 2.1

// ranking is the second half of a probing query: rows whose codes say that they may be near are
// ranked by their bytes, and those that may still be near by their full numbers.
type ranking struct {
	query   quantize.Query
	limit   nearest
	lower   [quantize.ChunkRows]float32
	waiting []waiting
	search  navigate.Search
	seen    []uint64 // of each neighbourhood, by its place: the cells that were looked into
	ahead   []visit
	blocks  []*segment.Block // of the visits ahead
	guests  []guest          // of a chunk
	rows    []int32          // of a block, that a filter means
	met     met
	called  []navigate.Place         // cells that guests come from whose blocks are not in memory
	came    map[*held]*segment.Block // that was read last: it need not have stayed in memory
	calling bool                     // guests may call for their cells: not those of cells that were called for
}

// waiting is a row ranked by its bytes.
type waiting struct {
	lower float32 // its distance is hardly below that; or that by its bytes, where that is the last word
	row   int32
	block *segment.Block
	from  *part
}

var rankings = sync.Pool{New: func() any { return new(ranking) }}

func newRanking(k int, s *scan) *ranking {
	r := rankings.Get().(*ranking)
	r.limit.k, r.limit.heap = k, r.limit.heap[:0]
	r.query.Reset(s.o.rec.spec.Metric, s.query.Vector())
	r.seen = slices.Grow(r.seen[:0], len(s.m.byPlace))[:len(s.m.byPlace)]
	clear(r.seen)
	r.met.reset()
	r.called = r.called[:0]
	return r
}

// release gives the memory back. No block is pinned afterwards.
func (r *ranking) release() {
	clear(r.waiting[:cap(r.waiting)])
	clear(r.ahead[:cap(r.ahead)])
	clear(r.blocks[:cap(r.blocks)])
	clear(r.guests[:cap(r.guests)])
	r.waiting, r.came = r.waiting[:0], nil
	rankings.Put(r)
}

// coded ranks the rows of a run of codes relative to the point of a probe.
func (s *scan) coded(b *segment.Block, run segment.Run, from *part, probe *quantize.Probe) {
	r := s.ranking
	size := quantize.ChunkBytes(b.Width())
	chunks := run.Chunks
	s.explain.Scanned += int64(run.Rows)
	s.explain.Scanned += int64(len(run.Guests))
	for first := 0; first < run.Rows+len(run.Guests); first += quantize.ChunkRows {
		mask := probe.Scan(chunks[:size], boundWidth, r.limit.worst(), &r.lower)
		chunks = chunks[size:]
		own := uint32(math.MaxUint32) >> min(quantize.ChunkRows, max(0, first+quantize.ChunkRows-run.Rows))
		if s.matches < s.needed && s.filter != nil {
			mask |= own // every match counts
		}
		for ahead := mask & own; ahead != 0; ahead &= ahead - 1 {
			b.FetchWide(run.First + first + bits.TrailingZeros32(ahead))
		}
		guests := mask &^ own
		for mask &= own; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros32(mask)
			s.byBytes(probe, b, from, run.First+first+i, r.lower[i])
		}
		if guests != 0 {
			s.guests(run.Guests, first-run.Rows, guests, from)
		}
	}
}

// byBytes ranks a row whose distance is hardly below lower.
func (s *scan) byBytes(probe *quantize.Probe, b *segment.Block, from *part, i int, lower float32) {
	r := s.ranking
	near := lower < r.limit.worst()
	score, err := float32(0), float32(0)
	if near {
		score, err = probe.Wide(b.Wide(i))
		near = score-err < r.limit.worst()
	}
	if r.met.has(b.IDs()[i]) || !s.passes(b, i, near) || !near {
		return
	}
	s.wait(b, from, i, score, err)
}

// wait leaves a row to settle.
func (s *scan) wait(b *segment.Block, from *part, i int, score, err float32) {
	s.explain.Reranked++
	s.ranking.limit.add(score)
	if s.rounded {
		err = 0
	}
	s.ranking.waiting = append(s.ranking.waiting, waiting{score - err, int32(i), b, from})
}

// settle compares what is still near with full numbers, unless bytes are the last word.
func (s *scan) settle(ctx context.Context) error {
	r := s.ranking
	if s.rounded {
		s.settleRounded()
		return nil
	}
	worst, lack := r.limit.worst(), false
	near := r.waiting[:0]
	for _, w := range r.waiting {
		if w.lower <= worst {
			near = append(near, w)
			lack = lack || !w.block.HasVectors()
		}
	}
	var vectors [][]float32
	if lack {
		var err error
		if vectors, err = s.vectors(ctx, near); err != nil {
			return err
		}
	}
	for at, w := range near {
		if next := at + 2; next < len(near) && !lack {
			quantize.PrefetchFloats(near[next].block.Vector(int(near[next].row)))
		}
		i := int(w.row)
		f := found{id: w.block.IDs()[i], block: w.block, row: i, from: w.from}
		if lack {
			f.vector = vectors[at]
			f.distance = s.query.Row(f.vector, w.block.Inverse(i))
		} else {
			f.distance = s.query.Row(w.block.Vector(i), w.block.Inverse(i))
		}
		if s.best.wants(f.distance, f.id) {
			s.best.add(f)
		}
	}
	return nil
}

func (s *scan) settleRounded() {
	for _, w := range s.ranking.waiting {
		s.explain.Rounded = true
		if id := w.block.IDs()[w.row]; s.best.wants(w.lower, id) {
			s.best.add(found{id: id, block: w.block, row: int(w.row), from: w.from, distance: w.lower})
		}
	}
}

// nearest keeps the k least distances: a heap with the largest on top.
type nearest struct {
	k    int
	heap []float32
}

// worst is the k-th least distance so far; +Inf while there are fewer.
func (n *nearest) worst() float32 {
	if len(n.heap) < n.k {
		return float32(math.Inf(1))
	}
	return n.heap[0]
}

func (n *nearest) full() bool { return len(n.heap) == n.k }

func (n *nearest) add(d float32) {
	h := n.heap
	if len(h) < n.k {
		h = append(h, d)
		n.heap = h
		for i := len(h) - 1; i > 0; {
			parent := (i - 1) / 2
			if h[parent] >= h[i] {
				return
			}
			h[parent], h[i] = h[i], h[parent]
			i = parent
		}
		return
	}
	if d >= h[0] {
		return
	}
	at := 0
	for {
		child := 2*at + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] > h[child] {
			child++
		}
		if h[child] <= d {
			break
		}
		h[at] = h[child]
		at = child
	}
	h[at] = d
}
