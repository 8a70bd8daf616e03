package objects

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// What lies in a sealed extent and is named by nobody is an orphan to a strict audit,
// unless its writer, which was under way, has yet to say where it wrote.
func TestAnAuditWaitsForAppendsUnderWayBeforeItCallsAnythingAnOrphan(t *testing.T) {
	s, mem := newMemStore(t, Options{Host: hosttest.New(1)}, indextest.New(t), 6)
	keep(t, s, 300_000, 1)
	sealAll(mem)
	m := s.drives.find(1)
	extent := m.Extents()[0].Number
	ticket := s.pins.appends.enter()
	strict := make(chan bool, 1)
	go func() {
		p := &auditing{s: s, m: m, step: func() {}}
		wanted, err := p.Wanted(context.Background(), []uint32{extent})
		if err != nil {
			t.Error(err)
		}
		strict <- wanted.Strict[extent]
	}()
	early := false
	select {
	case <-strict:
		early = true
	case <-time.After(100 * time.Millisecond): // an audit that does not wait ends long before
	}
	s.pins.mu.Lock()
	s.pins.mu.writers[place{1, extent}]++
	s.pins.mu.Unlock()
	s.pins.appends.leave(ticket)
	if early || <-strict {
		t.Error("the extent of an append under way was audited strictly")
	}
}

// Such a drive was away while others were written to.
func TestADriveWithAnOldRootIsAskedWhatItHas(t *testing.T) {
	o := durableOptions(hosttest.New(1))
	mustClose(t, openDurable(t, o))
	f, err := survey(o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	store, err := f.store()
	if err != nil {
		t.Fatal(err)
	}
	record, version, err := f.root(store)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.root([16]byte{1}); err == nil {
		t.Error("a root record of another store was taken")
	}
	behind := f.all[3].drive.Root()
	for _, at := range f.all {
		at.taken = false
		if err := at.drive.SetRoot(t.Context(), drive.Root{Version: version + 1, Data: behind.Data}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		version uint64
		doubted bool
	}{{version + 1, false}, {version + 2, true}} {
		s, err := f.assemble(record, c.version)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.repairs.doubted(); got != c.doubted {
			t.Errorf("roots of version %d where the newest is %d: doubted %v", version+1, c.version, got)
		}
	}
}

// The image of a newer checkpoint must not be replaced by an older one that was moved.
func TestACheckpointMovedTooLateChangesNoRoot(t *testing.T) {
	s := openDurable(t, durableOptions(hosttest.New(1)))
	defer mustClose(t, s)
	keepSome(t, s)
	mustCheckpoint(t, s)
	before := s.roots.get().checkpoint
	moved := mustWrite(t, s, body(5000, 1))
	if err := s.renameCheckpoint(t.Context(), []byte("the one before"), moved); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.roots.get().checkpoint, before) {
		t.Error("the roots name what was moved, and not the newest checkpoint")
	}
}
