package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects/drive"
)

// ReclaimReport says what a reclamation did.
type ReclaimReport struct {
	Extents    int   // that were sparse, and from which the living were moved
	Sealed     int   // that were being appended to, and are sealed for the next reclamation
	Shards     int64 // moved: of stripes with all of their shards in place
	BytesMoved int64
	Sparse     int // shared stripes that the next packing empties
}

// reclaimBytes bounds the living bytes that one reclamation moves.
const reclaimBytes = 2 << 30

// Reclaim empties extents of which little is alive: the living shards are copied to
// other extents, read back, and swapped into the index unless their value changed
// meanwhile. Then the extents are dead, and the next sweep gives them back once
// nobody reads them any more. It may be cut off anywhere.
//
// What counts as little grows as drives fill up. Of shared stripes with few living
// blobs, the blobs are packed anew by the next packing.
func (s *Store) Reclaim(ctx context.Context) (ReclaimReport, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	r := &reclamation{s: s, victims: map[place]bool{}}
	err := r.run(ctx)
	s.tidy.moved(r.report.BytesMoved)
	if err != nil {
		return r.report, fmt.Errorf("reclaim: %w", err)
	}
	return r.report, nil
}

// reclamation is one under way.
type reclamation struct {
	s       *Store
	victims map[place]bool // extents that are to be emptied
	report  ReclaimReport
}

func (r *reclamation) run(ctx context.Context) error {
	l, err := r.s.liveness(ctx)
	if err != nil {
		return err
	}
	if err := r.s.forgetStripes(ctx, l); err != nil {
		return err
	}
	if r.report.Sparse = len(l.sparse); r.report.Sparse > 0 {
		r.s.tidy.backlog.overflow() // the blobs in them are found by a look at everything
	}
	if err := r.choose(ctx, l); err != nil || len(r.victims) == 0 {
		return err
	}
	return r.empty(ctx)
}

// thinned is an extent of which little is alive.
type thinned struct {
	at          place
	alive, used int64
}

// choose takes the sparsest extents first, and seals those that are appended to.
func (r *reclamation) choose(ctx context.Context, l *liveness) error {
	held := r.s.pins.held(r.s.host.Clock.Now(), r.s.o.StageKept)
	var found []thinned
	var used int64
	for _, m := range r.s.drives.list() {
		if !m.well() {
			continue
		}
		share := m.sparseShare()
		for _, e := range m.Extents() {
			at := place{m.number, e.Number}
			alive := l.extents[at]
			if !e.Class.Blobs() {
				continue
			}
			used += e.Bytes
			switch {
			case alive*100 > e.Bytes*share || held[at]:
			case !e.Sealed:
				if err := r.seal(ctx, m, &e); err != nil {
					return err
				}
			case alive > 0:
				found = append(found, thinned{at, alive, e.Bytes})
			}
		}
	}
	r.s.tidy.looked(l, used, r.s.host.Clock.Now())
	slices.SortFunc(found, func(a, b thinned) int { return cmp.Compare(a.alive*b.used, b.alive*a.used) })
	moved := int64(0)
	for _, e := range found {
		if moved += e.alive; moved > reclaimBytes && len(r.victims) > 0 {
			break
		}
		r.victims[e.at] = true
	}
	r.report.Extents = len(r.victims)
	return nil
}

// seal ends an extent that is mostly garbage, where that is worth a new one.
func (r *reclamation) seal(ctx context.Context, m *member, e *drive.ExtentInfo) error {
	size := r.s.o.ExtentBytes
	if size == 0 {
		size = 256 << 20
	}
	if e.Bytes < size/16 {
		return nil
	}
	err := r.s.timed(m, r.s.o.DriveTimeout, func() error { return m.Seal(ctx, e.Class) })
	if err != nil {
		return fmt.Errorf("seal extent %d of drive %d: %w", e.Number, m.number, err)
	}
	r.report.Sealed++
	return nil
}

// sparseShare is the percentage below which an extent of the drive is emptied.
func (m *member) sparseShare() int64 {
	switch used := m.usedPercent(); {
	case used >= 95:
		return 90
	case used >= 85:
		return 75
	}
	return sparseExtent
}

// usedPercent of the member's device, by whomsoever; 0 where it is not known.
func (m *member) usedPercent() int64 {
	total, free := m.room().size()
	if total == 0 {
		return 0
	}
	return 100 - free*100/total
}

// empty moves the shards that lie in the chosen extents.
func (r *reclamation) empty(ctx context.Context) error {
	m := r.s.newMover()
	defer m.end()
	m.moves, m.home, m.pace = true, true, &r.s.pace
	m.want = func(_ context.Context, st *Stripe) (shards []int) {
		for i, sh := range st.Shards {
			if !sh.Address.IsZero() && r.victims[place{sh.Drive, sh.Address.Extent}] {
				shards = append(shards, i)
			}
		}
		return shards
	}
	w := &walk{m: m, told: func() {}}
	err := errors.Join(m.root(ctx), w.through(ctx))
	var moved RepairReport
	m.sum(&moved)
	r.report.Shards, r.report.BytesMoved = moved.Healed, moved.BytesWritten
	return err
}
