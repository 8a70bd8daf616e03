package objects

import (
	"context"
	"errors"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
)

// TestADriveThatWasToldAloneDoesNotOutdoTheOthers: five of six drives fail, and root
// records are saved on the sixth again and again. It is then away for a session in
// which the others agree on newer records, though on fewer of them.
func TestADriveThatWasToldAloneDoesNotOutdoTheOthers(t *testing.T) {
	h := hosttest.New(31)
	o := durableOptions(h)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	keys := keepSome(t, s)
	for _, folder := range sixFolders[:5] {
		hosttest.DiskOf(h).Fail(folder, errors.New("no such device"))
	}
	for range 50 {
		if err := s.roots.save(context.Background(), func(r *rootRecord) { r.next++ }); !errors.Is(err, ErrReadOnly) {
			t.Fatalf("a root record on one drive: %v", err)
		}
	}
	_ = s.Close() // most of its drives are gone
	for _, folder := range sixFolders[:5] {
		hosttest.DiskOf(h).Fail(folder, nil)
	}

	hosttest.DiskOf(h).Fail("drive-6", errors.New("unplugged"))
	s = openDurable(t, o)
	keys = append(keys, keep(t, s, 100_000, 4))
	if err := s.idx.(*index.Local).Checkpoint(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := s.roots.get()
	mustClose(t, s)

	hosttest.DiskOf(h).Fail("drive-6", nil)
	s = openDurable(t, o)
	defer mustClose(t, s)
	if got := s.roots.get(); got.through != want.through || got.next != want.next {
		t.Errorf("the checkpoint covers entry %d and the next drive is %d; want %d and %d", got.through, got.next, want.through, want.next)
	}
	allReadBack(t, s, keys)
}
