package objects

import (
	"bytes"
	"context"
	"io"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// scanned counts the scans of everything.
type scanned struct {
	index.Index
	whole atomic.Int64
}

func (s *scanned) Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error] {
	if lo == nil && hi == nil {
		s.whole.Add(1)
	}
	return s.Index.Scan(ctx, lo, hi, o)
}

func rotten(d *memDrive) {
	d.with(func() {
		for e, records := range d.extents {
			for i := range records {
				d.corrupt[drive.Address{Extent: e, Generation: 1, Sector: uint32(i)}] = struct{}{}
			}
		}
	})
}

// stripeOf is the only stripe of a kept value.
func stripesOf(t testing.TB, s *Store, key string) []Stripe {
	t.Helper()
	item, err := s.idx.Get(context.Background(), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil {
		t.Fatal(err)
	}
	return blobs[0].Stripes
}

func TestWhatAReadFoundIsRepairedWithoutAScan(t *testing.T) {
	idx := &scanned{Index: indextest.New(t)}
	s, mem := newMemStore(t, Options{}, idx, 7)
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	want := body(300_000, 1)
	if _, err := s.Put(context.Background(), PutRequest{Bucket: "lake", Key: "doc", Body: bytes.NewReader(want), Bytes: int64(len(want))}); err != nil {
		t.Fatal(err)
	}
	for _, sh := range stripesOf(t, s, string(ObjectKey("lake", "doc")))[0].Shards[:2] {
		rotten(mem[sh.Drive-1]) // which the read asks
	}
	o, err := s.Open(context.Background(), "lake", "doc")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(o.NewReader(context.Background(), 0, -1)); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if s.repairs.queued() != 1 {
		t.Fatalf("%d stripes wait for repair", s.repairs.queued())
	}
	before := idx.whole.Load()
	report, err := s.Repair(context.Background(), RepairOptions{trusting: true, queued: true})
	if err != nil || report.Healed != 1 || report.Damaged != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if n := idx.whole.Load() - before; n != 0 || s.repairs.queued() != 0 {
		t.Errorf("%d scans, %d stripes still wait", n, s.repairs.queued())
	}
	st := stripesOf(t, s, string(ObjectKey("lake", "doc")))[0]
	if bad := s.missing(context.Background(), &st, RepairOptions{Verify: true}); len(bad) > 0 {
		t.Errorf("shards %v are still bad", bad)
	}
}

// order notes the keys that are swapped, in order.
type order struct {
	index.Index
	keys []string
}

func (o *order) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	for _, m := range txn.Mutations {
		o.keys = append(o.keys, string(m.Key))
	}
	return o.Index.Commit(ctx, txn)
}

func TestTheStripesWithTheLeastRedundancyAreRepairedFirst(t *testing.T) {
	idx := &order{Index: indextest.New(t)}
	s, mem := newMemStore(t, Options{}, idx, 9)
	var keys []string
	for seed := range uint64(30) {
		keys = append(keys, keep(t, s, 300_000, seed))
	}
	s.drives.find(1).set(DriveMissing, "lost")
	s.drives.find(2).set(DriveMissing, "lost")
	_ = mem
	worst := map[string]bool{}
	for _, key := range keys {
		if spare := s.spare(&stripesOf(t, s, key)[0]); spare == 0 {
			worst[key] = true
		}
	}
	idx.keys = nil
	report, err := s.Repair(context.Background(), RepairOptions{})
	if err != nil || report.Left == nil || !report.Left.Whole() || report.Healed != int64(len(idx.keys)) {
		t.Fatalf("%+v, %v", report, err)
	}
	if len(worst) == 0 || len(worst) == len(idx.keys) {
		t.Fatalf("%d of %d stripes lost two shards: nothing to tell apart", len(worst), len(idx.keys))
	}
	for i, key := range idx.keys[:len(worst)] {
		if !worst[key] {
			t.Errorf("swap %d of %d is of a stripe that lost one shard, and others lost two", i, len(idx.keys))
		}
	}
}

func TestARelocationEmptiesADriveAndKeepsEveryByte(t *testing.T) {
	s, mem := newMemStore(t, Options{}, indextest.New(t), 8)
	keys := keepEverywhere(t, s)
	rotten(mem[2]) // what cannot be read where it lies is rebuilt
	report, err := s.Relocate(context.Background(), Relocation{
		Want: func(st *Stripe) (which []int) {
			for i, sh := range st.Shards {
				if sh.Drive == 3 {
					which = append(which, i)
				}
			}
			return which
		},
		Avoid: func(drive uint16) bool { return drive == 3 },
	})
	if err != nil || report.Healed == 0 || report.Damaged != report.Healed {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, key := range keys {
		for _, st := range stripesOf(t, s, key) {
			held := map[uint16]bool{}
			for _, sh := range st.Shards {
				if sh.Drive == 3 || held[sh.Drive] || sh.Address.IsZero() {
					t.Errorf("%s: a shard on drive %d", key, sh.Drive)
				}
				held[sh.Drive] = true
			}
		}
	}
	allReadBack(t, s, keys)
}

// A value that does not decode hides what it names: repair goes on with all
// others, and never calls itself complete.
func TestAValueThatDoesNotDecodeKeepsARepairFromBeingComplete(t *testing.T) {
	s, _ := newMemStore(t, Options{}, indextest.New(t), 7)
	keys := keepSome(t, s)
	if _, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: []byte("0"), Value: []byte{9}}}}); err != nil {
		t.Fatal(err)
	}
	s.drives.find(2).set(DriveMissing, "lost")
	report, err := s.Repair(context.Background(), RepairOptions{})
	if err == nil || report.Undecodable != 1 || report.Complete() || report.Healed == 0 || report.Damaged != report.Healed {
		t.Errorf("%+v, %v", report, err)
	}
	allReadBack(t, s, keys)
}
