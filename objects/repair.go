package objects

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RepairOptions of one repair. The zero value asks every drive whether it has
// the shards that it should have.
type RepairOptions struct {
	Progress func(done, total int64) // of index values; total is an estimate
	Verify   bool                    // read every shard whole, and every copy of the journal

	trusting bool // believe that drives have what was written to them
	queued   bool // only the stripes that are known to be damaged
}

// RepairReport counts stripes.
type RepairReport struct {
	Began        time.Time
	Scanned      int64
	Damaged      int64 // with shards that are missing or wrong
	Healed       int64 // of them whole again; each new shard was read back
	Unrepairable int64 // with fewer than k good shards: nothing was changed
	Undecodable  int64 // values of the index that do not decode: what they name is not known
	BytesWritten int64
	BytesTotal   int64 // to be written, an estimate; grows with what is found

	// Left is what a look at everything after the repair found: it is the proof
	// that a repair is complete. nil where only known damage was repaired.
	Left *Redundancy
}

// Complete reports whether all that was looked at has all of its shards.
func (r *RepairReport) Complete() bool {
	return r.Damaged == r.Healed && r.Undecodable == 0 && (r.Left == nil || r.Left.Whole())
}

// Repair looks for shards that are unwritten, on missing drives, or not what they
// should be, and rebuilds them on drives that are well: the stripes with the least
// redundancy first. A stripe is Healed once its new shards were read back and its
// value was swapped. What cannot be placed now is left, Damaged but not Healed.
//
//	census (no I/O) ─► least redundancy first: rebuild, read back, swap ─► ask the drives ─► census: what is Left
func (s *Store) Repair(ctx context.Context, o RepairOptions) (RepairReport, error) {
	s.repairing.Lock()
	defer s.repairing.Unlock()
	if !o.trusting && s.journal != nil {
		s.probe(ctx) // a folder that was emptied still reads through files that are open
	}
	r := &repair{s: s, o: o, m: s.newMover()}
	defer r.m.end()
	r.m.want = func(ctx context.Context, st *Stripe) []int { return s.missing(ctx, st, o) }
	r.report.Began = s.host.Clock.Now()
	ctx = mayUseReserve(ctx)
	err := r.run(ctx)
	err = errors.Join(err, r.m.ledger(ctx))
	if o.Verify && s.journal != nil {
		err = errors.Join(err, s.mendJournal(ctx))
	}
	if err == nil && !o.queued {
		err = s.settleLosses(ctx)
	}
	r.tell(false)
	if err != nil {
		return r.report, fmt.Errorf("repair: %w", err)
	}
	return r.report, nil
}

// repair is one repair under way.
type repair struct {
	s      *Store
	o      RepairOptions
	m      *mover
	report RepairReport
}

// tell sums up for those who look.
func (r *repair) tell(running bool) {
	r.m.sum(&r.report)
	r.s.repairs.tell(running, r.report)
}

func (r *repair) run(ctx context.Context) error {
	r.tell(true)
	began := r.s.host.Clock.Now()
	if err := r.m.root(ctx); err != nil {
		return err
	}
	if err := r.known(ctx); err != nil || r.o.queued {
		return err
	}
	if err := r.everything(ctx); err != nil {
		return err
	}
	r.s.repairs.scanned(began)
	after, err := r.s.census(ctx)
	if err != nil {
		return err
	}
	r.report.Left = &after.levels
	return after.err
}

// known repairs the stripes of which it is known whose they are, without a scan.
func (r *repair) known(ctx context.Context) error {
	keys, _, _ := r.s.repairs.owners(0)
	w := r.walk(RepairOptions{trusting: true})
	for len(keys) > 0 {
		n := min(len(keys), windowValues)
		if err := w.fetched(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// everything goes through the index: first for the shards that are known to be
// missing, one level of redundancy after the other, then for those of which the
// drives have to be asked.
func (r *repair) everything(ctx context.Context) error {
	before, err := r.s.census(ctx)
	if err != nil {
		return err
	}
	r.report.Undecodable, r.report.BytesTotal = before.undecodable, r.report.BytesTotal+before.bytes
	for _, spare := range before.damaged {
		w := r.walk(RepairOptions{trusting: true})
		w.only = func(n int) bool { return n == spare }
		if err := w.through(ctx); err != nil {
			return err
		}
	}
	r.report.Scanned = before.stripes
	if r.o.trusting {
		return nil
	}
	w := r.walk(r.o)
	w.total = before.values
	return w.through(ctx)
}

func (r *repair) walk(o RepairOptions) *walk {
	r.m.want = func(ctx context.Context, st *Stripe) []int { return r.s.missing(ctx, st, o) }
	return &walk{m: r.m, progress: r.o.Progress, told: func() { r.tell(true) }}
}

// missing lists the shards of a stripe that are to be rebuilt. One on a drive
// that is merely slow is left alone.
func (s *Store) missing(ctx context.Context, st *Stripe, o RepairOptions) (bad []int) {
	for i := range st.Shards {
		if !s.intact(ctx, st, i, o) {
			bad = append(bad, i)
		}
	}
	return bad
}

// intact reports whether a shard is where it should be.
func (s *Store) intact(ctx context.Context, st *Stripe, i int, o RepairOptions) bool {
	sh := st.Shards[i]
	m := s.drives.find(sh.Drive)
	if sh.Address.IsZero() || m == nil || m.Drive == nil {
		return false
	}
	if state, _ := m.state(); state >= DriveSlow {
		return state == DriveSlow
	}
	id := shardID{st.ID, uint8(i)}
	reported := s.repairs.reported(id)
	if o.trusting && !reported {
		return true
	}
	err := s.check(ctx, m, st, i, o.Verify || reported)
	if err == nil && reported {
		s.repairs.forget(id)
	}
	return err == nil || errors.Is(err, errLate) || ctx.Err() != nil
}

// check asks a drive for a shard, its length or all of it.
func (s *Store) check(ctx context.Context, m *member, st *Stripe, i int, whole bool) error {
	if whole {
		p, err := s.readShard(ctx, m, st, i)
		shardReturn(p)
		return err
	}
	return s.timed(m, s.o.DriveTimeout, func() error {
		n, err := m.Length(ctx, st.Shards[i].Address, st.identity(i))
		if err == nil && n != st.ShardBytes() {
			err = fmt.Errorf("shard %d has %d bytes, not %d", i, n, st.ShardBytes())
		}
		return err
	})
}
