package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// together has n calls wait for each other's bytes, as if others were on their way,
// and lets them go.
func together(t testing.TB, s *Store, n int, call func(i int)) {
	t.Helper()
	j, least := &s.joints, s.o.JointLeast
	j.mu.Lock()
	j.under += least
	j.mu.Unlock()
	var calls sync.WaitGroup
	for i := range n {
		calls.Go(func() { call(i) })
	}
	awaitWaiting(t, s, n)
	j.leave(least)
	calls.Wait()
}

func awaitWaiting(t testing.TB, s *Store, n int) {
	t.Helper()
	for range 10_000 {
		s.joints.mu.Lock()
		now := len(s.joints.waiting)
		s.joints.mu.Unlock()
		if now == n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d blobs do not wait", n)
}

// putTogether puts n objects at once.
func putTogether(t testing.TB, s *Store, n, size int) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for i := range n {
		all[fmt.Sprintf("joint/%02d", i)] = body(size, uint64(i))
	}
	together(t, s, n, func(i int) {
		key := fmt.Sprintf("joint/%02d", i)
		putBody(t, s, key, all[key])
	})
	return all
}

// stageTogether stages n objects at once, which share a stripe.
func stageTogether(t testing.TB, s *Store, n int) []*Staged {
	t.Helper()
	all := make([]*Staged, n)
	together(t, s, n, func(i int) {
		st, err := s.Stage(context.Background(), PutRequest{Bucket: "lake", Key: fmt.Sprint("staged/", i), Body: bytes.NewReader(body(4096, uint64(i))), Bytes: 4096})
		if err != nil {
			t.Error(err)
			return
		}
		all[i] = st
	})
	for _, st := range all {
		if st == nil || st.shared == nil || st.shared.Stripe != all[0].shared.Stripe {
			t.Fatal("what was staged at once does not share a stripe")
		}
	}
	return all
}

func commitStaged(s *Store, st *Staged) error {
	_, err := s.apply(context.Background(), false, func(tx *Tx) error { return tx.PutObject(context.Background(), st, Conditions{}) })
	return err
}

func stagedReadsBack(t testing.TB, s *Store, i int) {
	t.Helper()
	holds(t, s, map[string][]byte{fmt.Sprint("staged/", i): body(4096, uint64(i))})
}

func deleteStaged(t testing.TB, s *Store, i int) {
	t.Helper()
	if _, err := s.Delete(context.Background(), DeleteRequest{Bucket: "lake", Key: fmt.Sprint("staged/", i)}); err != nil {
		t.Fatal(err)
	}
}

// jointEntries are the stripes of the bucket's small blobs.
func jointEntries(t testing.TB, s *Store) (all []Stripe) {
	t.Helper()
	prefix := KindPrefix("lake", KindStripe)
	for item, err := range s.idx.Scan(context.Background(), prefix, PrefixEnd(prefix), index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		st, _, err := decodeStripeRecord(item.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	return all
}

func nothingStaged(t testing.TB, s *Store) {
	t.Helper()
	p := &s.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.staged)+len(p.mu.joint)+len(p.mu.writers)+len(p.mu.unknown) > 0 {
		t.Errorf("staged %v, joint %v, writers %v, unknown %v", p.mu.staged, p.mu.joint, p.mu.writers, p.mu.unknown)
	}
}

func appendsOf(mem []*memDrive) (n int) {
	for _, d := range mem {
		n += d.count(&d.appends)
	}
	return n
}

func TestSmallObjectsThatArePutAtOnceShareAStripeFromTheStart(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	all := putTogether(t, s, 16, 4096)
	if n := appendsOf(mem); n != 6 {
		t.Errorf("%d records were written, not one on each of 6 drives", n)
	}
	packed, entries := packedBlobs(t, s), jointEntries(t, s)
	if len(packed) != 16 || len(entries) != 1 || entries[0].ShardBytes() != 4*4096 {
		t.Fatalf("%d objects share %d stripes", len(packed), len(entries))
	}
	for _, d := range mem {
		for e, c := range d.class {
			if c != drive.Joint {
				t.Errorf("drive %d: extent %d is of class %s, which is not made ready ahead", d.number, e, c)
			}
		}
	}
	nothingStaged(t, s)
	holds(t, s, all)
	if l, err := s.liveness(t.Context()); err != nil || len(l.sparse)+len(l.dead) > 0 || l.shared != 16*4096 || l.small != 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if r := mustPack(t, s); r.Stripes != 0 {
		t.Errorf("what shares a stripe was packed: %+v", r)
	}
	mem[2].with(func() { mem[2].readErr = drive.ErrFailed })
	mem[4].with(func() { mem[4].readErr = drive.ErrFailed })
	holds(t, s, all)
}

func TestALonePutIsWrittenInWholeCopiesAtOnce(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	for i := range 20 {
		putBody(t, s, fmt.Sprint(i), body(4096, uint64(i)))
	}
	if n := appendsOf(mem); n != 60 || len(packedBlobs(t, s)) != 0 {
		t.Errorf("%d records, %d of them shared", n, len(packedBlobs(t, s)))
	}
}

func TestWhatDoesNotFillAStripeGoesWithTheNextOneOrAlone(t *testing.T) {
	s, _ := packingStore(t, indextest.New(t), 6)
	all := putTogether(t, s, 18, 4096) // 16 in a stripe of 4 rows
	holds(t, s, all)
	if n := len(packedBlobs(t, s)); n != 16 {
		t.Errorf("%d of 18 share a stripe", n)
	}
	nothing := func(what string, n, size int) {
		s, _ := packingStore(t, indextest.New(t), 6)
		holds(t, s, putTogether(t, s, n, size))
		if n := len(packedBlobs(t, s)); n != 0 {
			t.Errorf("%s: %d share a stripe", what, n)
		}
	}
	nothing("too few", jointLeast-1, 4096)
	s, _ = packingStore(t, indextest.New(t), 6)
	if all = putTogether(t, s, 60, jointBlobMax); len(jointEntries(t, s)) != 2 {
		t.Errorf("60 × 32 KiB take %d stripes", len(jointEntries(t, s)))
	}
	holds(t, s, all)
}

func TestBlobsOfDifferentBucketsDoNotShareStripes(t *testing.T) {
	s, _ := packingStore(t, indextest.New(t), 6)
	if _, err := s.CreateBucket(t.Context(), "pond"); err != nil {
		t.Fatal(err)
	}
	together(t, s, 24, func(i int) {
		r := PutRequest{Bucket: "lake", Key: fmt.Sprint(i), Body: bytes.NewReader(body(4096, uint64(i))), Bytes: 4096}
		if i%3 == 0 {
			r.Bucket = "pond"
		}
		if _, err := s.Put(t.Context(), r); err != nil {
			t.Error(err)
		}
	})
	if n := len(packedBlobs(t, s)); n != 16 || len(jointEntries(t, s)) != 1 {
		t.Errorf("%d objects of one bucket in %d stripes", n, len(jointEntries(t, s)))
	}
}

// refusing looks well, and takes nothing.
type refusing struct{ *memDrive }

func (refusing) Append(context.Context, drive.Class, []drive.Record) ([]drive.Address, error) {
	return nil, drive.ErrFull
}

func TestNothingSharesAStripeThatWouldLackAShard(t *testing.T) {
	for _, c := range []struct {
		known   bool // before
		records int  // that are written
	}{{true, 3 * 16}, {false, 3*16 + 5}} {
		s, mem := packingStore(t, indextest.New(t), 6)
		if c.known {
			mem[3].with(func() { mem[3].err = drive.ErrFailed })
		} else {
			s.drives.find(4).Drive = refusing{mem[3]}
		}
		all := putTogether(t, s, 16, 4096)
		holds(t, s, all)
		if n := len(packedBlobs(t, s)); n != 0 {
			t.Errorf("known before %v: %d objects lie in a stripe that lacks a shard", c.known, n)
		}
		if n := appendsOf(mem); n != c.records {
			t.Errorf("known before %v: %d records are written", c.known, n)
		}
		nothingStaged(t, s)
	}
}

// The entry that the first of them made may name other places by now.
func TestALaterCommitLeavesTheEntryOfAMovedStripeAlone(t *testing.T) {
	ctx := t.Context()
	s, mem := packingStore(t, indextest.New(t), 8)
	all := stageTogether(t, s, 8)
	if err := commitStaged(s, all[0]); err != nil {
		t.Fatal(err)
	}
	sealAll(mem)
	r, err := s.Relocate(ctx, Relocation{Want: func(st *Stripe) []int { return []int{0, 5} }})
	if err != nil || r.Healed != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	moved := jointEntries(t, s)[0]
	if r, err := s.Sweep(ctx); err != nil || r.Extents != 0 {
		t.Errorf("what may yet be committed was swept: %+v, %v", r, err)
	}
	if err := commitStaged(s, all[1]); err != nil {
		t.Fatal(err)
	}
	if now := jointEntries(t, s); len(now) != 1 || !slices.Equal(now[0].Shards, moved.Shards) {
		t.Errorf("the entry names places that were left: %+v, not %+v", now[0].Shards, moved.Shards)
	}
	for i := 2; i < 8; i++ {
		if err := commitStaged(s, all[i]); err != nil {
			t.Fatal(err)
		}
	}
	hosttest.ClockOf(s.host).Advance(s.o.StageKept)
	if r, err := s.Sweep(ctx); err != nil || r.Extents != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	for i := range 8 {
		stagedReadsBack(t, s, i)
	}
}

// Nobody refers to the stripe at this moment, but somebody is about to.
func TestAStripeIsNotForgottenWhileABlobInItMayBeCommitted(t *testing.T) {
	ctx := t.Context()
	s, mem := packingStore(t, indextest.New(t), 6)
	all := stageTogether(t, s, 8)
	if err := commitStaged(s, all[0]); err != nil {
		t.Fatal(err)
	}
	deleteStaged(t, s, 0)
	sealAll(mem)
	for range 2 {
		if _, err := s.Reclaim(ctx); err != nil {
			t.Fatal(err)
		}
		if r, err := s.Sweep(ctx); err != nil || r.Extents != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if n := len(jointEntries(t, s)); n != 1 {
			t.Fatalf("%d entries", n)
		}
	}
	for i := 1; i < 8; i++ {
		if err := commitStaged(s, all[i]); err != nil {
			t.Fatal(err)
		}
		stagedReadsBack(t, s, i)
	}
	for i := 1; i < 8; i++ {
		deleteStaged(t, s, i)
	}
	if r, err := s.Sweep(ctx); err != nil || r.Extents != 6 || len(jointEntries(t, s)) != 0 {
		t.Errorf("of a stripe that is dead %d extents are swept: %v", r.Extents, err)
	}
}

// A look that began before and ends after the commit must see the blob, or that it
// was about to be committed.
func TestACommitDuringALookKeepsItsStripe(t *testing.T) {
	ctx := t.Context()
	idx := &pausing{Index: indextest.New(t), scans: make(chan chan struct{}, 1)}
	s, mem := packingStore(t, idx, 6)
	all := stageTogether(t, s, 8)
	if err := commitStaged(s, all[0]); err != nil {
		t.Fatal(err)
	}
	deleteStaged(t, s, 0)
	for _, st := range all[2:] {
		s.pins.drop(st.shared)
	}
	sealAll(mem)
	done := make(chan error)
	go func() {
		_, err := s.Reclaim(ctx)
		done <- err
	}()
	looking := <-idx.scans // of a state in which no blob of the stripe is there
	if err := commitStaged(s, all[1]); err != nil {
		t.Fatal(err)
	}
	close(looking)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := len(jointEntries(t, s)); n != 1 {
		t.Errorf("%d entries", n)
	}
	stagedReadsBack(t, s, 1)
}

func TestABlobThatIsCommittedTooLateIsRefusedThoughItsStripeIsThere(t *testing.T) {
	ctx := t.Context()
	s, mem := packingStore(t, indextest.New(t), 6)
	all := stageTogether(t, s, 8)
	if err := commitStaged(s, all[0]); err != nil {
		t.Fatal(err)
	}
	late := s.Begin()
	if err := late.PutObject(ctx, all[1], Conditions{}); err != nil {
		t.Fatal(err)
	}
	sealAll(mem)
	hosttest.ClockOf(s.host).Advance(s.o.StageKept)
	if _, err := s.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, late); !errors.Is(err, ErrStageTooOld) {
		t.Errorf("committed after its time: %v", err)
	}
	stagedReadsBack(t, s, 0)
	nothingStaged(t, s)
}

// What a transaction names whose fate is open is kept for as long as it is.
func TestAStripeIsKeptWhileTheFateOfATransactionThatNamesItIsOpen(t *testing.T) {
	ctx := t.Context()
	idx := &doubting{Index: indextest.New(t)}
	s, mem := packingStore(t, idx, 6)
	all := stageTogether(t, s, 8)
	if err := commitStaged(s, all[0]); err != nil {
		t.Fatal(err)
	}
	deleteStaged(t, s, 0)
	for _, st := range all[2:] {
		s.pins.drop(st.shared)
	}
	open := s.Begin()
	if err := open.PutObject(ctx, all[1], Conditions{}); err != nil {
		t.Fatal(err)
	}
	idx.lost = true
	if _, err := s.Index().Commit(ctx, index.Txn{RequestID: open.RequestID, Conditions: open.conditions, Mutations: open.mutations}); !errors.Is(err, index.ErrUnknown) {
		t.Fatal(err)
	}
	sealAll(mem)
	hosttest.ClockOf(s.host).Advance(2 * s.o.StageKept)
	if _, err := s.Sweep(ctx); !errors.Is(err, index.ErrReadOnly) {
		t.Error(err)
	}
	if _, err := s.Reclaim(ctx); err != nil { // it looks at what is held, too
		t.Fatal(err)
	}
	if l, err := s.liveness(ctx); err != nil || len(l.dead) != 0 {
		t.Errorf("the stripe counts as dead: %v", err)
	}
	idx.lost = false
	for range 2 {
		if r, err := s.Sweep(ctx); err != nil || r.Extents != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	stagedReadsBack(t, s, 1)
	nothingStaged(t, s)
}

func TestAPutThatIsRefusedHoldsNothing(t *testing.T) {
	s, mem := packingStore(t, indextest.New(t), 6)
	putBody(t, s, "there", []byte("x"))
	before := appendsOf(mem)
	_, err := s.Put(t.Context(), PutRequest{Bucket: "lake", Key: "wrong", Body: bytes.NewReader(body(4096, 1)), Bytes: 4096, MD5: make([]byte, 16)})
	if !errors.Is(err, ErrDigest) || appendsOf(mem) != before {
		t.Errorf("a body that is not what it shall be: %v, %d records", err, appendsOf(mem)-before)
	}
	together(t, s, 8, func(i int) {
		r := PutRequest{Bucket: "lake", Key: fmt.Sprint(i), Body: bytes.NewReader(body(4096, uint64(i))), Bytes: 4096}
		if i%2 == 0 {
			r.Conditions = Conditions{IfAbsent: true}
			r.Verify = func() error { // after the early look at the conditions
				if _, err := s.Put(t.Context(), PutRequest{Bucket: "lake", Key: r.Key, Bytes: 0}); err != nil {
					t.Error(err)
				}
				return nil
			}
		}
		if _, err := s.Put(t.Context(), r); (err == nil) != (i%2 == 1) {
			t.Errorf("put %d: %v", i, err)
		}
	})
	if n := len(packedBlobs(t, s)); n != 4 {
		t.Errorf("%d share a stripe", n)
	}
	nothingStaged(t, s)
}

func TestAPutThatIsGivenUpWhileItWaitsIsForgotten(t *testing.T) {
	s, _ := packingStore(t, indextest.New(t), 6)
	s.joints.mu.Lock()
	s.joints.under = s.o.JointLeast
	s.joints.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Put(ctx, PutRequest{Bucket: "lake", Key: "k", Body: bytes.NewReader(body(4096, 1)), Bytes: 4096})
		done <- err
	}()
	awaitWaiting(t, s, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	awaitWaiting(t, s, 0)
	s.joints.leave(s.o.JointLeast)
	if s.joints.under != 0 {
		t.Errorf("%d are on their way", s.joints.under)
	}
	nothingStaged(t, s)
}

// With very much staged, only the places are remembered of what lies by itself.
func TestBlobsInJointStripesAreRememberedOneByOneHoweverMuchIsStaged(t *testing.T) {
	s, _ := packingStore(t, indextest.New(t), 6)
	all := stageTogether(t, s, 8)
	s.pins.mu.Lock()
	s.pins.flock()
	s.pins.mu.Unlock()
	for i, st := range all {
		if err := commitStaged(s, st); err != nil {
			t.Fatal(err)
		}
		stagedReadsBack(t, s, i)
	}
	s.pins.mu.Lock()
	for i := range stagedMax/2 + 1 {
		s.pins.mu.staged[stageKey{blob: uint64(i)}] = &staged{}
	}
	s.pins.mu.Unlock()
	putTogether(t, s, 8, 4096)
	if n := len(packedBlobs(t, s)); n != 8 {
		t.Errorf("%d more share a stripe", n-8)
	}
}

func TestAStripeIsCutWhereItIsFullest(t *testing.T) {
	fills := func(sizes ...int) []float64 { // of four shards
		b := &bale{shards: make([]int, 4)}
		list := []float64{0}
		for _, n := range sizes {
			b.add(&packable{bytes: int64(n)})
			list = append(list, float64(b.payload)/float64(4*slices.Max(b.shards)))
		}
		return list
	}
	same := func(n int) []int { return slices.Repeat([]int{4096}, n) }
	for _, c := range []struct {
		name        string
		sizes       []int
		least, want int
	}{
		{"whole rows", same(28), 25, 28},
		{"one too many", same(29), 26, 28},
		{"two too many", same(30), 27, 28},
		{"one too few is worth a wait of three", same(31), 28, 28},
		{"of many rows it is not", same(103), 100, 103},
		{"all are needed", same(9), 9, 9},
		{"sizes that fill no row", []int{4000, 4010, 4020, 4030, 4000, 4010, 4020, 4030, 4000}, 6, 8},
		{"a hair better is not worth a wait", []int{4096, 4096, 4096, 4096, 4096, 4096, 4096, 4095, 4096, 4096, 4096, 4090}, 9, 12},
	} {
		if got := evenest(fills(c.sizes...), c.least); got != c.want {
			t.Errorf("%s: the first %d of %d share a stripe, want %d", c.name, got, len(c.sizes), c.want)
		}
	}
}
