package objects

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// AdoptDrive takes a folder in as a drive. An empty one is formatted and takes
// the place of a drive that is missing, if any: that one's number is never used
// again. A drive of this store that was missing comes back as itself.
func (s *Store) AdoptDrive(ctx context.Context, path string) (DriveStatus, error) {
	return s.bring(ctx, path, adoption{replaces: true})
}

// AddDrive takes an empty folder in as one drive more, with labels, though one may
// be missing.
func (s *Store) AddDrive(ctx context.Context, path string, l Labels) (DriveStatus, error) {
	if err := l.check(); err != nil {
		return DriveStatus{}, err
	}
	for _, m := range s.drives.list() {
		if m.path == path {
			return DriveStatus{}, fmt.Errorf("%w: drive %d lies in %s; to fill an empty folder in its place, adopt it", ErrPrecondition, m.number, path)
		}
	}
	return s.bring(ctx, path, adoption{labels: l})
}

// adoption is what becomes of a folder that is taken in as a new drive.
type adoption struct {
	replaces bool // it takes the place of a drive that is missing
	labels   Labels
}

func (s *Store) bring(ctx context.Context, path string, as adoption) (DriveStatus, error) {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	m, err := s.adopt(ctx, path, as)
	if err != nil {
		return DriveStatus{}, fmt.Errorf("adopt %s as a drive: %w", path, err)
	}
	s.notStrange(path)
	s.changed(ctx)
	return s.statusOf(m), nil
}

func (s *Store) notStrange(path string) {
	s.strange.Lock()
	defer s.strange.Unlock()
	s.strays = slices.DeleteFunc(s.strays, func(d DriveStatus) bool { return d.Path == path })
}

// adopt does the work. The caller holds arranging.
func (s *Store) adopt(ctx context.Context, path string, as adoption) (*member, error) {
	f := &folders{o: s.o}
	at := &folder{path: path}
	if err := s.vacate(path); err != nil {
		return nil, err
	}
	if err := f.openAll([]*folder{at}); err != nil {
		return nil, err
	}
	if errors.Is(at.err, drive.ErrNotFormatted) {
		if err := s.formatAnother(ctx, f, at); err != nil {
			return nil, err
		}
	}
	if at.err != nil {
		return nil, at.err
	}
	m, err := s.takeIn(ctx, at, as)
	if err != nil {
		return nil, errors.Join(err, at.drive.Close())
	}
	return m, nil
}

// vacate closes the drive that lay in a folder until that was emptied: its lock
// would keep the next one out.
func (s *Store) vacate(path string) error {
	all := slices.Clone(s.drives.list())
	for i, m := range all {
		state, reason := m.state()
		if m.path != path || m.Drive == nil || state != DriveMissing {
			continue
		}
		if err := s.timed(m, s.o.DriveTimeout, m.Close); errors.Is(err, errLate) {
			return fmt.Errorf("let go of drive %d, which lay there: %w", m.number, err)
		}
		empty := &member{number: m.number, path: m.path, device: m.device}
		empty.set(state, reason)
		empty.inherit(m)
		all[i] = empty
	}
	s.drives.replace(all)
	return nil
}

// formatAnother reserves a number before it formats, so that no two drives ever share one.
func (s *Store) formatAnother(ctx context.Context, f *folders, at *folder) error {
	var number uint16
	err := s.roots.save(ctx, func(r *rootRecord) { number, r.next = r.next, r.next+1 })
	if err != nil {
		return err
	}
	return f.format(at, s.id, number)
}

// takeIn makes an open drive a member.
func (s *Store) takeIn(ctx context.Context, at *folder, as adoption) (*member, error) {
	record := s.roots.get()
	known := record.drive(at.header.Number)
	switch {
	case at.header.Store != s.id:
		return nil, fmt.Errorf("%w: it belongs to store %x", drive.ErrForeign, at.header.Store)
	case known != nil && known.id == at.header.Drive:
		back := *known
		back.path = at.path
		return s.install(ctx, at, at.header.Number, back)
	case known != nil || !at.unused():
		return nil, fmt.Errorf("drive %d was removed, or replaced by another one; empty its folder to use it again", at.header.Number)
	}
	fresh := rootDrive{number: at.header.Number, id: at.header.Drive, path: at.path, labels: as.labels}
	instead := uint16(0)
	if as.replaces {
		instead = s.replaced(at.path)
	}
	if old := record.drive(instead); old != nil && old.path == at.path {
		fresh.labels = old.labels
	}
	return s.install(ctx, at, instead, fresh)
}

// replaced is the missing drive whose place a folder takes: the one that lay
// there, else the first; 0 where none is missing.
func (s *Store) replaced(path string) (number uint16) {
	for _, m := range s.drives.list() {
		if state, _ := m.state(); state < DriveMissing {
			continue
		}
		if m.path == path {
			return m.number
		}
		if number == 0 {
			number = m.number
		}
	}
	return number
}

// install puts a drive in the place of an old member, and then into the root
// record. Until that is saved, what is written to it counts as missing after a crash.
// A drive that comes back where it was is taken though too few others are there for a
// save, of which the record would say nothing new: were each to wait for the others, none
// would come back. It is given the record as soon as enough are there.
func (s *Store) install(ctx context.Context, at *folder, instead uint16, as rootDrive) (*member, error) {
	m := &member{}
	m.open(s.host, at)
	s.shareSpace(m)
	before := s.drives.list()
	now := slices.DeleteFunc(slices.Clone(before), func(o *member) bool { return o.number == instead })
	now = append(now, m)
	slices.SortFunc(now, func(a, b *member) int { return int(a.number) - int(b.number) })
	s.drives.replace(now)
	err := s.rearrange(ctx, func(r *rootRecord) {
		r.remove(instead)
		r.drives = append(r.drives, as)
		slices.SortFunc(r.drives, func(a, b rootDrive) int { return int(a.number) - int(b.number) })
		r.inGroups(instead, m.number)
	})
	if err != nil && s.isBack(as) && errors.Is(err, ErrReadOnly) {
		err = nil
	}
	if err != nil {
		s.drives.replace(before)
		return nil, err
	}
	for _, o := range before {
		if o.number == instead && o.Drive != nil {
			s.letGo(o, "it was replaced")
		}
	}
	return m, nil
}

// isBack: the record says the same of a drive already. Its member is told its place there.
func (s *Store) isBack(d rootDrive) bool {
	record := s.roots.get()
	known := record.drive(d.number)
	if known == nil || *known != d {
		return false
	}
	s.drives.arrange(&record)
	return true
}

// letGo closes a drive that is no member any more. It may hang for ever.
func (s *Store) letGo(m *member, why string) {
	m.set(DriveRetired, why)
	c := s.begin(m)
	go func() {
		if err := m.Close(); err != nil {
			s.host.Log.Warn("close a drive that left", "drive", m.number, "error", err)
		}
		c.ended()
	}()
}

// adoptOwn formats, under AutoFormat, the empty folders of drives that are missing:
// of those that were given, not of drives that somebody added elsewhere.
func (s *Store) adoptOwn(ctx context.Context) {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	for _, m := range s.drives.list() {
		if state, _ := m.state(); state != DriveMissing || !slices.Contains(s.o.Drives, m.path) {
			continue
		}
		empty := false
		err := s.timed(m, s.o.DriveTimeout, func() error {
			empty = s.emptied(m.path) || s.halfAdopted(m.path)
			return nil
		})
		if err != nil || !empty {
			continue
		}
		if _, err := s.adopt(ctx, m.path, adoption{replaces: true}); err != nil {
			s.host.Log.Warn("a missing drive is not replaced", "drive", m.number, "folder", m.path, "error", err)
			continue
		}
		s.notStrange(m.path)
		s.changed(ctx)
	}
}

// halfAdopted: a crash came between the format of an emptied folder and its
// entry in the root record.
func (s *Store) halfAdopted(path string) bool {
	s.strange.Lock()
	defer s.strange.Unlock()
	return slices.ContainsFunc(s.strays, func(d DriveStatus) bool { return d.Path == path && d.Number > 0 && d.Adoptable })
}

// remnants are what the last moments of a drive may leave in its emptied folder.
var remnants = []string{"root", "root.new", "lock"}

// emptied reports whether a folder of Tarn's own holds no drive any more. A root
// record that was written at the moment when it was emptied is removed.
func (s *Store) emptied(path string) bool {
	_, err := drive.Identify(s.host, path)
	if !errors.Is(err, drive.ErrForeign) {
		return errors.Is(err, drive.ErrNotFormatted)
	}
	names, err := s.host.FS.List(path)
	if err != nil {
		return false
	}
	for _, name := range names {
		if !slices.Contains(remnants, name) && name != viewFolder {
			return false
		}
	}
	for _, name := range remnants {
		if err := s.host.FS.Remove(s.host.FS.PathJoin(path, name)); err != nil && !os.IsNotExist(err) {
			return false
		}
	}
	_, err = drive.Identify(s.host, path)
	return errors.Is(err, drive.ErrNotFormatted)
}

// deviceOf names the device that a folder lies on; "" where that is not known.
func deviceOf(fs host.FS, path string) string {
	info, err := fs.Stat(path)
	if err != nil {
		return ""
	}
	if id := info.DeviceID(); id.String() != "0:0" {
		return id.String()
	}
	return ""
}
