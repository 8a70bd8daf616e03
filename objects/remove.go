package objects

import (
	"context"
	"fmt"
	"slices"
)

// DrainDrive has all that lies on a drive moved to others while the store serves. The
// drive takes nothing new from now on, also after a restart. At least k+m others must
// be well.
func (s *Store) DrainDrive(ctx context.Context, number uint16) (DriveStatus, error) {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	m := s.drives.find(number)
	if m == nil {
		return DriveStatus{}, noDrive(number)
	}
	others := 0
	for _, o := range s.drives.list() {
		if o != m && o.takes(false) {
			others++
		}
	}
	if need := s.o.DataShards + s.o.ParityShards; others < need {
		return DriveStatus{}, fmt.Errorf("drain drive %d: %w: %d others take shards, %d are needed; add a drive first", number, ErrDriveNeeded, others, need)
	}
	if err := s.rearrange(ctx, func(r *rootRecord) { r.drive(number).draining = true }); err != nil {
		return DriveStatus{}, fmt.Errorf("drain drive %d: %w", number, err)
	}
	s.moves.forget()
	s.moves.wake()
	return s.statusOf(m), nil
}

// KeepDrive ends the draining of a drive: what is left on it stays, and it takes new
// shards again.
func (s *Store) KeepDrive(ctx context.Context, number uint16) (DriveStatus, error) {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	m := s.drives.find(number)
	if m == nil {
		return DriveStatus{}, noDrive(number)
	}
	if err := s.rearrange(ctx, func(r *rootRecord) { r.drive(number).draining = false }); err != nil {
		return DriveStatus{}, fmt.Errorf("end the draining of drive %d: %w", number, err)
	}
	s.placeView()
	s.moves.wake()
	return s.statusOf(m), nil
}

// RemoveDrive takes a drive out of the layout for good. Nothing may lie on it: it was
// drained, or is missing and its shards were repaired elsewhere. At least k+m drives must stay.
//
// force removes it although shards lie on it, where every stripe of these keeps k
// shards that other drives say they have: redundancy is lost until repair, which
// begins at once, but no byte.
func (s *Store) RemoveDrive(ctx context.Context, number uint16, force bool) error {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	m := s.drives.find(number)
	if m == nil {
		return noDrive(number)
	}
	err := s.removable(ctx, m, force)
	if err == nil {
		err = s.dismiss(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("remove drive %d: %w", number, err)
	}
	return nil
}

// removable says why a drive must stay.
func (s *Store) removable(ctx context.Context, m *member, force bool) error {
	if stay, need := len(s.drives.list())-1, s.o.DataShards+s.o.ParityShards; stay < need {
		return fmt.Errorf("%w: %d would stay, %d are needed; adopt another in its place", ErrDriveNeeded, stay, need)
	}
	if state, _ := m.state(); state.readable() && !m.leaving() && !force {
		return fmt.Errorf("%w: it is %s; drain it first", ErrDriveNeeded, state)
	}
	if err := s.rearrange(ctx, func(r *rootRecord) { r.drive(m.number).draining = true }); err != nil {
		return err
	}
	if err := s.leaveDrives(ctx); err != nil {
		return err
	}
	if d := s.statusOf(m); d.Journal || d.View {
		return fmt.Errorf("%w: it holds the journal or the index's view, which find no other place now", ErrDriveNeeded)
	}
	if !s.pins.appends.drained(ctx) {
		return ctx.Err()
	}
	if force {
		return s.spared(ctx, m.number)
	}
	held, err := s.Holdings(ctx)
	if h := held[m.number]; err == nil && h.Shards > 0 {
		err = fmt.Errorf("%w: %d shards of %s lie on it; wait for drain or repair", ErrDriveNeeded, h.Shards, inWords(h.Bytes))
	}
	return err
}

// spared demands that every stripe keeps k shards without a drive.
func (s *Store) spared(ctx context.Context, number uint16) error {
	var stripes, short int64
	var bad error
	err := s.eachValue(ctx, func(key []byte, blobs []Blob, err error) {
		if err != nil && bad == nil {
			bad = fmt.Errorf("value of key %q: %w", key, err)
		}
		for i := range blobs {
			for j := range blobs[i].Stripes {
				st := &blobs[i].Stripes[j]
				if !slices.ContainsFunc(st.Shards, func(sh Shard) bool { return sh.Drive == number && !sh.Address.IsZero() }) {
					continue
				}
				if stripes++; !s.enoughWithout(ctx, st, number) {
					short++
				}
			}
		}
	})
	switch {
	case err != nil:
		return err
	case bad != nil:
		return bad
	case short > 0:
		return fmt.Errorf("%w: %d of the %d stripes with shards on it would have fewer than %d left; nothing was changed but that it is drained", ErrDriveNeeded, short, stripes, s.o.DataShards)
	}
	return ctx.Err()
}

// enoughWithout asks the other drives for the shards of a stripe.
func (s *Store) enoughWithout(ctx context.Context, st *Stripe, number uint16) bool {
	good := 0
	for i, sh := range st.Shards {
		m := s.drives.find(sh.Drive)
		if sh.Drive == number || sh.Address.IsZero() || m == nil || !m.readable() || good == int(st.K) {
			continue
		}
		if s.check(ctx, m, st, i, false) == nil {
			good++
		}
	}
	return good == int(st.K)
}

// dismiss takes a member out of the root record, then out of the store.
func (s *Store) dismiss(ctx context.Context, m *member) error {
	before := s.drives.list()
	s.drives.replace(slices.DeleteFunc(slices.Clone(before), func(o *member) bool { return o == m }))
	if err := s.rearrange(ctx, func(r *rootRecord) { r.remove(m.number) }); err != nil {
		s.drives.replace(before)
		return err
	}
	if m.Drive != nil {
		s.letGo(m, "it was removed")
	}
	s.repairs.departed.Store(m.number, true)
	s.changed(ctx)
	return nil
}
