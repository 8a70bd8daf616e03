package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// packingStore has a bucket, and extents that count as large enough to be sealed.
func packingStore(t testing.TB, idx index.Index, drives int) (*Store, []*memDrive) {
	t.Helper()
	s, mem := newMemStore(t, Options{Host: hosttest.New(1), PartBytesMin: 1, ExtentBytes: 16 << 10, TidyRate: 1 << 40}, idx, drives)
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	return s, mem
}

func putBody(t testing.TB, s *Store, key string, b []byte) Object {
	t.Helper()
	o, err := s.Put(context.Background(), PutRequest{Bucket: "lake", Key: key, Body: bytes.NewReader(b), Bytes: int64(len(b)), Metadata: map[string]string{"of": key}})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return o
}

// putSmall puts n objects of a few sizes and returns what they hold.
func putSmall(t testing.TB, s *Store, n int) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for i := range n {
		key := fmt.Sprintf("small/%04d", i)
		all[key] = body([]int{1025, 4096, 4097, 30_000, 131_072}[i%5], uint64(i))
		putBody(t, s, key, all[key])
	}
	return all
}

func holds(t testing.TB, s *Store, all map[string][]byte) {
	t.Helper()
	ctx := context.Background()
	for _, key := range slices.Sorted(maps.Keys(all)) {
		want := all[key]
		o, err := s.Open(ctx, "lake", key)
		if err != nil {
			t.Fatalf("open %s: %v", key, err)
		}
		r := o.NewReader(ctx, 0, -1)
		got, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s reads as %d bytes of %d: %v", key, len(got), len(want), err)
		}
		p, off := make([]byte, len(want)/2), len(want)/3
		if _, err := o.ReadAt(ctx, p, int64(off)); err != nil || !bytes.Equal(p, want[off:off+len(p)]) {
			t.Fatalf("%s from byte %d: %v", key, off, err)
		}
	}
}

func mustPack(t testing.TB, s *Store) PackReport {
	t.Helper()
	s.tidy.backlog.overflow()
	r, err := s.Pack(context.Background())
	if err != nil {
		t.Fatalf("pack: %v", err)
	}
	return r
}

// packedBlobs are the blobs of objects that are packed, by key.
func packedBlobs(t testing.TB, s *Store) map[string]Blob {
	t.Helper()
	all := map[string]Blob{}
	for item, err := range s.idx.Scan(context.Background(), KindPrefix("lake", KindObject), PrefixEnd(KindPrefix("lake", KindObject)), index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		p, err := decodePresent(item)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.blobs) == 1 && p.blobs[0].Packed != nil {
			all[string(item.Key[len("b/lake/o/"):])] = p.blobs[0]
		}
	}
	return all
}

func TestSmallObjectsArePackedAndReadBackFromOneDrive(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putSmall(t, s, 200)
	all["inline"], all["large"] = body(1000, 1), body(200_000, 2)
	putBody(t, s, "inline", all["inline"])
	putBody(t, s, "large", all["large"])
	before, err := s.Head(context.Background(), "lake", "small/0001")
	if err != nil {
		t.Fatal(err)
	}
	r := mustPack(t, s)
	if r.Blobs != 200 || r.Overtaken != 0 || r.Stripes < 2 || r.Stripes > 3 {
		t.Errorf("%+v", r)
	}
	if packed := packedBlobs(t, s); len(packed) != 200 {
		t.Errorf("%d objects are packed", len(packed))
	}
	after, err := s.Head(context.Background(), "lake", "small/0001")
	if after.Revision = before.Revision; err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%+v was packed as %+v", before, after)
	}
	holds(t, s, all)
	packed := packedBlobs(t, s)
	for key, b := range packed { // the others may all be broken
		for _, d := range mem {
			d.with(func() {
				if d.readErr = nil; d.number != b.Packed.Hint.Drive {
					d.readErr = errors.New("asked for nothing")
				}
			})
		}
		holds(t, s, map[string][]byte{key: all[key]})
	}
	for _, d := range mem {
		d.with(func() { d.readErr = nil })
	}
	if again := mustPack(t, s); again.Stripes != 0 {
		t.Errorf("packed again: %+v", again)
	}
}

func TestPackedObjectsSurviveTheLossOfAnyTwoDrives(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putSmall(t, s, 60)
	mustPack(t, s)
	for a := range mem {
		for b := range a {
			for _, i := range []int{a, b} {
				mem[i].with(func() { mem[i].readErr = drive.ErrCorrupt })
			}
			holds(t, s, all)
			for _, i := range []int{a, b} {
				mem[i].with(func() { mem[i].readErr = nil })
			}
		}
	}
}

func TestRepairOfASharedStripeChangesOneEntryAndOldHintsStillLeadThere(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 7)
	all := putSmall(t, s, 60)
	mustPack(t, s)
	before := keysWithVersions(t, s, "b/lake/o/")
	mem[2].with(func() { mem[2].readErr = drive.ErrCorrupt })
	holds(t, s, all)
	if r, err := s.Repair(context.Background(), RepairOptions{Verify: true}); err != nil || r.Healed == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if after := keysWithVersions(t, s, "b/lake/o/"); after != before {
		t.Error("repair changed the objects' entries")
	}
	for _, i := range []int{0, 1} { // with two more gone, the repaired shards are needed
		mem[i].with(func() { mem[i].readErr = drive.ErrCorrupt })
	}
	holds(t, s, all)
}

func keysWithVersions(t testing.TB, s *Store, prefix string) string {
	t.Helper()
	var b bytes.Buffer
	for item, err := range s.idx.Scan(context.Background(), []byte(prefix), PrefixEnd([]byte(prefix)), index.ScanOptions{KeysOnly: true}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %d\n", item.Key, item.Version)
	}
	return b.String()
}

func TestPackingNeverUndoesAnOverwriteNorADeletion(t *testing.T) {
	idx := &interfering{Index: indextest.New(t)}
	s, _ := packingStore(t, idx, 6)
	all := putSmall(t, s, 60)
	idx.before = func() {
		all["small/0003"] = body(5000, 77)
		putBody(t, s, "small/0003", all["small/0003"])
		if _, err := s.Delete(context.Background(), DeleteRequest{Bucket: "lake", Key: "small/0004"}); err != nil {
			t.Error(err)
		}
		delete(all, "small/0004")
	}
	if r := mustPack(t, s); r.Overtaken != 2 || r.Blobs != 58 {
		t.Errorf("%+v", r)
	}
	holds(t, s, all)
	if _, err := s.Head(context.Background(), "lake", "small/0004"); !errors.Is(err, ErrNoObject) {
		t.Errorf("a deleted object is back: %v", err)
	}
}

// interfering calls a function before the first transaction that moves something.
type interfering struct {
	index.Index
	before func()
}

func (i *interfering) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	if f := i.before; f != nil && slices.ContainsFunc(txn.Mutations, func(m index.Mutation) bool { return m.Moved }) {
		i.before = nil
		f()
	}
	return i.Index.Commit(ctx, txn)
}

func TestPackingLeavesNothingInABucketThatWasDeletedMeanwhile(t *testing.T) {
	ctx := context.Background()
	idx := &interfering{Index: indextest.New(t)}
	s, _ := packingStore(t, idx, 6)
	all := putSmall(t, s, 60)
	idx.before = func() {
		for key := range all {
			if _, err := s.Delete(ctx, DeleteRequest{Bucket: "lake", Key: key}); err != nil {
				t.Error(err)
			}
		}
		if err := s.DeleteBucket(ctx, "lake"); err != nil {
			t.Error(err)
		}
	}
	mustPack(t, s)
	if left := keysWithVersions(t, s, "b/lake/"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func TestNothingIsPackedWhileADriveIsAway(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putSmall(t, s, 60)
	mem[0].with(func() { mem[0].err = errors.New("broken") })
	s.tidy.backlog.overflow()
	if r, err := s.Pack(context.Background()); err != nil || r.Stripes != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	mem[0].with(func() { mem[0].err = nil })
	if r := mustPack(t, s); r.Blobs != 60 {
		t.Errorf("%+v", r)
	}
	holds(t, s, all)
}

func TestARottenSharedStripeIsNamedByNobody(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putSmall(t, s, 60)
	mem[3].with(func() { // what is written from now on does not read back
		for n := range uint32(40) {
			for sector := range uint32(memExtentRecords) {
				if a := (drive.Address{Extent: n, Generation: 1, Sector: sector}); mem[3].class[n] != drive.Small {
					mem[3].corrupt[a] = struct{}{}
				}
			}
		}
	})
	s.tidy.backlog.overflow()
	if r, err := s.Pack(context.Background()); err == nil || r.Blobs != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	holds(t, s, all)
	mem[3].with(func() { clear(mem[3].corrupt) })
	if r := mustPack(t, s); r.Blobs != 60 {
		t.Errorf("what could not be packed is forgotten: %+v", r)
	}
	holds(t, s, all)
}

func TestAReaderThatWasOpenedBeforeReadsWhatWasPackedAndSwept(t *testing.T) {
	ctx := context.Background()
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putSmall(t, s, 60)
	opened := map[string]*ObjectReader{}
	for key := range all {
		o, err := s.Open(ctx, "lake", key)
		if err != nil {
			t.Fatal(err)
		}
		opened[key] = o
	}
	mustPack(t, s)
	sealAll(mem)
	hosttest.ClockOf(s.host).Advance(s.o.StageKept)
	if r, err := s.Sweep(ctx); err != nil || r.Extents == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for key, o := range opened {
		p := make([]byte, len(all[key]))
		if _, err := o.ReadAt(ctx, p, 0); err != nil || !bytes.Equal(p, all[key]) {
			t.Fatalf("%s: %v", key, err)
		}
		r := o.NewReader(ctx, 0, -1)
		got, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || !bytes.Equal(got, all[key]) {
			t.Fatalf("stream of %s: %v", key, err)
		}
	}
}

func TestSpaceOfOverwrittenPackedObjectsComesBack(t *testing.T) {
	ctx := context.Background()
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putSmall(t, s, 100)
	mustPack(t, s)
	for i := range 90 { // most of every stripe is garbage now
		key := fmt.Sprintf("small/%04d", i)
		if _, err := s.Delete(ctx, DeleteRequest{Bucket: "lake", Key: key}); err != nil {
			t.Fatal(err)
		}
		delete(all, key)
	}
	var given, emptied int
	for range 4 {
		sealAll(mem)
		r, err := s.Reclaim(ctx)
		if err != nil {
			t.Fatal(err)
		}
		emptied += r.Extents + r.Sparse
		mustPack(t, s)
		swept, err := s.Sweep(ctx)
		if err != nil {
			t.Fatal(err)
		}
		given += swept.Extents
		holds(t, s, all)
	}
	if given == 0 || emptied == 0 {
		t.Errorf("%d extents were given back, %d were emptied", given, emptied)
	}
	var used int64
	for _, d := range mem {
		for _, e := range d.Extents() {
			used += e.Bytes
		}
	}
	var alive int64
	for _, b := range all {
		alive += int64(len(b))
	}
	if used > 2*alive+6*64<<10 {
		t.Errorf("%d bytes are used by %d that are alive", used, alive)
	}
}

func TestSparseExtentsOfLargeObjectsAreEmptied(t *testing.T) {
	ctx := context.Background()
	s, mem := packingStore(t, indextest.New(t), 6)
	all := map[string][]byte{}
	for i := range 30 {
		key := fmt.Sprintf("large/%02d", i)
		b := body(200_000, uint64(i))
		putBody(t, s, key, b)
		if i%10 == 3 {
			all[key] = b
			continue
		}
		if _, err := s.Delete(ctx, DeleteRequest{Bucket: "lake", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	sealAll(mem)
	before := extentCount(mem)
	r, err := s.Reclaim(ctx)
	if err != nil || r.Extents == 0 || r.BytesMoved == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.Sweep(ctx); err != nil {
		t.Error(err)
	}
	if after := extentCount(mem); after >= before {
		t.Errorf("%d extents, were %d", after, before)
	}
	holds(t, s, all)
	if r, err := s.Repair(ctx, RepairOptions{Verify: true}); err != nil || r.Damaged != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
