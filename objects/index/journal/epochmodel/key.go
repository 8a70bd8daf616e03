package epochmodel

import (
	"cmp"
	"slices"
)

// key is a state in which drives have no names: two states that differ only in
// which drive is which are explored once. What nobody can read is left out.
type key struct {
	logs    [drivesAll]uint64
	facts   [drivesAll]uint32
	process [2]uint64
}

type packed struct {
	logs  uint64
	facts uint32
}

func (s *state) key() key {
	var drives [drivesAll]packed
	for d := range drivesAll {
		drives[d] = s.pack(d)
	}
	slices.SortFunc(drives[:], func(a, b packed) int {
		return cmp.Or(cmp.Compare(a.logs, b.logs), cmp.Compare(a.facts, b.facts))
	})
	k := key{process: s.packProcess()}
	for d, p := range drives {
		k.logs[d], k.facts[d] = p.logs, p.facts
	}
	return k
}

// gather packs small numbers into one.
type gather uint64

func (g *gather) add(width int, v uint8) {
	if v>>width != 0 {
		panic("epochmodel: a number is wider than its field")
	}
	*g = *g<<width | gather(v)
}

func (g *gather) flag(b bool) {
	if b {
		g.add(1, 1)
	} else {
		g.add(1, 0)
	}
}

// pack is everything about one drive: 12 bits a log, 29 of other facts.
func (s *state) pack(d int) packed {
	var logs, facts gather
	disk := &s.disks[d]
	for id := range uint8(epochsMax) {
		var l records
		member := false
		if s.refersTo(id) {
			l, member = disk.logs[id], s.members[id].has(d)
		}
		logs.flag(l.opened)
		logs.flag(l.unsynced)
		logs.add(2, l.acknowledged)
		logs.addEntries(l.entries)
		facts.flag(member)
	}
	facts.add(4, disk.number)
	facts.add(3, disk.id)
	facts.add(4, disk.reserved)
	for _, b := range []bool{disk.written, s.present.has(d), s.impaired.has(d), s.done.has(d)} {
		facts.flag(b)
	}
	return packed{uint64(logs), uint32(facts)}
}

func (g *gather) addEntries(l entries) {
	g.add(2, l.n)
	for _, e := range l.e {
		g.add(2, e)
	}
}

func (s *state) packProcess() [2]uint64 {
	var process, observer gather
	process.add(4, uint8(s.phase))
	for _, e := range []epoch{s.current, s.next} {
		process.add(4, e.number)
		process.add(3, e.id)
	}
	process.add(4, s.reserved)
	process.addEntries(s.log)
	process.add(2, s.pending)
	observer.addEntries(s.shown)
	observer.add(4, s.refused)
	observer.add(2, s.submitted)
	observer.flag(s.served)
	observer.add(3, s.failures)
	observer.add(3, s.crashes)
	return [2]uint64{uint64(process), uint64(observer)}
}
