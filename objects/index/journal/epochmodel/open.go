package epochmodel

import "fmt"

// open recovers: what the roots and the drives of the newest epoch tell decides
// how it goes on.
func (w *walk) open(s state) {
	newest, known, fork := roots(s)
	switch {
	case fork:
		w.broken("an epoch's number names two epochs")
		return
	case s.served && known < drivesAll-missingMax:
		return // refused: too few roots
	case newest.number == 0 && s.served:
		w.broken("no root knows of an epoch")
		return
	case newest.number == 0:
		s.reserved, s.phase = newest.reserved, sealed
		w.emit("open: a new log", s)
		return
	}
	s.current, s.reserved = newest.epoch, newest.reserved
	log, whole, lost := w.recall(s)
	if lost != "" {
		w.broken(lost)
		return
	}
	s.log = log
	switch {
	case !whole && w.bounds.Flaw != ResumedAlways:
		s.phase = sealed
		w.emit("open: some of the epoch is missing", s)
	case s.reserved > s.current.number && w.bounds.Flaw != ResumedThoughReserved:
		s.phase = sealed
		w.emit("open: a later epoch may have been named", s)
	case w.bounds.Flaw == NoRewrite || !whole:
		s.phase = resaving
		w.emit("open: the epoch is whole", s)
	default:
		s.phase = rewriting
		w.emit("open: the epoch is whole", s)
	}
}

func roots(s state) (newest root, known int, fork bool) {
	for d := range drivesAll {
		r := s.disks[d].root
		if !s.present.has(d) || !r.written {
			continue
		}
		known++
		fork = fork || r.number > 0 && r.number == newest.number && r.id != newest.id
		reserved := max(newest.reserved, r.reserved, r.number)
		if r.number > newest.number {
			newest = r
		}
		newest.reserved = reserved
	}
	return newest, known, fork
}

// recall is the longest log that the present drives of the epoch have, and
// whether each drive of it has all that is known to have been acknowledged.
func (w *walk) recall(s state) (log entries, whole bool, lost string) {
	acknowledged, found := uint8(0), 0
	for d := range drivesAll {
		l := s.disks[d].logs[s.current.id]
		if !s.drives().has(d) || !s.present.has(d) || !l.opened {
			continue
		}
		found++
		acknowledged = max(acknowledged, l.acknowledged)
		if !l.startsWith(log) && !log.startsWith(l.entries) {
			return log, false, "drives of an epoch contradict each other"
		}
		if l.n > log.n {
			log = l.entries
		}
	}
	if found == 0 {
		return log, false, fmt.Sprintf("none of epoch %d's drives has it", s.current.number)
	}
	if log.n < acknowledged {
		return log, false, "acknowledged entries are on no drive"
	}
	whole = found == copies
	for d := range drivesAll {
		whole = whole && (!s.drives().has(d) || s.disks[d].logs[s.current.id].n >= acknowledged)
	}
	return log, whole, ""
}

// rewrite syncs on every drive what may have been unsynced, or on some only.
func (w *walk) rewrite(s state) {
	if s.done == s.drives() {
		s.phase, s.done = resaving, 0
		w.emit("all is written again", s)
		return
	}
	for d := range drivesAll {
		if !s.drives().has(d) || s.done.has(d) {
			continue
		}
		n := s
		l := &n.disks[d].logs[s.current.id]
		if !s.present.has(d) || !l.opened {
			n.phase, n.done = sealed, 0
			w.emit(fmt.Sprintf("drive %d fails the rewriting", d), n)
			continue
		}
		l.entries, l.unsynced, n.done = s.log, false, s.done.with(d)
		w.emit(fmt.Sprintf("drive %d is written again", d), n)
	}
}

func (w *walk) resave(s state) {
	if w.bounds.Flaw == NoResave {
		w.ready(s, s.present)
		return
	}
	w.everyRoot(s, "saved again", root{s.current, s.reserved, true}, func(s state) { w.ready(s, s.done) })
}
