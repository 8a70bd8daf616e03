package objects

import (
	"context"
	"fmt"
	"sync"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index/journal"
)

// roots keeps the root record on all drives.
type roots struct {
	s  *Store
	mu sync.Mutex // held while the drives' roots are replaced; taken before every other lock

	version uint64 // highest that a drive may have
	record  rootRecord
}

// newestRoot is the record that counts among the drives', and the highest
// version there is. A root that was cut off when it was written may be seen or
// not; where two of one version differ, none of both was needed by anybody yet,
// and the one with more copies is taken.
func newestRoot(all []Drive) (rootRecord, uint64, error) {
	copies := map[string]int{}
	var best drive.Root
	for _, d := range all {
		r := d.Root()
		if r.Version == 0 || r.Version < best.Version {
			continue
		}
		copies[string(r.Data)]++
		if r.Version > best.Version || copies[string(r.Data)] > copies[string(best.Data)] {
			best = r
		}
	}
	if best.Version == 0 {
		return rootRecord{}, 0, nil
	}
	record, err := decodeRoot(best.Data)
	return record, best.Version, err
}

// get is the present record.
func (r *roots) get() rootRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.clone()
}

// save changes the record and returns when m+1 drives have it. On an error the
// record in memory is the old one, and drives may have either.
func (r *roots) save(ctx context.Context, change func(*rootRecord)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.record.clone()
	change(&next)
	r.version++
	saved, err := r.write(ctx, drive.Root{Version: r.version, Data: next.encode()})
	if need := next.m + 1; saved < need {
		return fmt.Errorf("%w: the root record was saved on %d drives, %d are needed: %w", ErrReadOnly, saved, need, err)
	}
	r.record = next
	return nil
}

// write counts the drives that took the root, and gives an error of one that did not.
func (r *roots) write(ctx context.Context, root drive.Root) (saved int, err error) {
	var takers []*member
	for _, m := range r.s.drives.list() {
		if s, _ := m.state(); m.Drive != nil && (s == DriveWell || s == DriveFull) {
			takers = append(takers, m)
		}
	}
	answers := make(chan error, len(takers))
	for _, m := range takers {
		go func() {
			answers <- r.s.timed(m, r.s.o.DriveTimeout, func() error { return r.s.setRoot(ctx, m, root) })
		}()
	}
	for range takers {
		if e := <-answers; e != nil {
			err = e
		} else {
			saved++
		}
	}
	return saved, err
}

// setRoot writes nothing into a folder that was emptied under the drive.
func (s *Store) setRoot(ctx context.Context, m *member, root drive.Root) error {
	if hd, err := drive.Identify(s.host, m.path); err != nil {
		return err
	} else if hd.Drive != m.Header().Drive {
		return drive.ErrForeign
	}
	return m.SetRoot(ctx, root)
}

// refresh gives the present record to drives that missed it.
func (r *roots) refresh(ctx context.Context) {
	r.mu.Lock()
	stale := false
	for _, m := range r.s.drives.list() {
		stale = stale || m.well() && m.Root().Version < r.version
	}
	r.mu.Unlock()
	if !stale {
		return
	}
	if err := r.save(ctx, func(*rootRecord) {}); err != nil {
		r.s.host.Log.Warn("root record not refreshed", "error", err)
	}
}

// journalRoots keeps the journal's State in the root record.
type journalRoots struct{ *roots }

// Load gives the State that each drive knows.
func (r journalRoots) Load() []journal.State {
	var states []journal.State
	for _, m := range r.s.drives.list() {
		if m.Drive == nil {
			continue
		}
		root, err := decodeRoot(m.Root().Data)
		if err != nil || len(root.journal) == 0 {
			continue
		}
		if s, err := journal.DecodeState(root.journal); err == nil {
			states = append(states, s)
		}
	}
	return states
}

// Save replaces the State of every well drive.
func (r journalRoots) Save(ctx context.Context, s journal.State) error {
	return r.save(ctx, func(record *rootRecord) { record.journal = s.Encode() })
}
