package index

import (
	"slices"

	"github.com/zeebo/xxh3"
)

// recent says of most request ids, without a look into the view, that none such is remembered there. It
// never says so of one that is. Bloom filters, each of the ids of a while (Bloom, "Space/time trade-offs in hash coding
// with allowable errors", CACM 1970): 16 bits and 4 probes an id, so that 1 in 400 of the others is looked for in vain.
// It is in memory only, and not a part of the state: what it leaves out changes no outcome. It belongs to the goroutine that applies.
type recent struct {
	blind  bool  // ids are remembered that it has not seen, the last of them at
	opened int64 // this log time
	spells []*spell
}

const (
	spellIDs    = 1 << 19 // of one filter
	spellBits   = 16 * spellIDs
	spellProbes = 4
)

// spell is the filter of the ids of a while.
type spell struct {
	bits   []uint64
	ids    int
	latest int64 // log time of the last one
}

// recentSince begins with a view that may remember ids already.
func recentSince(s state) *recent { return &recent{blind: s.requests > 0, opened: s.logTime} }

// lacks reports that no such id is remembered; false: there may be one.
func (r *recent) lacks(id RequestID) bool {
	if r.blind {
		return false
	}
	h := xxh3.Hash128(id[:])
	return !slices.ContainsFunc(r.spells, func(s *spell) bool { return s.has(h) })
}

func (r *recent) add(id RequestID, logTime int64) {
	if n := len(r.spells); n == 0 || r.spells[n-1].ids == spellIDs {
		r.spells = append(r.spells, &spell{bits: make([]uint64, spellBits/64)})
	}
	r.spells[len(r.spells)-1].add(xxh3.Hash128(id[:]), logTime)
}

// forget is told that nothing is remembered any more of what came until a log time.
func (r *recent) forget(until int64) {
	r.blind = r.blind && r.opened > until
	r.spells = slices.DeleteFunc(r.spells, func(s *spell) bool { return s.latest <= until })
}

func (s *spell) add(h xxh3.Uint128, logTime int64) {
	for i := range uint64(spellProbes) {
		at := (h.Lo + i*h.Hi) % spellBits
		s.bits[at/64] |= 1 << (at % 64)
	}
	s.ids, s.latest = s.ids+1, logTime
}

func (s *spell) has(h xxh3.Uint128) bool {
	for i := range uint64(spellProbes) {
		at := (h.Lo + i*h.Hi) % spellBits
		if s.bits[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}
