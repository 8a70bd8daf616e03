package objects

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects/index/indextest"
)

// After the shards of shared stripes were moved, a blob that was read once is read at
// the first try again, and one that was not costs a look at its stripe's entry.
func TestAReadOfAMovedPackedBlobPutsItsHintRight(t *testing.T) {
	ctx := context.Background()
	s, mem := packingStore(t, indextest.New(t), 7)
	all := putSmall(t, s, 100)
	mustPack(t, s)
	before := packedBlobs(t, s)
	if _, err := s.Relocate(ctx, Relocation{Want: func(st *Stripe) []int {
		if st.K == 4 {
			return []int{0, 1}
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	stale := 0
	for _, b := range before {
		r := packedRead{s: s, blob: &b, key: stripeKey("lake", b.Packed.Stripe)}
		st, err := r.stripe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if st.Shards[b.Packed.Shard] == b.Packed.Hint {
			continue
		}
		stale++
		for _, d := range mem { // as after a sweep
			if d.number == b.Packed.Hint.Drive {
				d.with(func() { d.corrupt[b.Packed.Hint.Address] = struct{}{} })
			}
		}
	}
	holds(t, s, all)
	putBody(t, s, "small/0000", body(5000, 99)) // replaced between the read and the refresh
	all["small/0000"] = body(5000, 99)
	if _, err := s.Delete(ctx, DeleteRequest{Bucket: "lake", Key: "small/0001"}); err != nil {
		t.Fatal(err)
	}
	delete(all, "small/0001")
	n, err := s.refreshHints(ctx)
	if err != nil || stale < 20 || n < stale-2 || n > stale {
		t.Fatalf("%d of %d stale hints were put right: %v", n, stale, err)
	}
	for key, b := range packedBlobs(t, s) {
		r := packedRead{s: s, blob: &b}
		if p, err := r.hinted(ctx); err != nil || !bytes.Equal(p, all[key]) {
			t.Errorf("%s at its hint: %v", key, err)
		}
	}
	holds(t, s, all)
	if again, err := s.refreshHints(ctx); again != 0 || err != nil {
		t.Errorf("%d again, %v", again, err)
	}
}

// A value that changes between the look at it and the swap stays as it became.
func TestARefreshedHintNeverBringsAReplacedObjectBack(t *testing.T) {
	ctx := context.Background()
	s, _ := packingStore(t, indextest.New(t), 7)
	all := putSmall(t, s, 50)
	mustPack(t, s)
	if _, err := s.Relocate(ctx, Relocation{Want: func(st *Stripe) []int { return []int{0, 1, 2, 3} }}); err != nil {
		t.Fatal(err)
	}
	var batch []*swap
	for key := range all {
		one, err := s.refreshed(ctx, ObjectKey("lake", key))
		if err != nil {
			t.Fatal(err)
		}
		if one != nil {
			batch = append(batch, one)
		}
		all[key] = body(2000, 7)
		putBody(t, s, key, all[key])
	}
	if won, err := s.swapHints(ctx, batch); won != 0 || err != nil || len(batch) == 0 {
		t.Errorf("%d of %d were swapped: %v", won, len(batch), err)
	}
	holds(t, s, all)
}

// BenchmarkGetPacked reads packed blobs of 4 KiB from drives in memory: what a GET costs
// above the drive.
func BenchmarkGetPacked(b *testing.B) {
	ctx := context.Background()
	s, _ := packingStore(b, indextest.New(b), 6)
	for i := range 200 {
		putBody(b, s, "k"+string(rune('a'+i)), body(4096, uint64(i)))
	}
	mustPack(b, s)
	var readers []*ObjectReader
	for i := range 200 {
		o, err := s.Open(ctx, "lake", "k"+string(rune('a'+i)))
		if err != nil {
			b.Fatal(err)
		}
		readers = append(readers, o)
	}
	b.ReportAllocs()
	p := make([]byte, 4096)
	for i := 0; b.Loop(); i++ {
		if _, err := readers[i%200].ReadAt(ctx, p, 0); err != nil && err != io.EOF {
			b.Fatal(err)
		}
	}
}

// What an audit finds of a shared stripe is told with the objects whose bytes lie there.
func TestAnAuditNamesThePackedObjectsInABadShard(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	putSmall(t, s, 100)
	mustPack(t, s)
	var hit Blob
	for _, b := range packedBlobs(t, s) {
		hit = b
	}
	for _, d := range mem {
		if d.number == hit.Packed.Hint.Drive {
			d.with(func() { d.corrupt[hit.Packed.Hint.Address] = struct{}{} })
		}
	}
	auditAll(t, s)
	_, _, problems := s.Audits()
	if len(problems) != 1 || !strings.HasPrefix(problems[0].Key, "b/lake/s/") || !strings.Contains(problems[0].What, `packed objects lie in it, ["b/lake/o/small/`) {
		t.Errorf("%+v", problems)
	}
}
