package objects

import (
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// assemble makes a member of every drive of the layout.
func (f *folders) assemble(record rootRecord, version uint64) (*Store, error) {
	var members []*member
	open := 0
	for _, d := range record.drives {
		m := f.member(d)
		members = append(members, m)
		if m.Drive != nil {
			open++
		}
	}
	if need := max(record.k, len(record.drives)-record.m); open < need {
		return nil, f.tooFew(open, need, len(record.drives))
	}
	s, err := newStore(f.o, nil, members)
	if err != nil {
		return nil, err
	}
	s.id, s.roots.record, s.roots.version = record.store, record, sessionAfter(version)
	for _, m := range members {
		s.shareSpace(m)
	}
	if s.roots.record.markPast(members) {
		s.repairs.doubt()
	}
	s.drives.arrange(&record)
	for _, at := range f.all {
		if at.taken && at.drive != nil && at.drive.Root().Version < version {
			s.repairs.doubt() // it was away while others were written to
		}
		if !at.taken && !at.unnamed {
			s.strays = append(s.strays, at.stray())
			if !f.o.reading { // a check reads it, too
				at.letGo()
			}
		}
	}
	return s, nil
}

// markPast keeps which drives are of the past until the journal needs nothing that they held, and reports whether there are any.
func (r *rootRecord) markPast(members []*member) (any bool) {
	versions := map[uint16]uint64{}
	for _, m := range members {
		if m.Drive != nil {
			versions[m.number] = m.Root().Version
		}
	}
	for n, past := range pastOf(versions) {
		d := r.drive(n)
		d.past = d.past || past
		any = any || d.past
	}
	return any
}

func (f *folders) tooFew(open, need, all int) error {
	causes := []error{fmt.Errorf("%w: %d of %d drives can be opened, %d are needed", ErrUnavailable, open, all, need)}
	for _, at := range f.all {
		if at.err != nil {
			causes = append(causes, at.err)
		}
	}
	return fmt.Errorf("open store: %w", errors.Join(causes...))
}

// member finds the folder of a drive: by its id, or where it lay last.
func (f *folders) member(d rootDrive) *member {
	m := &member{number: d.number, path: d.path}
	m.mu.state, m.mu.reason = DriveMissing, "its folder is not among those given"
	for _, at := range f.all {
		switch {
		case at.drive != nil && at.header.Number == d.number && at.header.Drive == d.id:
			at.taken = true
			m.open(f.o.Host, at)
			return m
		case at.drive == nil && at.path == d.path:
			at.taken = !errors.Is(at.err, drive.ErrNotFormatted)
			m.mu.state, m.mu.reason, m.opening = at.state(), at.err.Error(), at.opening
		}
	}
	return m
}

func (m *member) open(h *host.Host, at *folder) {
	m.Drive, m.path, m.number = at.drive, at.path, at.header.Number
	m.mu.state, m.mu.reason = DriveWell, ""
	m.device, m.mu.space = at.device, &space{}
	m.measure(h.FS)
}

func (at *folder) state() DriveState {
	switch {
	case at.err == nil:
		return DriveRetired
	case errors.Is(at.err, errLate):
		return DriveSlow
	case errors.Is(at.err, drive.ErrForeign):
		return DriveForeign
	case errors.Is(at.err, drive.ErrCorruptHeader):
		return DriveCorrupt
	case errors.Is(at.err, drive.ErrFormatVersion):
		return DriveFormat
	}
	return DriveMissing
}

// stray tells of a folder that belongs to no drive of the layout.
func (at *folder) stray() DriveStatus {
	d := DriveStatus{Path: at.path, State: at.state(), Adoptable: errors.Is(at.err, drive.ErrNotFormatted)}
	if at.err != nil {
		d.Reason = at.err.Error()
		return d
	}
	d.Number, d.Adoptable = at.header.Number, at.unused()
	d.Reason = "it was removed, or replaced by another drive; empty its folder to use it again"
	if d.Adoptable {
		d.Reason = "it was never taken in"
	}
	return d
}

// letGo closes a drive that is no member's.
func (at *folder) letGo() {
	if at.drive != nil {
		_ = at.drive.Close() // nothing was written
		at.drive = nil
	}
}

// unused: formatted for this store, and nothing was ever written to it. It may have a
// root record that was told to it alone before its adoption was cut short.
func (at *folder) unused() bool {
	return at.drive.RootErr() == nil && len(at.drive.Extents()) == 0
}
