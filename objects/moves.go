package objects

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// moves are the shards that go to other drives though nothing is wrong with them: off
// drives that are drained, and for balance.
type moves struct {
	due chan struct{} // holds one token when the layout changed
	mu  struct {
		sync.Mutex
		held    map[uint16]Holding // as it was last counted
		counted time.Time
		asked   bool // a balance, by an operator
		progress
	}
}

// MoveReport is a drain or a balance under way, else the last one.
type MoveReport struct {
	Kind    string // "drain" or "balance"; "": there was none
	Running bool
	Report  RepairReport // Healed counts the stripes that were moved
	Error   string       // why it ended early
}

type progress = MoveReport

func (v *moves) init() { v.due = make(chan struct{}, 1) }

func (v *moves) wake() { tap(v.due) }

func (v *moves) counted(held map[uint16]Holding, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.held, v.mu.counted = held, now
}

// forget what was counted: writes may have come to a drive since.
func (v *moves) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.counted = time.Time{}
}

// ask has a balance begun by the loop.
func (v *moves) ask() {
	v.mu.Lock()
	v.mu.asked, v.mu.progress = true, progress{Kind: "balance", Running: true}
	v.mu.Unlock()
	v.wake()
}

// answer reports whether a balance was asked for, once.
func (v *moves) answer() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	asked := v.mu.asked
	v.mu.asked = false
	return asked
}

// drain says how far a drive is drained; kept: the journal or the view lies there.
func (v *moves) drain(number uint16, kept bool) Drain {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := v.mu.held[number]
	return Drain{Holding: h, Counted: v.mu.counted, Done: !v.mu.counted.IsZero() && h.Shards == 0 && !kept}
}

func (v *moves) tell(p progress) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.progress = p
}

// Moves tells of the drain or the balance under way.
func (s *Store) Moves() MoveReport {
	s.moves.mu.Lock()
	defer s.moves.mu.Unlock()
	return s.moves.mu.progress
}

// movePause lies between two tries to move what found no place.
const movePause = 30 * time.Second

// moveLoop drains and balances whenever the layout changed, and looks now and then.
func (s *Store) moveLoop() {
	for {
		stop := s.host.Clock.AfterFunc(s.o.BalancePause, s.moves.wake)
		select {
		case <-s.life.Done():
			stop()
			return
		case <-s.moves.due:
			stop()
		}
		if s.drainAll(s.life) && !s.anyDraining() {
			s.balance(s.life)
		}
		if s.host.Clock.Sleep(s.life, s.o.RepairPause) != nil {
			return
		}
	}
}

func (s *Store) anyDraining() bool {
	return slices.ContainsFunc(s.drives.list(), func(m *member) bool { return m.leaving() && !s.statusOf(m).Drain.Done })
}

// drainAll moves what lies on drives that are drained. It reports whether nothing of
// that is left to be done; else it comes again.
func (s *Store) drainAll(ctx context.Context) bool {
	if !slices.ContainsFunc(s.drives.list(), (*member).leaving) {
		return true
	}
	err := s.leaveDrives(ctx)
	if !s.pins.appends.drained(ctx) { // writes that chose their drives before
		return false
	}
	held, e := s.Holdings(ctx)
	if err = errors.Join(err, e); err == nil && s.holdNone(held) {
		return true
	}
	if e == nil {
		r := s.relocation("drain", func(st *Stripe) (which []int) {
			for i, sh := range st.Shards {
				if m := s.drives.find(sh.Drive); !sh.Address.IsZero() && m != nil && m.leaving() {
					which = append(which, i)
				}
			}
			return which
		})
		err = errors.Join(err, s.move(ctx, "drain", r))
		held, e = s.Holdings(ctx)
	}
	done := err == nil && e == nil && s.holdNone(held)
	if !done && ctx.Err() == nil {
		s.later(movePause, s.moves.wake)
	}
	return done
}

// holdNone: no drive that is drained holds anything.
func (s *Store) holdNone(held map[uint16]Holding) bool {
	return !slices.ContainsFunc(s.drives.list(), func(m *member) bool { return m.leaving() && held[m.number].Shards > 0 })
}

func (s *Store) relocation(kind string, want func(st *Stripe) []int) Relocation {
	return Relocation{Want: want, Progress: func(r RepairReport) { s.moves.tell(progress{Kind: kind, Running: true, Report: r}) }}
}

func (s *Store) move(ctx context.Context, kind string, r Relocation) error {
	report, err := s.Relocate(mayUseReserve(ctx), r)
	p := progress{Kind: kind, Report: report}
	if err != nil {
		p.Error = err.Error()
	}
	s.moves.tell(p)
	if s.o.Events.Moved != nil && ctx.Err() == nil {
		s.o.Events.Moved(kind, report, err)
	}
	return err
}
