package placement

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
)

// Choose gives well drives for count more shards of the stripe with this id, in
// the order of their shards. Drives that hold shards of it already (held) are
// not chosen again, and count in their domains. m of the stripe's shards are
// spare. Fewer than count are returned where there are no more.
//
// Where the drives have groups, the stripe's drives are of one, as far as enough of
// them are well; others join it where domains are no fuller for it than they must be.
func (l Layout) Choose(stripe [16]byte, count, m int, held ...uint16) []uint16 {
	group := l.group(stripe, count, held)
	if group < 0 {
		return l.spread(count, m, held).take(stripe, count)
	}
	chosen := l.within(group, held).spread(count, m, held).take(stripe, count)
	if missing := count - len(chosen); missing > 0 {
		others := slices.Concat(held, chosen)
		chosen = append(chosen, l.substitutes(others, missing, m)...)
	}
	if l.lopsided(slices.Concat(held, chosen), m) {
		return l.spread(count, m, held).take(stripe, count)
	}
	return chosen
}

// take uses the best drives, up to count.
func (s *spread) take(stripe [16]byte, count int) []uint16 {
	var chosen []uint16
	for len(chosen) < count {
		best := s.next(stripe)
		if best < 0 {
			break
		}
		s.use(best)
		chosen = append(chosen, s.drives[best].Number)
	}
	return chosen
}

// candidate is a group that a stripe may fall to.
type candidate struct {
	held, well int   // of its drives, that hold shards of the stripe, and that can take one
	free       int64 // on the one with the least
}

// group is the one that a stripe's shards fall to: of those with the most drives that
// hold some already, and the most others that can take one, one by lot. -1: there
// are no groups, or one of all drives.
func (l Layout) group(stripe [16]byte, count int, held []uint16) int {
	var groups []candidate
	for i := range l {
		for _, n := range l[i].Groups {
			for len(groups) <= n {
				groups = append(groups, candidate{})
			}
			groups[n].count(&l[i], slices.Contains(held, l[i].Number))
		}
	}
	if len(groups) < 2 {
		return -1
	}
	best, bestLot := -1, 0.0
	for n, g := range groups {
		c := 0
		if best >= 0 {
			b := groups[best]
			c = cmp.Or(cmp.Compare(b.held, g.held), cmp.Compare(min(b.well, count), min(g.well, count)))
		}
		if c > 0 {
			continue
		}
		as := Drive{Number: uint16(n), Free: g.free}
		if lot := as.lot(stripe); best < 0 || c < 0 || lot < bestLot {
			best, bestLot = n, lot
		}
	}
	return best
}

func (c *candidate) count(d *Drive, held bool) {
	switch {
	case held:
		c.held++
	case d.Well:
		if c.well++; c.well == 1 || d.Free < c.free {
			c.free = d.Free
		}
	}
}

// within is the drives of a group, and some others.
func (l Layout) within(group int, others []uint16) (some Layout) {
	for i := range l {
		if slices.Contains(l[i].Groups, group) || slices.Contains(others, l[i].Number) {
			some = append(some, l[i])
		}
	}
	return some
}

// lopsided reports whether some drives put more shards in a domain than the well
// drives and these call for. Groups are right where all drives are well.
func (l Layout) lopsided(chosen []uint16, m int) bool {
	if !slices.ContainsFunc(l, func(d Drive) bool { return !d.Well }) {
		return false
	}
	var usable Layout
	for i := range l {
		if l[i].Well || slices.Contains(chosen, l[i].Number) {
			usable = append(usable, l[i])
		}
	}
	at := usable.safe(len(chosen), m)
	return at < Folder && usable.fullest(at, chosen) > usable.most(at, len(chosen))
}

// spread is a choice under way.
type spread struct {
	drives Layout // candidates
	used   []bool
	from   Level // coarsest that matters
	places [levels]places
}

// places numbers the domains of a level and counts the shards in each.
type places struct {
	of     []int // by candidate
	shards []int // by domain
}

func (l Layout) spread(count, m int, held []uint16) *spread {
	var usable Layout
	s := &spread{}
	for i := range l {
		if slices.Contains(held, l[i].Number) {
			usable = append(usable, l[i])
		}
	}
	holders := len(usable)
	for i := range l {
		if l[i].Well && !slices.Contains(held, l[i].Number) {
			usable = append(usable, l[i])
		}
	}
	s.drives, s.used = usable[holders:], make([]bool, len(usable)-holders)
	s.from = usable.safe(min(count+len(held), len(usable)), m)
	for at := s.from; at < levels; at++ {
		s.places[at] = usable.places(at, holders)
	}
	return s
}

// places numbers the domains of a level. The first drives hold a shard each and
// are no candidates.
func (l Layout) places(at Level, holders int) places {
	p := places{of: make([]int, 0, len(l)), shards: make([]int, 0, len(l))}
	for i := range l {
		n := len(p.shards)
		for j := range i {
			if l[i].together(&l[j], at) {
				n = p.of[j]
				break
			}
		}
		if n == len(p.shards) {
			p.shards = append(p.shards, 0)
		}
		if p.of = append(p.of, n); i < holders {
			p.shards[n]++
		}
	}
	p.of = p.of[holders:]
	return p
}

func (s *spread) use(i int) {
	s.used[i] = true
	for at := s.from; at < levels; at++ {
		p := &s.places[at]
		p.shards[p.of[i]]++
	}
}

// next is the unused drive in the emptiest domains, coarser ones first; among
// equals the one that the stripe's lot falls to. -1 where none is left.
func (s *spread) next(stripe [16]byte) int {
	best, bestLot := -1, 0.0
	for i := range s.drives {
		if s.used[i] {
			continue
		}
		c := -1
		if best >= 0 {
			c = s.compare(i, best)
		}
		if c > 0 {
			continue
		}
		lot := s.drives[i].lot(stripe)
		if c < 0 || lot < bestLot || lot == bestLot && s.drives[i].Number < s.drives[best].Number {
			best, bestLot = i, lot
		}
	}
	return best
}

func (s *spread) compare(a, b int) int {
	for at := s.from; at < levels; at++ {
		p := &s.places[at]
		if d := p.shards[p.of[a]] - p.shards[p.of[b]]; d != 0 {
			return d
		}
	}
	return 0
}

// lot is a draw from the exponential distribution, the smaller the more space
// is free: among drives, each has the least one with a probability in
// proportion to its space (Efraimidis and Spirakis, 2006).
func (d *Drive) lot(stripe [16]byte) float64 {
	x := mix(binary.LittleEndian.Uint64(stripe[:]))
	x = mix(x ^ binary.LittleEndian.Uint64(stripe[8:]))
	x = mix(x ^ uint64(d.Number))
	u := (float64(x>>11) + 0.5) / (1 << 53)
	return -math.Log(u) / float64(max(d.Free, 1))
}

// mix is the finalizer of SplitMix64: it spreads every bit over all.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
