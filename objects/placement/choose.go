package placement

import (
	"encoding/binary"
	"math"
)

// Choose gives well drives for count more shards of the stripe with this id, in
// the order of their shards. Drives that hold shards of it already (held) are
// not chosen again, and count in their domains. m of the stripe's shards are
// spare. Fewer than count are returned where there are no more.
func (l Layout) Choose(stripe [16]byte, count, m int, held ...uint16) []uint16 {
	s := l.spread(count, m, held)
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

// spread is a choice under way.
type spread struct {
	drives Layout // candidates
	used   []bool
	from   Level // coarsest that matters
	shards [levels]map[domain]int
}

func (l Layout) spread(count, m int, held []uint16) *spread {
	holds := map[uint16]bool{}
	for _, n := range held {
		holds[n] = true
	}
	s := &spread{}
	var usable Layout
	for i := range s.shards {
		s.shards[i] = map[domain]int{}
	}
	for i := range l {
		switch {
		case holds[l[i].Number]:
			s.count(&l[i])
			usable = append(usable, l[i])
		case l[i].Well:
			s.drives = append(s.drives, l[i])
			usable = append(usable, l[i])
		}
	}
	s.from = usable.safe(min(count+len(held), len(usable)), m)
	s.used = make([]bool, len(s.drives))
	return s
}

func (s *spread) count(d *Drive) {
	for at := range levels {
		s.shards[at][d.domain(at)]++
	}
}

func (s *spread) use(i int) {
	s.used[i] = true
	s.count(&s.drives[i])
}

// next is the unused drive in the emptiest domains, coarser ones first; among
// equals the one that the stripe's lot falls to. -1 where none is left.
func (s *spread) next(stripe [16]byte) int {
	best, bestLot := -1, 0.0
	for i := range s.drives {
		if s.used[i] {
			continue
		}
		lot := s.drives[i].lot(stripe)
		if best < 0 {
			best, bestLot = i, lot
			continue
		}
		switch c := s.compare(&s.drives[i], &s.drives[best]); {
		case c < 0, c == 0 && lot < bestLot, c == 0 && lot == bestLot && s.drives[i].Number < s.drives[best].Number:
			best, bestLot = i, lot
		}
	}
	return best
}

func (s *spread) compare(a, b *Drive) int {
	for at := s.from; at < levels; at++ {
		if d := s.shards[at][a.domain(at)] - s.shards[at][b.domain(at)]; d != 0 {
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
