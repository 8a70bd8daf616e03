package objects

import (
	"context"
	"fmt"
	"sync"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index/journal"
)

// roots keeps the root record on all drives.
//
// The high half of a version counts the sessions of the store, the low half the
// saves of one. Before anything else, a session saves what it found under a count
// above every one it saw. So a save that reached m+1 drives has a higher
// version than whatever a drive that was away then had been told alone, however often:
// the newest record is the right one, and the others are outdated.
type roots struct {
	s  *Store
	mu sync.Mutex // held while the drives' roots are replaced; taken before every other lock

	version uint64 // highest that a drive may have
	record  rootRecord
	begun   bool // the session's first save reached m+1 drives
}

// sessionAfter is the version under which the session after one that reached version begins.
func sessionAfter(version uint64) uint64 { return (version>>32 + 1) << 32 }

// pastOf are the drives that a save passed by: they were away, or were given back what they held before. One
// save follows another once every well drive has answered, so only the last may have been cut off before it
// reached a well drive, or the first ones of several sessions, each of which ended before it saved anything else.
func pastOf(versions map[uint16]uint64) map[uint16]bool {
	past := map[uint16]bool{}
	for n, v := range versions {
		for _, other := range versions {
			past[n] = past[n] || passedBy(v, other)
		}
	}
	return past
}

func passedBy(version, other uint64) bool {
	if version>>32 == other>>32 {
		return other > version+1
	}
	return other > version && other<<32 != 0
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
	if err := r.begin(ctx); err != nil {
		return err
	}
	next := r.record.clone()
	change(&next)
	if r.version++; r.version<<32 == 0 {
		return fmt.Errorf("%w: the root record was saved too often in one session", ErrReadOnly)
	}
	if err := r.saveAs(ctx, &next); err != nil {
		return err
	}
	r.record = next
	return nil
}

// open begins the session, and tells the drives where they lie now.
func (r *roots) open(ctx context.Context) error {
	r.mu.Lock()
	err := r.begin(ctx)
	moved := false
	for _, m := range r.s.drives.list() {
		moved = moved || r.record.drive(m.number).path != m.path
	}
	r.mu.Unlock()
	if err != nil || !moved {
		return err
	}
	return r.save(ctx, func(now *rootRecord) {
		for _, m := range r.s.drives.list() {
			now.drive(m.number).path = m.path
		}
	})
}

// begin saves what the session found, and which drives' roots showed that they are of the past, for the next
// session could not tell any more. It says nothing else that is new: a drive that alone was
// told of it, by this session or by another one of the same count, misleads nobody.
func (r *roots) begin(ctx context.Context) error {
	if r.begun {
		return nil
	}
	if err := r.saveAs(ctx, &r.record); err != nil {
		return err
	}
	r.begun = true
	return nil
}

func (r *roots) saveAs(ctx context.Context, record *rootRecord) error {
	saved, err := r.write(ctx, drive.Root{Version: r.version, Data: record.encode()})
	if need := record.m + 1; saved < need {
		return fmt.Errorf("%w: the root record was saved on %d drives, %d are needed: %w", ErrReadOnly, saved, need, err)
	}
	return nil
}

// write counts the drives that took the root, and gives an error of one that did not.
func (r *roots) write(ctx context.Context, root drive.Root) (saved int, err error) {
	var takers []*member
	for _, m := range r.s.drives.list() {
		if s, _ := m.state(); m.Drive != nil && s <= DriveFull {
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

// Load gives the State that each drive with the newest record knows, and an empty
// one for every drive that has an older record.
func (r journalRoots) Load() []journal.State {
	newest := uint64(0)
	for _, m := range r.s.drives.list() {
		if m.Drive != nil {
			newest = max(newest, m.Root().Version)
		}
	}
	var states []journal.State
	for _, m := range r.s.drives.list() {
		if m.Drive == nil {
			continue
		}
		known := m.Root()
		s, ok := stateOf(known)
		switch {
		case !ok:
		case known.Version < newest:
			states = append(states, journal.State{})
		default:
			states = append(states, s)
		}
	}
	return states
}

// stateOf is the journal's State in a root that has one.
func stateOf(root drive.Root) (s journal.State, ok bool) {
	record, err := decodeRoot(root.Data)
	if err != nil || len(record.journal) == 0 {
		return s, false
	}
	s, err = journal.DecodeState(record.journal)
	return s, err == nil
}

// Past implements journal.Roots.
func (r journalRoots) Past(drive uint16) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.record.drive(drive)
	return d != nil && d.past
}

// Save replaces the State of every well drive. It names an epoch that all its drives hold whole, or only
// reserves the number of one.
func (r journalRoots) Save(ctx context.Context, s journal.State) error {
	return r.save(ctx, func(record *rootRecord) {
		record.journal = s.Encode()
		for i := range record.drives {
			record.drives[i].past = record.drives[i].past && s.Reserved > s.Epoch
		}
	})
}
