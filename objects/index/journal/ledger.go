package journal

import (
	"sort"

	"github.com/tarnlake/tarn/objects/drive"
)

// ledger says where each kept record lies: one span a record, and in each lane,
// at the same place, its address on that lane's drive. Kept apart so that a
// record costs 16 bytes and 12 a copy.
type ledger struct {
	number uint64   // of the epoch
	id     [16]byte // of the epoch
	spans  []span
	lanes  []lane
	bytes  int64 // of all spans
}

type span struct {
	first        uint64
	count, bytes uint32 // entries; bytes of the whole record
}

func (s span) last() uint64 { return s.first + uint64(s.count) - 1 }

type lane struct {
	drive   Drive
	at      []drive.Address
	extents map[uint32]*extentUse
	newest  drive.Address // of the newest record: its extent stays, so that the drive never looks wiped
}

// extentUse is what the journal has in one extent.
type extentUse struct {
	last  uint64 // highest sequence that it holds, or that a mark in it comes after
	bytes int64
}

func (l *lane) note(at drive.Address, last uint64, bytes int) {
	use := l.extents[at.Extent]
	if use == nil {
		use = &extentUse{}
		l.extents[at.Extent] = use
	}
	use.last, use.bytes = max(use.last, last), use.bytes+int64(bytes)
	if top := l.extents[l.newest.Extent]; top == nil || last >= top.last {
		l.newest = at
	}
}

// unneeded reports whether nothing in an extent is needed once a newer record on
// this drive, or its root, says that entries through trimmed are not.
func (l *lane) unneeded(extent uint32, trimmed uint64) bool {
	use := l.extents[extent]
	return use == nil || use.last <= trimmed && extent != l.newest.Extent
}

func newLedger(s State, drives []Drive) *ledger {
	l := &ledger{number: s.Epoch, id: s.ID}
	for _, d := range drives {
		l.lanes = append(l.lanes, lane{drive: d, extents: map[uint32]*extentUse{}})
	}
	return l
}

func (l *ledger) identity() drive.Identity { return drive.Identity{Stripe: l.id} }

func (l *ledger) drives() []Drive {
	var ds []Drive
	for _, n := range l.lanes {
		ds = append(ds, n.drive)
	}
	return ds
}

// add enters a record that lies at the given place of each lane. A zero address
// means that this lane lacks it. A mark has no span.
func (l *ledger) add(h header, at []drive.Address) {
	size := recordHeaderBytes + int(h.contentBytes)
	for i := range l.lanes {
		if !at[i].IsZero() {
			l.lanes[i].note(at[i], h.last(), size)
		}
		if h.count > 0 {
			l.lanes[i].at = append(l.lanes[i].at, at[i])
		}
	}
	if h.count > 0 {
		l.spans = append(l.spans, span{h.first, h.count, uint32(size)})
		l.bytes += int64(size)
	}
}

// find gives the record that holds a sequence, and where its copies lie.
func (l *ledger) find(sequence uint64) (span, []spot, bool) {
	i := sort.Search(len(l.spans), func(i int) bool { return l.spans[i].last() >= sequence })
	if i == len(l.spans) || l.spans[i].first > sequence {
		return span{}, nil, false
	}
	var spots []spot
	for _, n := range l.lanes {
		if !n.at[i].IsZero() {
			spots = append(spots, spot{n.drive, n.at[i]})
		}
	}
	return l.spans[i], spots, true
}

type spot struct {
	drive Drive
	at    drive.Address
}

// trim forgets the records that lie wholly at or before through.
func (l *ledger) trim(through uint64) {
	n := sort.Search(len(l.spans), func(i int) bool { return l.spans[i].last() > through })
	for _, s := range l.spans[:n] {
		l.bytes -= int64(s.bytes)
	}
	l.spans = l.spans[n:]
	for i := range l.lanes {
		l.lanes[i].at = l.lanes[i].at[n:]
	}
}

// move notes that a record was written once more.
func (l *ledger) move(h header, at []drive.Address) {
	i := sort.Search(len(l.spans), func(i int) bool { return l.spans[i].first >= h.first })
	for k := range l.lanes {
		l.lanes[k].at[i] = at[k]
		l.lanes[k].note(at[k], h.last(), recordHeaderBytes+int(h.contentBytes))
	}
}
