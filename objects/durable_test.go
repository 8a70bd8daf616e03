package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

var sixFolders = []string{"drive-1", "drive-2", "drive-3", "drive-4", "drive-5", "drive-6"}

func durableOptions(h *host.Host) Options {
	return Options{Host: h, Drives: sixFolders, AutoFormat: true, ExtentBytes: 4 << 20, CacheBytes: 1 << 20, proveCounts: true}
}

func openDurable(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func mustClose(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// commit names a blob.
func commit(ctx context.Context, s *Store, key string, b Blob) error {
	_, err := s.idx.Commit(ctx, index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: []byte(key), Value: EncodeValue([]Blob{b}, nil)}}})
	return err
}

// keep writes a body, commits it under a key that tells its size and seed.
func keep(t testing.TB, s *Store, n int, seed uint64) string {
	t.Helper()
	key := fmt.Sprintf("%d/%d", n, seed)
	if err := commit(context.Background(), s, key, mustWrite(t, s, body(n, seed))); err != nil {
		t.Fatal(err)
	}
	return key
}

// keptReadsBack reads what keep wrote.
func keptReadsBack(t testing.TB, s *Store, key string) {
	t.Helper()
	var n int
	var seed uint64
	if _, err := fmt.Sscanf(key, "%d/%d", &n, &seed); err != nil {
		t.Fatal(err)
	}
	item, err := s.idx.Get(context.Background(), []byte(key))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil || len(blobs) != 1 {
		t.Fatalf("%s: %v", key, err)
	}
	p := make([]byte, n)
	if _, err := s.OpenBlob(blobs[0]).ReadAt(context.Background(), p, 0); err != nil || !bytes.Equal(p, body(n, seed)) {
		t.Fatalf("%s does not read back: %v", key, err)
	}
}

func keepSome(t testing.TB, s *Store) (keys []string) {
	for seed := range uint64(3) {
		for _, n := range []int{10, 5000, 100_000, 300_000} {
			keys = append(keys, keep(t, s, n, seed))
		}
	}
	return keys
}

func allReadBack(t testing.TB, s *Store, keys []string) {
	t.Helper()
	for _, key := range keys {
		keptReadsBack(t, s, key)
	}
}

// wholeAgain demands full redundancy of everything after a repair that reads all.
func wholeAgain(t testing.TB, s *Store) {
	t.Helper()
	if _, err := s.Repair(context.Background(), RepairOptions{Verify: true}); err != nil {
		t.Fatal(err)
	}
	report, err := s.Repair(context.Background(), RepairOptions{Verify: true})
	if err != nil || report.Damaged > 0 {
		t.Fatalf("after a repair: %+v, %v", report, err)
	}
	r, err := s.Redundancy(context.Background())
	if err != nil || r.Lost > 0 || r.Spare[0] > 0 || r.Spare[1] > 0 {
		t.Fatalf("after a repair: %+v, %v", r, err)
	}
}

func TestAStoreIsMadeAndOpenedAgain(t *testing.T) {
	h := hosttest.New(1)
	s := openDurable(t, durableOptions(h))
	keys := keepSome(t, s)
	mustClose(t, s)
	s = openDurable(t, durableOptions(h))
	defer mustClose(t, s)
	allReadBack(t, s, keys)
	for _, d := range s.Drives() {
		if d.State != DriveWell {
			t.Errorf("%+v", d)
		}
	}
	wholeAgain(t, s)
}

func TestAnyTwoDrivesMayBeLostBetweenRunsAndAreFilledAgain(t *testing.T) {
	h := hosttest.New(2)
	s := openDurable(t, durableOptions(h))
	keys := keepSome(t, s)
	for a := range 6 {
		for b := range a {
			mustClose(t, s)
			hosttest.DiskOf(h).Wipe(sixFolders[a])
			hosttest.DiskOf(h).Wipe(sixFolders[b])
			s = openDurable(t, durableOptions(h))
			allReadBack(t, s, keys)
			wholeAgain(t, s)
			keys = append(keys, keep(t, s, 3000+a*10+b, 9))
		}
	}
	mustClose(t, s)
}

func TestASecondOpenIsRefused(t *testing.T) {
	h := hosttest.New(3)
	s := openDurable(t, durableOptions(h))
	defer mustClose(t, s)
	if _, err := Open(context.Background(), durableOptions(h)); !errors.Is(err, drive.ErrLocked) {
		t.Error(err)
	}
}

func TestNothingIsFormattedUnasked(t *testing.T) {
	h := hosttest.New(4)
	o := durableOptions(h)
	o.AutoFormat = false
	if _, err := Open(context.Background(), o); !errors.Is(err, drive.ErrNotFormatted) {
		t.Error(err)
	}
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	keys := keepSome(t, s)
	mustClose(t, s)
	hosttest.DiskOf(h).Wipe("drive-3")
	s = openDurable(t, o)
	defer mustClose(t, s)
	if d := s.Drives()[2]; d.State != DriveMissing || d.Number != 3 {
		t.Errorf("%+v", d)
	}
	allReadBack(t, s, keys)
	status, err := s.AdoptDrive(context.Background(), "drive-3")
	if err != nil || status.Number != 7 {
		t.Fatalf("%+v, %v", status, err)
	}
	wholeAgain(t, s)
	for _, d := range s.Drives() {
		if d.State != DriveWell {
			t.Errorf("%+v", d)
		}
	}
	if err := Format(context.Background(), o); err == nil {
		t.Error("a store was formatted a second time")
	}
}

// timePasses lets the store's background work go on.
func timePasses(h *host.Host) (stop func()) { return hurrying(h, 20*time.Millisecond) }

// hurrying lets so much of a host's time pass in each millisecond of ours.
func hurrying(h *host.Host, each time.Duration) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case <-time.After(time.Millisecond):
				hosttest.ClockOf(h).Advance(each)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// keepEverywhere keeps objects until every drive holds some: which drives are chosen depends on how busy each is.
func keepEverywhere(t testing.TB, s *Store) (keys []string) {
	t.Helper()
	for range 50 {
		keys = append(keys, keepSome(t, s)...)
		held, err := s.Holdings(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		bare := func(m *member) bool { return held[m.number].Shards == 0 }
		if !slices.ContainsFunc(s.drives.list(), bare) {
			return keys
		}
	}
	t.Fatal("a drive is never chosen")
	return nil
}
