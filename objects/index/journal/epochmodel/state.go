package epochmodel

import "math/bits"

const (
	drivesAll  = 4
	copies     = 2 // m+1
	missingMax = 1 // m
	entriesMax = 3
	epochsMax  = 5 // that roots and the process refer to at once
)

type phase uint8

const (
	down phase = iota
	serving
	writing
	sealed
	reserving
	copying
	naming
	rewriting
	resaving
)

// set is a set of drives.
type set uint8

func (s set) has(d int) bool      { return s>>d&1 == 1 }
func (s set) with(d int) set      { return s | 1<<d }
func (s set) without(d int) set   { return s &^ (1 << d) }
func (s set) count() int          { return bits.OnesCount8(uint8(s)) }
func (s set) contains(o set) bool { return o&^s == 0 }

// entries is a short list of entry numbers, 1 to entriesMax.
type entries struct {
	n uint8
	e [entriesMax]uint8
}

func (l entries) with(e uint8) entries {
	l.e[l.n] = e
	l.n++
	return l
}

func (l entries) startsWith(o entries) bool {
	for i := range o.n {
		if i >= l.n || l.e[i] != o.e[i] {
			return false
		}
	}
	return true
}

func (l entries) has(e uint8) bool {
	for i := range l.n {
		if l.e[i] == e {
			return true
		}
	}
	return false
}

// epoch as a root names it. id tells attempts at the same number apart; its
// drives are in state.members.
type epoch struct{ number, id uint8 }

type root struct {
	epoch
	reserved uint8
	written  bool
}

// records of one epoch on one drive.
type records struct {
	opened       bool // the epoch's opening mark is there
	unsynced     bool // the last entry is
	acknowledged uint8
	entries
}

type disk struct {
	root
	logs [epochsMax]records // by epoch id
}

// state is all that matters.
type state struct {
	disks    [drivesAll]disk
	members  [epochsMax]set // by epoch id
	present  set
	impaired set // may lack something: at most missingMax
	phase    phase

	// of the process
	current, next epoch
	reserved      uint8
	log           entries // of current
	pending       uint8   // entry under way
	done          set     // drives that took the present step

	// of the observer
	shown     entries // acknowledged, or served by a log that had been recovered
	refused   uint8   // bit e: entry e was not there when the log served
	submitted uint8
	served    bool
	failures  uint8
	crashes   uint8
}

func start() state {
	s := state{}
	for d := range drivesAll {
		s.present = s.present.with(d)
	}
	return s
}

// id draws one that nobody refers to.
func (s *state) id() (uint8, bool) {
	for id := range uint8(epochsMax) {
		if !s.refersTo(id) {
			return id, true
		}
	}
	return 0, false
}

func (s *state) refersTo(id uint8) bool {
	for d := range drivesAll {
		if s.disks[d].number > 0 && s.disks[d].id == id {
			return true
		}
	}
	return s.current.number > 0 && s.current.id == id || s.next.number > 0 && s.next.id == id
}

func (s *state) drives() set { return s.members[s.current.id] }
