package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/placement"
)

// rearrange changes the layout in the root record, all at once, and forms the groups
// of drives anew. The caller holds arranging.
func (s *Store) rearrange(ctx context.Context, change func(*rootRecord)) error {
	err := s.roots.save(ctx, func(r *rootRecord) {
		change(r)
		s.regroup(r)
	})
	if err != nil {
		return err
	}
	record := s.roots.get()
	s.drives.arrange(&record)
	return nil
}

// regroup forms the groups of the drives that stay.
func (s *Store) regroup(r *rootRecord) {
	var l placement.Layout
	for _, d := range r.drives {
		if d.draining {
			continue
		}
		at := placement.Drive{Number: d.number, Zone: d.labels.Zone, Rack: d.labels.Rack, Node: d.labels.Node}
		if m := s.drives.find(d.number); m != nil {
			at.Device = m.device
		}
		l = append(l, at)
	}
	r.groups = l.Regroup(r.groups, r.k+r.m, r.m)
}

// arrangeAtOpen takes the labels that were given, and groups the drives where all of
// them are there, for a missing one hides which device it shares.
func (s *Store) arrangeAtOpen(ctx context.Context, f *folders) error {
	s.arranging.Lock()
	defer s.arranging.Unlock()
	record := s.roots.get()
	next := record.clone()
	for _, at := range f.all {
		if d := next.drive(at.header.Number); at.taken && d != nil && at.labels != (Labels{}) {
			d.labels = at.labels
		}
	}
	missing := slices.ContainsFunc(s.drives.list(), func(m *member) bool { return m.Drive == nil })
	if !missing || len(next.groups) == 0 {
		s.regroup(&next)
	}
	same := slices.Equal(next.drives, record.drives) && slices.EqualFunc(next.groups, record.groups, func(a, b placement.Group) bool { return slices.Equal(a, b) })
	if !same {
		if err := s.roots.save(ctx, func(r *rootRecord) { r.drives, r.groups = next.drives, next.groups }); err != nil {
			return err
		}
	}
	s.drives.arrange(&next)
	return nil
}

// shareSpace gives a member the space of its device.
func (s *Store) shareSpace(m *member) {
	if m.device == "" {
		return
	}
	for _, o := range s.drives.list() {
		if sp := o.room(); o != m && o.device == m.device && sp != nil {
			m.mu.Lock()
			m.mu.space = sp
			m.mu.Unlock()
			return
		}
	}
}

func (s *Store) statusOf(m *member) DriveStatus {
	d := m.status(s.host.Clock.Now())
	if s.journal != nil {
		_, journal, _ := s.journal.Epoch()
		d.Journal = slices.Contains(journal, m.number)
	}
	d.View = s.viewFolder() == s.host.FS.PathJoin(m.path, viewFolder)
	d.Drain = s.moves.drain(m.number, d.Journal || d.View)
	return d
}

// viewFolder is where the index's view lies.
func (s *Store) viewFolder() string {
	local, ok := s.idx.(*index.Local)
	if !ok {
		return ""
	}
	return s.host.FS.PathDir(local.ViewDir())
}

// placeView tells the index which folders may hold its view, and takes it from a
// drive that is gone. One that is slow has its own patience (index.Options.ViewTimeout),
// and one that is drained is left by the moves.
func (s *Store) placeView() {
	local, ok := s.idx.(*index.Local)
	if !ok {
		return
	}
	var dirs []string
	for _, m := range s.drives.list() {
		if state, _ := m.state(); state == DriveWell && m.Drive != nil {
			dirs = append(dirs, s.host.FS.PathJoin(m.path, viewFolder))
		}
	}
	if len(dirs) == 0 {
		return // it goes on where it is
	}
	local.SetDirs(dirs)
	at := s.viewFolder()
	for _, m := range s.drives.list() {
		if state, reason := m.state(); state > DriveSlow && at == s.host.FS.PathJoin(m.path, viewFolder) {
			local.FailView(at, fmt.Errorf("drive %d is %s: %s", m.number, state, reason))
		}
	}
}

// leaveDrives moves the journal and the index's view off drives that are drained.
func (s *Store) leaveDrives(ctx context.Context) error {
	s.placeView()
	err := s.journal.Reconfigure(ctx)
	if local, ok := s.idx.(*index.Local); ok {
		err = errors.Join(err, local.MoveView(ctx))
	}
	return err
}

// changed is to be called when drives came, went or recovered.
func (s *Store) changed(ctx context.Context) {
	if s.journal != nil {
		s.roots.refresh(ctx)
		if err := s.journal.Reconfigure(ctx); err != nil {
			s.host.Log.Warn("journal not moved", "error", err)
		}
		s.placeView()
	}
	s.repairs.doubt()
	s.moves.wake()
}
