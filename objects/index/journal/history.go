package journal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tarnlake/tarn/objects/drive"
)

// found is one record of the epoch as it lies on one drive.
type found struct {
	header
	at drive.Address
}

// scanned is all that one drive holds of the epoch.
type scanned struct {
	drive   Drive
	records []found
	rotten  int  // records that did not verify, whosever they are
	open    bool // what did not verify may have been the last
	past    bool // the drive may hold what it held long ago: see Roots.Past
}

// tellsEnd: where this copy ends, the epoch ends.
func (c scanned) tellsEnd() bool { return len(c.records) > 0 && !c.open && !c.past }

// history is what the drives of an epoch say together.
type history struct {
	base         uint64   // entries through here are not needed
	acknowledged uint64   // entries through here are known to have been acknowledged
	last         uint64   // of the verified chain
	chain        uint64   // value after last
	anchored     bool     // chain is known
	records      []header // of the chain, in order: the entries in (base, last]
	whole        []bool   // by scanned: it holds all that was acknowledged, and nothing else
}

// recall finds the longest verified chain of an epoch among the copies of it.
// What lies behind a gap was never acknowledged, or recall refuses. It refuses too where
// every copy may lack the end: were it gone on with, whatever was acknowledged there
// would be gone and nobody told. One copy of m+1 that came to no harm is proof.
func recall(s State, copies []scanned) (history, error) {
	h := history{base: s.Base, acknowledged: s.Start}
	known := map[uint64]header{} // by first
	seen := 0
	for _, c := range copies {
		for _, r := range c.records {
			seen++
			h.base, h.acknowledged = max(h.base, r.trimmed), max(h.acknowledged, r.acknowledged)
			if o, dup := known[r.first]; dup && o.chain != r.chain && r.count > 0 {
				return h, fmt.Errorf("%w: epoch %d has two records at entry %d", ErrForked, s.Epoch, r.first)
			}
			if r.count > 0 {
				known[r.first] = r.header
			}
		}
	}
	if seen == 0 {
		return h, fmt.Errorf("%w: none of %d drives holds a record of epoch %d", ErrLost, len(copies), s.Epoch)
	}
	h.acknowledged = max(h.acknowledged, h.base)
	h.follow(known)
	if h.last < h.acknowledged {
		return h, fmt.Errorf("%w: entries %d to %d of epoch %d", ErrLost, h.last+1, h.acknowledged, s.Epoch)
	}
	if !slices.ContainsFunc(copies, scanned.tellsEnd) {
		return h, fmt.Errorf("%w: epoch %d has entries through %d, but none of its drives %v that are present is sure to hold its end: their copies are damaged or outdated",
			ErrLost, s.Epoch, h.last, s.Drives)
	}
	h.anchor(copies)
	for _, c := range copies {
		h.whole = append(h.whole, h.heldBy(c))
	}
	return h, nil
}

// follow walks the chain from base as far as it verifies.
func (h *history) follow(known map[uint64]header) {
	h.last = h.base
	ordered := slices.SortedFunc(maps.Values(known), func(a, b header) int { return cmp.Compare(a.first, b.first) })
	for _, r := range ordered {
		if r.last() <= h.base {
			continue
		}
		linked := len(h.records) == 0 && r.first <= h.base+1 || // may begin before base
			len(h.records) > 0 && r.first == h.last+1 && r.previous == h.chain
		if !linked {
			return
		}
		h.records, h.last, h.chain = append(h.records, r), r.last(), r.chain
	}
}

// anchor finds the chain value after last.
func (h *history) anchor(copies []scanned) {
	if len(h.records) > 0 {
		h.anchored = true
		return
	}
	for _, c := range copies {
		for _, r := range c.records {
			if r.last() == h.last {
				h.chain, h.anchored = r.after(), true
			}
		}
	}
}

// heldBy reports whether a drive holds everything acknowledged, and nothing that
// is not part of the chain: a later record could else join with what it left.
func (h *history) heldBy(c scanned) bool {
	held := map[uint64]bool{}
	for _, r := range c.records {
		if r.last() > h.last {
			return false
		}
		if r.count > 0 {
			held[r.first] = true
		}
	}
	for _, r := range h.records {
		if r.first <= h.acknowledged && !held[r.first] {
			return false
		}
	}
	return len(c.records) > 0 && c.rotten == 0
}
