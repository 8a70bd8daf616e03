package objects

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index/journal"
)

func TestADriveIsOfThePastIfASaveOfRootsPassedItBy(t *testing.T) {
	session := func(n, saves uint64) uint64 { return n<<32 + saves }
	for _, c := range []struct {
		version, other uint64
		past           bool
	}{
		{session(1, 5), session(1, 5), false},
		{session(1, 5), session(1, 6), false}, // that save was cut off
		{session(1, 5), session(1, 7), true},
		{session(1, 5), session(2, 0), false}, // that session's first save was cut off
		{session(1, 5), session(4, 0), false}, // and those of the sessions between
		{session(1, 5), session(2, 1), true},
		{session(2, 0), session(1, 7), false},
		{0, session(1, 0), false}, // the store's making was cut off
		{0, session(1, 1), true},
	} {
		got := pastOf(map[uint16]uint64{3: c.version, 4: c.other})
		if got[3] != c.past || c.other >= c.version && got[4] {
			t.Errorf("version %x beside %x: %v", c.version, c.other, got)
		}
	}
}

// rolledBack is a store of which three drives hold the journal, and the contents of one of them are of the past.
type rolledBack struct {
	*testing.T
	h       *host.Host
	o       Options
	keys    []string
	holders []string // the folders of the journal's drives; the first one is of the past
}

func newRolledBack(t *testing.T, seed int64) *rolledBack {
	r := &rolledBack{T: t, h: hosttest.New(seed)}
	r.o = quietOptions(r.h)
	mustClose(t, openDurable(t, r.o))
	past := r.disk().CrashClone(seed)
	s := openDurable(t, r.o) // a session that the past does not know of
	r.keys = keepSome(t, s)
	_, holders, _ := s.journal.Epoch()
	for _, n := range holders {
		r.holders = append(r.holders, s.drives.find(n).path)
	}
	mustClose(t, s)
	r.disk().Wipe(r.holders[0])
	if _, err := vfs.Clone(past, r.disk(), r.holders[0], r.holders[0], vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rolledBack) disk() *hosttest.Disk { return hosttest.DiskOf(r.h) }

// lose takes the journal's sound copies away.
func (r *rolledBack) lose(disk *hosttest.Disk) {
	for _, folder := range r.holders[1:] {
		disk.Wipe(folder)
	}
}

func TestAJournalOfWhichNobodyKnowsTheEndIsNotGoneOnWith(t *testing.T) {
	r := newRolledBack(t, 5)
	whole := r.disk().CrashClone(5)
	r.lose(r.disk())
	if s, err := Open(context.Background(), r.o); !errors.Is(err, journal.ErrLost) {
		t.Errorf("one copy is of the past, two are lost: %v", err)
		if err == nil {
			mustClose(t, s)
		}
	}
	r.h.FS = whole
	s := openDurable(t, r.o)
	defer mustClose(t, s)
	allReadBack(t, s, r.keys)
}

// Wherever the power fails while a session finds that a copy of the journal is of the past, the next one knows it too, until
// that copy is not needed any more.
func TestACopyOfThePastIsKnownUntilItIsNotNeeded(t *testing.T) {
	r := newRolledBack(t, 6)
	var cuts []*hosttest.Disk
	r.disk().SetFault(func(op hosttest.Op) error {
		if op.Kind.Changes() {
			cuts = append(cuts, r.disk().CrashClone(int64(len(cuts))))
		}
		return nil
	})
	s := openDurable(t, r.o)
	r.disk().SetFault(nil)
	mustClose(t, s)
	refused := 0
	for i, disk := range cuts {
		r.lose(disk)
		o := r.o
		o.Host = &host.Host{Clock: r.h.Clock, Entropy: r.h.Entropy, FS: disk, Log: r.h.Log}
		s, err := Open(context.Background(), o)
		if errors.Is(err, journal.ErrLost) {
			refused++
			continue
		}
		if err != nil {
			t.Fatalf("power cut at operation %d: %v", i, err)
		}
		for _, key := range r.keys { // of three drives that were harmed one may have had the bytes
			if _, err := s.idx.Get(context.Background(), []byte(key)); err != nil {
				t.Errorf("power cut at operation %d: %s: %v", i, key, err)
			}
		}
		mustClose(t, s)
	}
	t.Logf("%d power cuts, %d stores refused", len(cuts), refused)
	if refused == 0 || refused == len(cuts) {
		t.Error("the test met no store of one kind")
	}
}
