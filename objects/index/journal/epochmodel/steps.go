package epochmodel

import "fmt"

// walk produces what may follow on a state.
type walk struct {
	bounds Bounds
	emit   func(step string, s state)
	broken func(why string)
}

func (w *walk) from(s state) {
	w.world(s)
	switch s.phase {
	case down:
		w.open(s)
	case serving:
		w.serve(s)
	case writing:
		w.write(s)
	case sealed:
		w.seal(s)
	case reserving:
		w.reserve(s)
	case copying:
		w.copy(s)
	case naming:
		w.name(s)
	case rewriting:
		w.rewrite(s)
	case resaving:
		w.resave(s)
	}
}

// world does what nobody asked for.
func (w *walk) world(s state) {
	for d := range drivesAll {
		mayFail := s.failures < w.bounds.Failures && (s.impaired.has(d) || s.impaired.count() < missingMax)
		if s.present.has(d) && mayFail {
			gone := s
			gone.present, gone.impaired, gone.failures = s.present.without(d), s.impaired.with(d), s.failures+1
			w.emit(fmt.Sprintf("drive %d vanishes", d), gone)
			gone.present, gone.disks[d] = s.present, disk{}
			w.emit(fmt.Sprintf("drive %d is wiped", d), gone)
		}
		if !s.present.has(d) {
			back := s
			back.present = s.present.with(d)
			w.emit(fmt.Sprintf("drive %d returns", d), back)
		}
	}
	if s.phase != down && s.crashes < w.bounds.Crashes {
		w.crash(s)
	}
}

// crash kills the process, or cuts the power, after which each unsynced write is
// there or not.
func (w *walk) crash(s state) {
	s.phase, s.current, s.next, s.reserved, s.log, s.pending, s.done = down, epoch{}, epoch{}, 0, entries{}, 0, 0
	s.crashes++
	w.emit("the process is killed", s)
	outcomes := []state{s}
	for d := range drivesAll {
		for id := range s.disks[d].logs {
			if !s.disks[d].logs[id].unsynced {
				continue
			}
			for _, o := range outcomes {
				kept := o
				kept.disks[d].logs[id].unsynced = false
				lost := kept
				l := &lost.disks[d].logs[id]
				l.n--
				l.e[l.n] = 0
				outcomes = append(outcomes, kept, lost)
			}
		}
	}
	for _, o := range outcomes[1:] {
		w.emit("the power is cut", o)
	}
}

func (w *walk) serve(s state) {
	if !s.present.contains(s.drives()) {
		s.phase = sealed
		w.emit("a drive of the epoch is missed", s)
		return
	}
	if s.failures < w.bounds.Failures {
		n := s
		n.phase, n.failures = sealed, s.failures+1
		w.emit("a drive of the epoch is too slow", n)
	}
	if s.submitted < w.bounds.Entries {
		s.submitted++
		s.pending, s.done, s.phase = s.submitted, 0, writing
		w.emit(fmt.Sprintf("entry %d is submitted", s.pending), s)
	}
}

func (w *walk) write(s state) {
	if s.done == s.drives() {
		s.log = s.log.with(s.pending)
		s.shown, s.pending, s.phase, s.done = s.log, 0, serving, 0
		w.emit("it is acknowledged", s)
		return
	}
	for d := range drivesAll {
		if !s.drives().has(d) || s.done.has(d) {
			continue
		}
		n := s
		l := &n.disks[d].logs[s.current.id]
		switch {
		case !s.present.has(d):
			n.phase, n.done = sealed, 0
			w.emit(fmt.Sprintf("drive %d fails the append", d), n)
		case l.unsynced:
			l.unsynced, n.done = false, s.done.with(d)
			w.emit(fmt.Sprintf("drive %d syncs", d), n)
		case l.opened && l.n == s.log.n:
			l.entries, l.unsynced, l.acknowledged = l.with(s.pending), true, s.log.n
			w.emit(fmt.Sprintf("drive %d writes", d), n)
		default: // it was wiped meanwhile
			n.phase, n.done = sealed, 0
			w.emit(fmt.Sprintf("drive %d fails the append", d), n)
		}
	}
}

func (w *walk) seal(s state) {
	if s.reserved++; w.bounds.Flaw == NoReservation {
		s.reserved = s.current.number + 1
	}
	s.done, s.phase = 0, reserving
	w.emit(fmt.Sprintf("epoch %d is to be reserved", s.reserved), s)
}

// everyRoot lets the process write one root after the other, and then calls then.
func (w *walk) everyRoot(s state, what string, r root, then func(s state)) {
	if s.done.contains(s.present) && s.done.count() >= copies {
		then(s)
		return
	}
	for d := range drivesAll {
		if s.present.has(d) && !s.done.has(d) {
			n := s
			n.disks[d].root, n.done = r, s.done.with(d)
			w.emit(fmt.Sprintf("root %d: %s", d, what), n)
		}
	}
}

func (w *walk) reserve(s state) {
	if w.bounds.Flaw == NoReservation {
		w.choose(s)
		return
	}
	w.everyRoot(s, "reserved", root{s.current, s.reserved, true}, w.choose)
}

// choose takes any drives that are there for the next epoch.
func (w *walk) choose(s state) {
	id, ok := s.id()
	if !ok {
		w.broken("the bounds need more ids")
		return
	}
	for chosen := range set(1 << drivesAll) {
		if chosen.count() == copies && s.present.contains(chosen) {
			n := s
			n.next, n.members[id], n.done, n.phase = epoch{s.reserved, id}, chosen, 0, copying
			if w.bounds.Flaw == NamedBeforeCopied {
				n.phase = naming
			}
			w.emit(fmt.Sprintf("drives %04b are chosen", chosen), n)
		}
	}
}

// whole is the log with the entry under way.
func (s state) whole() entries {
	if s.pending == 0 {
		return s.log
	}
	return s.log.with(s.pending)
}

func (w *walk) copy(s state) {
	if s.done == s.members[s.next.id] {
		s.phase, s.done = naming, 0
		if w.bounds.Flaw == AcknowledgedBeforeNamed {
			if s.shown.n > s.whole().n {
				w.broken("entries that were acknowledged are left out of the copy")
				return
			}
			s.shown = s.whole()
		}
		if w.bounds.Flaw == NamedBeforeCopied {
			w.install(s, s.members[s.next.id])
			return
		}
		w.emit("all is copied", s)
		return
	}
	for d := range drivesAll {
		if !s.members[s.next.id].has(d) || s.done.has(d) {
			continue
		}
		n := s
		if !s.present.has(d) {
			n.phase, n.done = sealed, 0
			w.emit(fmt.Sprintf("drive %d fails the copy", d), n)
			continue
		}
		n.disks[d].logs[s.next.id] = records{opened: true, acknowledged: s.whole().n, entries: s.whole()}
		n.done = s.done.with(d)
		w.emit(fmt.Sprintf("drive %d has the copy", d), n)
	}
}

func (w *walk) name(s state) {
	w.everyRoot(s, "named", root{s.next, s.reserved, true}, func(s state) {
		if w.bounds.Flaw == NamedBeforeCopied {
			s.phase, s.done = copying, 0
			w.emit("all roots name it", s)
			return
		}
		w.install(s, s.done)
	})
}

func (w *walk) install(s state, reached set) {
	s.log, s.pending, s.current, s.next = s.whole(), 0, s.next, epoch{}
	w.ready(s, reached)
}

// ready is the moment at which the log begins to serve.
func (w *walk) ready(s state, reached set) {
	if !s.log.startsWith(s.shown) {
		w.broken(fmt.Sprintf("the log serves %v; %v was acknowledged or shown", s.log.e[:s.log.n], s.shown.e[:s.shown.n]))
		return
	}
	for e := uint8(1); e <= s.submitted; e++ {
		switch {
		case s.log.has(e) && s.refused>>e&1 == 1:
			w.broken(fmt.Sprintf("entry %d is back from the dead", e))
			return
		case !s.log.has(e):
			s.refused |= 1 << e
		}
	}
	for d := range drivesAll { // older epochs are given back
		for id := range s.disks[d].logs {
			if s.present.has(d) && uint8(id) != s.current.id {
				s.disks[d].logs[id] = records{}
			}
		}
	}
	for d := range drivesAll { // what was told of the epoch, and is whole where it is part of it, lacks nothing
		if l := s.disks[d].logs[s.current.id]; reached.has(d) && s.present.has(d) && (!s.drives().has(d) || l.opened && l.n == s.log.n) {
			s.impaired = s.impaired.without(d)
		}
	}
	s.shown, s.served, s.done, s.phase = s.log, true, 0, serving
	w.emit("the log serves", s)
}
