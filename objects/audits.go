package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/index"
)

const (
	auditLeast  = 4 << 20   // bytes a second, however little there is to read
	auditMost   = 128 << 20 // however late it is
	auditAtOnce = 2         // drives
	auditKept   = time.Minute
	problemsMax = 200 // that are remembered one by one
)

// audits are the audits of the drives.
type audits struct {
	mu       sync.Mutex // never held across I/O
	loaded   bool
	cursors  map[uint16]audit.Cursor
	since    map[uint16]time.Time // when a drive was first seen
	running  map[uint16]*auditing
	asked    map[uint16]bool // to be audited now, as fast as users let it
	problems []Problem       // found last, the newest at the end
	found    audit.Found     // by all passes since the store was opened
	wake     chan struct{}
}

// Problem is one thing that an audit found.
type Problem struct {
	At     time.Time
	Drive  uint16
	Extent uint32 // 0: the drive's own files
	Key    string // of the index value that named it; "" where nothing did
	What   string
}

// AuditStatus tells of one drive's audit.
type AuditStatus struct {
	Drive      uint16
	Running    bool
	Began      time.Time // of the pass under way
	Bytes      int64     // read by it
	BytesTotal int64     // on the drive
	Rate       int64     // bytes a second that are planned; 0: as many as users let it
	Passes     uint64
	LastEnded  time.Time
	Next       time.Time     // when the next pass begins, where none is under way
	AgeHalf    time.Duration // since half of the bytes were verified
	AgeMax     time.Duration
	Orphans    int64 // records of the pass that nobody names
}

func (a *audits) init() {
	a.cursors, a.since = map[uint16]audit.Cursor{}, map[uint16]time.Time{}
	a.running, a.asked = map[uint16]*auditing{}, map[uint16]bool{}
	a.wake = make(chan struct{}, 1)
}

func (s *Store) auditSchedule() audit.Schedule {
	return audit.Schedule{Every: s.o.Audit, Least: auditLeast, Most: auditMost}
}

// auditLoop begins an audit of each drive whose time has come.
func (s *Store) auditLoop() {
	var passes sync.WaitGroup
	defer passes.Wait()
	slots := make(chan struct{}, auditAtOnce)
	for {
		tick := make(chan struct{})
		stop := s.host.Clock.AfterFunc(s.o.AuditPause, func() { close(tick) })
		select {
		case <-s.life.Done():
			stop()
			return
		case <-tick:
		case <-s.audits.wake:
			stop()
		}
		if err := s.loadCursors(s.life); err != nil {
			continue
		}
		for _, m := range s.drives.list() {
			if p := s.auditDue(m); p != nil {
				passes.Go(func() { s.auditDrive(p, slots) })
			}
		}
	}
}

func (s *Store) loadCursors(ctx context.Context) error {
	a := &s.audits
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.loaded {
		return nil
	}
	p := []byte(auditPrefix)
	for item, err := range s.idx.Scan(ctx, p, PrefixEnd(p), index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("read the cursors of audits: %w", err)
		}
		_, payload, err := DecodeValue(item.Value)
		var c audit.Cursor
		if err == nil {
			c, err = audit.DecodeCursor(payload)
		}
		var number uint16
		if _, scan := fmt.Sscanf(string(item.Key[len(p):]), "%d", &number); err == nil && scan == nil {
			a.cursors[number] = c
		} // else it begins anew
	}
	a.loaded = true
	return nil
}

// auditDue is a pass that is to begin now; nil: none is.
func (s *Store) auditDue(m *member) *auditing {
	if m.Drive == nil || !m.readable() {
		return nil
	}
	a, now := &s.audits, s.host.Clock.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.cursors[m.number]
	if a.running[m.number] != nil {
		return nil
	}
	hurry := a.asked[m.number]
	if c.Began.IsZero() && !hurry && now.Before(s.auditSchedule().Next(&c)) {
		return nil
	}
	if hurry {
		c.Began = time.Time{} // from the beginning
	}
	delete(a.asked, m.number)
	p := s.auditing(m, c)
	p.hurry = hurry
	a.running[m.number] = p
	return p
}

func (s *Store) auditing(m *member, c audit.Cursor) *auditing {
	p := &auditing{s: s, m: m, step: func() {}}
	p.pass = audit.Pass{Drive: m, World: p, Cursor: c}
	p.ctx, p.stop = context.WithCancel(s.life)
	return p
}

// auditDrive runs a pass when it is its turn.
func (s *Store) auditDrive(p *auditing, slots chan struct{}) {
	defer p.stop()
	var err error
	select {
	case slots <- struct{}{}:
		if err = s.checkFiles(p); err == nil {
			err = p.pass.Run(p.ctx)
		}
		p.rest()
		<-slots
	case <-p.ctx.Done():
		err = p.ctx.Err()
	}
	s.audits.mu.Lock()
	delete(s.audits.running, p.m.number)
	s.audits.mu.Unlock()
	p.count()
	if s.life.Err() != nil || errors.Is(err, context.Canceled) {
		return
	}
	if err == nil {
		err = s.settleLosses(s.life)
	}
	if err != nil {
		s.host.Log.Warn("audit cut off; it goes on", "drive", p.m.number, "error", err)
	}
	if s.o.Events.Audited != nil {
		s.o.Events.Audited(p.m.number, p.pass.Found, err)
	}
}

// checkFiles looks at the drive's header and root record, and writes what is rotten anew.
func (s *Store) checkFiles(p *auditing) error {
	err := p.m.CheckFiles()
	if err == nil {
		return nil
	}
	s.problem(Problem{Drive: p.m.number, What: err.Error()})
	s.measures.count(func(d *durability.Day) { d.Latent++ })
	if h, ok := p.m.Drive.(interface{ HealHeader() error }); ok {
		if err := h.HealHeader(); err != nil {
			return err
		}
	}
	if s.journal == nil {
		return nil
	}
	return s.roots.save(p.ctx, func(*rootRecord) {})
}

// problem notes what was found.
func (s *Store) problem(p Problem) {
	p.At = s.host.Clock.Now()
	s.host.Log.Warn("audit found damage", "drive", p.Drive, "extent", p.Extent, "key", p.Key, "what", p.What)
	a := &s.audits
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problems = append(a.problems, p); len(a.problems) > problemsMax {
		a.problems = slices.Delete(a.problems, 0, len(a.problems)-problemsMax)
	}
}

// AuditNow has every drive audited from its beginning, as fast as users let it.
// Audits under way are begun anew.
func (s *Store) AuditNow() {
	a := &s.audits
	a.mu.Lock()
	for _, m := range s.drives.list() {
		a.asked[m.number] = true
		if p := a.running[m.number]; p != nil {
			p.stop()
		}
	}
	a.mu.Unlock()
	tap(a.wake)
}

// Audits tells of every drive's audit, what all of them found since the store was
// opened, and the problems found last.
func (s *Store) Audits() ([]AuditStatus, audit.Found, []Problem) {
	a, now, schedule := &s.audits, s.host.Clock.Now(), s.auditSchedule()
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []AuditStatus
	found := a.found
	for _, m := range s.drives.list() {
		if m.Drive == nil {
			continue
		}
		total := usedBytes(m)
		c := a.cursors[m.number]
		st := AuditStatus{Drive: m.number, BytesTotal: total}
		if a.since[m.number].IsZero() {
			a.since[m.number] = m.Header().Created
		}
		if p := a.running[m.number]; p != nil {
			var now audit.Found
			c, now = p.now()
			st.Running, found = true, found.Plus(now)
			if !p.hurry {
				st.Rate = schedule.Rate(&c, p.s.host.Clock.Now(), total)
			}
		}
		st.Began, st.Bytes, st.Passes, st.LastEnded, st.Orphans, st.Next = c.Began, c.Bytes, c.Passes, c.LastEnded, c.Orphans, schedule.Next(&c)
		if a.asked[m.number] {
			st.Running = true // it is about to begin
		}
		st.AgeHalf, st.AgeMax = c.Ages(now, a.since[m.number], total)
		all = append(all, st)
	}
	return all, found, slices.Clone(a.problems)
}

func usedBytes(m *member) (n int64) {
	for _, e := range m.Extents() {
		n += e.Bytes
	}
	return n
}

// AuditEvery is the time in which every byte is read once.
func (s *Store) AuditEvery() time.Duration { return s.o.Audit }
