package vectors

import (
	"context"

	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// visit is a neighbourhood that a query looks into.
type visit struct {
	home   *home
	probe  quantize.Probe
	blocks []*segment.Block // nil entries must be read
}

// probing goes from neighbourhood to neighbourhood, the nearest first.
type probing struct {
	*scan
	order *navigate.Order
	left  int // neighbourhoods that are looked into even if enough matches were seen
}

// probe looks into the nearest neighbourhoods, and into more while too few matches were seen.
func (s *scan) probe(ctx context.Context, probes int) error {
	p := probing{scan: s, order: s.m.centroids.Order(s.query), left: probes}
	r := s.ranking
	for more := true; more; {
		ahead, missing := r.ahead[:0], false
		r.blocks = r.blocks[:0]
		for len(ahead) == 0 || missing && (p.left > 0 || len(ahead) < aheadLeast) {
			var v visit
			if v, more = p.next(); !more {
				break
			}
			missing = p.peek(&v) || missing
			ahead = append(ahead, v)
		}
		r.ahead = ahead
		if err := ctx.Err(); err != nil {
			return err
		}
		if missing {
			if err := p.read(ctx, ahead); err != nil {
				return err
			}
		}
		for i := range ahead {
			p.look(&ahead[i])
		}
	}
	return s.settle(ctx)
}

// aheadLeast is how many neighbourhoods are read at once where something must be read, even though
// matches are what is lacking.
const aheadLeast = 32

// next is the next neighbourhood to look into; false at the end.
func (p *probing) next() (v visit, ok bool) {
	if p.left <= 0 && p.matches >= p.needed && p.ranking.limit.full() {
		return v, false
	}
	h, ok := p.following()
	if !ok {
		return v, false
	}
	p.left--
	return visit{home: h, probe: p.ranking.query.At(h.centroid)}, true
}

// following is the next neighbourhood that may have something.
func (p *probing) following() (*home, bool) {
	for {
		id, ok := p.order.Next()
		if !ok {
			return nil, false
		}
		if h := p.m.homes[id]; p.chosen == nil || p.chosen.inHome(h) > 0 || !p.whole && p.o.hasDeltas(&p.m, id) {
			return h, true
		}
	}
}

// peek takes what is in memory, and reports whether something must be read.
func (p *probing) peek(v *visit) (missing bool) {
	r := p.ranking
	from := len(r.blocks)
	for i := range v.home.parts {
		b := p.o.e.cache.peek(&v.home.parts[i])
		r.blocks = append(r.blocks, b)
		p.explain.Blocks++
		if b == nil {
			missing = true
		} else {
			p.explain.CacheHits++
		}
	}
	v.blocks = r.blocks[from:len(r.blocks):len(r.blocks)]
	return missing
}

// read reads what is missing, in parallel.
func (p *probing) read(ctx context.Context, ahead []visit) error {
	var parts []part
	for _, v := range ahead {
		for i, b := range v.blocks {
			if b == nil {
				parts = append(parts, v.home.parts[i])
			}
		}
	}
	blocks, read, err := p.o.e.cache.blocks(ctx, parts)
	p.explain.BytesRead += read
	if err != nil {
		return err
	}
	at := 0
	for _, v := range ahead {
		for i, b := range v.blocks {
			if b == nil {
				v.blocks[i] = blocks[at]
				at++
			}
		}
	}
	return nil
}

// look compares with all rows of a neighbourhood.
func (p *probing) look(v *visit) {
	p.explain.Probed++
	if !p.whole {
		p.deltas(v.home.id)
	}
	for i, b := range v.blocks {
		if p.chosen != nil {
			p.selected(b, &v.home.parts[i], &v.probe)
		} else if b.Coded() {
			p.coded(b, &v.home.parts[i], &v.probe)
		} else {
			p.block(b)
		}
	}
}
