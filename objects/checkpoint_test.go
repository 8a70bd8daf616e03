package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
)

func mustCheckpoint(t testing.TB, s *Store) {
	t.Helper()
	if err := s.idx.(*index.Local).Checkpoint(context.Background()); err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
}

// dropViews removes the index's view wherever it lies.
func dropViews(t testing.TB, h *host.Host) {
	t.Helper()
	for _, folder := range sixFolders {
		if err := h.FS.RemoveAll(h.FS.PathJoin(folder, viewFolder)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestACheckpointOfManyStripesIsListedOutsideTheRoot: two drives are lost and the view
// with them, so that list and image are read from what is left; both are then repaired,
// kept by sweeps, and read again with two other drives lost.
func TestACheckpointOfManyStripesIsListedOutsideTheRoot(t *testing.T) {
	h := hosttest.New(41)
	o := durableOptions(h)
	o.checkpointInRoot = 100
	s := openDurable(t, o)
	keys := keepSome(t, s)
	bulk := EncodeValue(nil, body(1<<19, 1))
	for i := range 20 {
		if _, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: fmt.Append(nil, "bulk", i), Value: bulk}}}); err != nil {
			t.Fatal(err)
		}
	}
	mustCheckpoint(t, s)
	for round := range 3 {
		record := s.roots.get()
		named, err := s.checkpoint(context.Background(), &record)
		if err != nil || len(named.list) != 1 || len(named.image) != 1 || len(record.checkpoint) > 1000 {
			t.Fatalf("round %d: the root has %d bytes of checkpoint, %d lists, an image of %+v: %v", round, len(record.checkpoint), len(named.list), named.image, err)
		}
		mustClose(t, s)
		hosttest.DiskOf(h).Wipe(sixFolders[2*round])
		hosttest.DiskOf(h).Wipe(sixFolders[2*round+1])
		dropViews(t, h)
		s = openDurable(t, o)
		allReadBack(t, s, keys)
		if it, err := s.idx.Get(context.Background(), []byte("bulk19")); err != nil || !bytes.Equal(it.Value, bulk) {
			t.Fatalf("a value of the image: %v", err)
		}
		wholeAgain(t, s)
		hosttest.ClockOf(h).Advance(2 * s.o.StageKept)
		if _, err := s.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
}

// TestTheListOfACheckpointIsRepairedAndKept: an image of so many stripes that their list
// lies in shards of its own. Whatever drive is lost, it is found again.
func TestTheListOfACheckpointIsRepairedAndKept(t *testing.T) {
	h := hosttest.New(43)
	o := durableOptions(h)
	o.checkpointInRoot = 100
	s := openDurable(t, o)
	keys := keepSome(t, s)
	var image Blob
	var want []byte
	for seed := range uint64(60) {
		b := mustWrite(t, s, body(2000, seed))
		image.Bytes, image.Stripes = image.Bytes+b.Bytes, append(image.Stripes, b.Stripes...)
		want = append(want, body(2000, seed)...)
	}
	named, err := s.nameCheckpoint(context.Background(), image)
	if err != nil || len(named.list) != 1 || len(named.list[0].Stripes) == 0 {
		t.Fatalf("%d lists: %v", len(named.list), err)
	}
	if err := s.roots.save(context.Background(), func(r *rootRecord) { r.checkpoint = named.value }); err != nil {
		t.Fatal(err)
	}
	named.kept(s)
	for round := range 3 {
		mustClose(t, s)
		hosttest.DiskOf(h).Wipe(sixFolders[2*round])
		hosttest.DiskOf(h).Wipe(sixFolders[2*round+1])
		s = openDurable(t, o)
		wholeAgain(t, s)
		hosttest.ClockOf(h).Advance(2 * s.o.StageKept)
		if _, err := s.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
		record := s.roots.get()
		named, err := s.checkpoint(context.Background(), &record)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		got := make([]byte, image.Bytes)
		if _, err := s.OpenBlob(named.image[0]).ReadAt(context.Background(), got, 0); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("round %d: the image: %v", round, err)
		}
	}
	allReadBack(t, s, keys)
	mustClose(t, s)
}

func TestACheckpointThatCannotBeReadStopsTheSweep(t *testing.T) {
	h := hosttest.New(42)
	s := openDurable(t, durableOptions(h))
	defer mustClose(t, s)
	for i, value := range [][]byte{{9}, EncodeValue(nil, nil), EncodeValue([]Blob{{Bytes: valueBytesMax + 1, Stripes: []Stripe{{K: 1, Bytes: 1, Shards: make([]Shard, 1)}}}}, []byte(checkpointListed)),
		EncodeValue([]Blob{{Bytes: 3, Inline: []byte("bad")}}, []byte(checkpointListed))} {
		if err := s.roots.save(context.Background(), func(r *rootRecord) { r.checkpoint = value }); err != nil {
			t.Fatal(err)
		}
		_, err := s.liveness(context.Background())
		if !errors.Is(err, ErrCorruptIndexItem) {
			t.Errorf("value %d: %v", i, err)
		}
	}
	if err := s.roots.save(context.Background(), func(r *rootRecord) { r.checkpoint = nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.liveness(context.Background()); err != nil {
		t.Error(err)
	}
}
