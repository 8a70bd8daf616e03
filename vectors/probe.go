package vectors

import (
	"context"
	"math"

	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// visit is a place that a query looks into: a cell of a neighbourhood, or one without cells; and, where it is
// the first of its neighbourhood, what is in none of its cells.
type visit struct {
	home   *home
	place  navigate.Place
	first  bool
	called bool             // only for guests that come from it
	worth  float64          // what it counts for
	blocks []*segment.Block // of the neighbourhood's parts; nil entries must be read, or are not looked into
}

// probing goes from place to place, the nearest first.
type probing struct {
	*scan
	found []navigate.Place
	wants int     // places that were searched for
	at    int     // in found
	ended bool    // there are no more places
	left  float64 // places with something in them that are looked into even if enough matches were seen
	far   bool    // something had to be read for the places that were found first
}

// probe looks into the nearest places, and into more while too few matches were seen.
func (s *scan) probe(ctx context.Context, probes int) error {
	p := probing{scan: s, left: float64(probes)}
	p.search(p.wantsFirst(probes))
	r := s.ranking
	p.fresh(p.o.loose(&p.m))
	for more := true; more; {
		ahead, missing := r.ahead[:0], false
		r.blocks = r.blocks[:0]
		for len(ahead) == 0 || len(r.called) > 0 || p.left > 0 && (missing || len(ahead) < aheadMost) || missing && s.filter != nil && len(ahead) < aheadLeast {
			var v visit
			if v, more = p.next(); !more {
				break
			}
			if p.peek(&v) {
				missing = true
				p.goWide(probes)
			}
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
		p.fetch(ahead, 0)
		for i := range ahead {
			p.fetch(ahead, i+1)
			p.look(&ahead[i])
		}
	}
	if s.m.size.rows > 0 {
		p.around()
	}
	return s.settle(ctx)
}

// goWide looks into more places at once where something must be read, for it does not then read the cells that guests of
// those come from: that would be one more round of reads, and the fronts that come in this one hold most of them.
func (p *probing) goWide(probes int) {
	if p.far {
		return
	}
	p.far = true
	p.left += math.Ceil(float64(probes) * wideShare)
}

// wideShare of places more.
const wideShare = 0.25

// around looks at the fresh rows of near neighbourhoods of which no cell was looked into: a cell that has come
// nearer to them since they were pushed is no reason to miss them.
func (p *probing) around() {
	r := p.ranking
	end := p.outmost()
	for at, home := range r.search.Homes() {
		if at == end {
			break
		}
		if r.seen[home] == 0 {
			p.deltas(p.m.byPlace[home].id)
		}
	}
	for home := range r.search.Passed(end) {
		p.deltas(p.m.byPlace[home].id)
	}
}

// outmost is how many of the neighbourhoods found are near: with a filter, all that are nearer than one that was looked into,
// for those in which it means nothing were passed over, and so were their fresh rows.
func (p *probing) outmost() int {
	end := navigate.HomesAround
	if p.chosen == nil {
		return end
	}
	for at, home := range p.ranking.search.Homes() {
		if p.ended || p.ranking.seen[home] != 0 {
			end = max(end, at+1)
		}
	}
	return end
}

// aheadLeast is how many places are read at once where something must be read, even though matches are what
// is lacking.
const aheadLeast = 32

// aheadMost is how many places are looked up before they are looked into, where nothing must be read.
const aheadMost = 256

// fetch asks the processor for the codes of a visit's cell.
func (p *probing) fetch(ahead []visit, i int) {
	if i >= len(ahead) {
		return
	}
	if v := &ahead[i]; v.home.cells != nil && len(v.blocks) > 0 {
		run := v.blocks[v.home.celled].Cell(v.place.Cell())
		quantize.Prefetch(run.Chunks)
		run.FetchGuests()
	}
}

// wantsFirst is how many places a query will have to be told of, as far as is known before.
func (p *probing) wantsFirst(probes int) int {
	if p.chosen == nil {
		return probes
	}
	return int(min(float64(probes)/p.worth*9/8+8, float64(p.m.places())))
}

// search finds the n nearest places.
func (p *probing) search(n int) {
	p.wants, p.at = n, 0
	if p.chosen == nil {
		p.found = p.ranking.search.Nearest(p.m.atlas, &p.ranking.query, n)
	} else {
		p.found = p.ranking.search.NearestIn(p.m.atlas, &p.ranking.query, n, p.scan)
	}
}

// next is the next place to look into; false at the end.
func (p *probing) next() (v visit, ok bool) {
	if v, ok := p.call(); ok {
		return v, true
	}
	for p.left > 0 || p.matches < p.needed || !p.ranking.limit.full() {
		if p.at == len(p.found) {
			if p.ended = p.wants >= p.m.atlas.Places() || p.chosen != nil && len(p.found) < p.wants; p.ended {
				return v, false
			}
			p.search(min(p.growth()*p.wants+16, p.m.atlas.Places()))
			continue
		}
		place := p.found[p.at]
		p.at++
		if v, ok := p.visit(place); ok {
			p.left -= v.worth
			return v, true
		}
	}
	return v, false
}

// wanted tells which parts of its neighbourhood a visit looks into.
func (v *visit) wanted(part int) bool {
	return v.first || v.home.cells != nil && part == v.home.celled
}

// growth of a search that was not wide enough. With a filter, what is wanted was known.
func (p *probing) growth() int {
	if p.chosen != nil {
		return 2
	}
	return 4
}

// peek takes what is in memory, and reports whether something must be read.
func (p *probing) peek(v *visit) (missing bool) {
	r := p.ranking
	from := len(r.blocks)
	for i := range v.home.parts {
		if !v.wanted(i) {
			r.blocks = append(r.blocks, nil)
			continue
		}
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

// read reads what is missing, in parallel, and each block once.
func (p *probing) read(ctx context.Context, ahead []visit) error {
	var parts []part
	places := map[*held]int{}
	p.eachMissing(ahead, func(at *part, _ **segment.Block) {
		if _, ok := places[at.held]; !ok {
			places[at.held] = len(parts)
			parts = append(parts, *at)
		}
	})
	blocks, read, err := p.o.e.cache.blocks(ctx, parts)
	p.noteRead(read)
	if err != nil {
		return err
	}
	p.eachMissing(ahead, func(at *part, to **segment.Block) { *to = blocks[places[at.held]] })
	p.ranking.came = make(map[*held]*segment.Block, len(places))
	for h, at := range places {
		p.ranking.came[h] = blocks[at]
	}
	return nil
}

func (p *probing) eachMissing(ahead []visit, f func(at *part, to **segment.Block)) {
	for i := range ahead {
		v := &ahead[i]
		for j := range v.blocks {
			if v.blocks[j] == nil && v.wanted(j) {
				f(&v.home.parts[j], &v.blocks[j])
			}
		}
	}
}

// look compares with all rows of a place.
func (p *probing) look(v *visit) {
	p.explain.Probed++
	p.ranking.calling = !v.called && !p.far
	h := v.home
	if h.cells != nil && len(v.blocks) > 0 {
		probe := p.m.atlas.Probe(&p.ranking.query, v.place)
		b := v.blocks[h.celled]
		before := p.matches
		p.run(b, b.Cell(v.place.Cell()), &h.parts[h.celled], &probe)
		if p.chosen != nil && !v.called {
			p.left += v.worth
			if p.matches > before {
				p.left -= p.worth
			}
		}
	}
	if !v.first {
		return
	}
	p.deltas(h.id)
	var probe *quantize.Probe
	for i, b := range v.blocks {
		if h.cells != nil && i == h.celled {
			continue
		}
		if probe == nil {
			at := p.ranking.query.At(h.centroid)
			probe = &at
		}
		p.run(b, b.Whole(), &h.parts[i], probe)
	}
}

func (p *probing) run(b *segment.Block, run segment.Run, from *part, probe *quantize.Probe) {
	switch {
	case p.chosen != nil:
		p.selected(b, run, from, probe)
	case b.Coded():
		p.coded(b, run, from, probe)
	default:
		p.block(b)
	}
}
