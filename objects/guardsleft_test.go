package objects

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

func guarded(t *testing.T) (*Store, []*memDrive) {
	return newMemStore(t, Options{Host: hosttest.New(1)}, indextest.New(t), 6)
}

// soon ends what waits for something that the test never lets happen.
func soon(t *testing.T) context.Context {
	ctx, end := context.WithTimeout(context.Background(), 100*time.Millisecond)
	t.Cleanup(end)
	return ctx
}

// Nothing is called garbage while an append or a transaction is under way.
func TestWhatIsUnderWayIsWaitedForBeforeAnythingIsSwept(t *testing.T) {
	s, _ := guarded(t)
	ticket := s.pins.appends.enter()
	if _, err := s.deadExtents(soon(t)); err == nil {
		t.Error("dead extents were told although an append was under way")
	}
	s.pins.appends.leave(ticket)
	if _, err := s.deadExtents(context.Background()); err != nil {
		t.Error(err)
	}
	ticket = s.pins.commits.enter()
	if err := s.settle(soon(t)); err == nil {
		t.Error("all was settled although a transaction was under way")
	}
	s.pins.commits.leave(ticket)
	if err := s.settle(context.Background()); err != nil {
		t.Error(err)
	}
}

// A write that chose its drives before a drain began may come to lie on the drive that leaves.
func TestADrainAndARemovalWaitForWritesUnderWay(t *testing.T) {
	s := openDurable(t, spacious(83))
	defer mustClose(t, s)
	addSeven(t, s, 7, 7)
	ticket := s.pins.appends.enter()
	if _, err := s.DrainDrive(context.Background(), 2); err != nil {
		t.Fatal(err)
	}
	if s.drainAll(soon(t)) {
		t.Error("drained although a write was under way")
	}
	if err := s.removable(soon(t), s.drives.find(2), true); err == nil {
		t.Error("removable although a write was under way")
	}
	s.pins.appends.leave(ticket)
	drained(t, s)
	if err := s.removable(context.Background(), s.drives.find(2), true); err != nil {
		t.Error(err)
	}
}

func TestNoForceRemovesADriveThatTheLayoutNeeds(t *testing.T) {
	s := openDurable(t, spacious(84))
	defer mustClose(t, s)
	if err := s.RemoveDrive(context.Background(), 1, true); !errors.Is(err, ErrDriveNeeded) {
		t.Errorf("one of six drives was removed: %v", err)
	}
}

func TestLabelsGivenAtTheStartStay(t *testing.T) {
	o := spacious(85)
	mustClose(t, openDurable(t, o))
	o.Labels = make([]Labels, len(o.Drives))
	o.Labels[2] = Labels{Node: "n3"}
	mustClose(t, openDurable(t, o))
	o.Labels = nil
	s := openDurable(t, o)
	defer mustClose(t, s)
	record := s.roots.get()
	if d := record.drive(3); d.labels.Node != "n3" {
		t.Errorf("drive 3 has labels %+v", d.labels)
	}
}

// Appends and reads hold a ticket for as long as their drive has them.
func TestAppendsAndReadsAreUnderWayUntilTheirDriveAnswers(t *testing.T) {
	s, mem := guarded(t)
	key := keep(t, s, 300_000, 1)
	st := stripesIn(t, s, key)[0]
	item, err := s.idx.Get(context.Background(), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil {
		t.Fatal(err)
	}
	mover := s.newMover()
	defer mover.end()
	for name, c := range map[string]struct {
		tickets *tickets
		act     func() error
	}{
		"write": {&s.pins.appends, func() error {
			_, err := s.WriteBlob(context.Background(), bytes.NewReader(make([]byte, 5000)), 5000)
			return err
		}},
		"rebuild": {&s.pins.appends, func() error {
			b := &rebuilding{m: mover, stripe: st}
			_, err := b.place(context.Background(), 0, make([]byte, st.ShardBytes()), 1)
			return err
		}},
		"read": {&s.reads, func() error {
			_, err := s.OpenBlob(blobs[0]).ReadAt(context.Background(), make([]byte, 1000), 0)
			return err
		}},
	} {
		hang, answer := make(chan struct{}), make(chan error, 1)
		waited := 0
		for _, d := range mem {
			d.with(func() { d.hang, d.hanging = hang, 0 })
		}
		go func() { answer <- c.act() }()
		for waited == 0 {
			for _, d := range mem {
				waited += d.count(&d.hanging)
			}
			time.Sleep(time.Millisecond)
		}
		if c.tickets.count() == 0 {
			t.Errorf("a %s that a drive has is not under way", name)
		}
		for _, d := range mem {
			d.with(func() { d.hang = nil })
		}
		close(hang)
		if err := <-answer; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.pins.mu.Lock()
	defer s.pins.mu.Unlock()
	held := 0
	for at := range s.pins.mu.writers {
		if at.drive == 1 {
			held++
		}
	}
	if held == 0 {
		t.Error("a rebuilt shard that nothing names yet is not held")
	}
}

func TestAPackedBlobIsNotTakenForAnother(t *testing.T) {
	s, _ := guarded(t)
	p := []byte("what was packed")
	r := &packedRead{s: s, blob: &Blob{Bytes: int64(len(p)), Packed: &Packed{Stripe: [16]byte{1}, CRC: crc32.Checksum(p, castagnoli)}}}
	if err := r.verify(p); err != nil {
		t.Error(err)
	}
	if err := r.verify(append([]byte("W"), p[1:]...)); !errors.Is(err, errMisplaced) {
		t.Errorf("other bytes: %v", err)
	}
	st := stripesIn(t, s, keep(t, s, 300_000, 1))[0] // of another id than is asked for
	r.key = stripeKey("lake", r.blob.Packed.Stripe)
	txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: r.key, Value: encodeStripeRecord(st, stripeRecord{int64(len(p)), 1})}}}
	if _, err := s.idx.Commit(context.Background(), txn); err != nil {
		t.Fatal(err)
	}
	if _, err := r.stripe(context.Background()); !errors.Is(err, ErrCorruptIndexItem) {
		t.Errorf("the entry of another stripe: %v", err)
	}
}

func TestWhatReadsBackAsSomethingElseIsRefused(t *testing.T) {
	s, _ := guarded(t)
	st := stripesIn(t, s, keep(t, s, 300_000, 1))[0]
	want, err := s.readShard(context.Background(), s.drives.find(st.Shards[1].Drive), &st, 1)
	if err != nil {
		t.Fatal(err)
	}
	want = bytes.Clone(want)
	if err := s.readsBack(context.Background(), &st, 1, want); err != nil {
		t.Error(err)
	}
	want[7] ^= 1
	if s.readsBack(context.Background(), &st, 1, want) == nil {
		t.Error("other bytes than were written are taken for them")
	}
}

// A shared stripe that repair changed after it was found dead keeps its entry.
func TestADeadStripeThatWasChangedMeanwhileIsNotForgotten(t *testing.T) {
	ctx := context.Background()
	s, _ := guarded(t)
	st := stripesIn(t, s, keep(t, s, 300_000, 1))[0]
	key := stripeKey("lake", st.ID)
	put := func() {
		txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: key, Value: encodeStripeRecord(st, stripeRecord{1, 1})}}}
		if _, err := s.idx.Commit(ctx, txn); err != nil {
			t.Fatal(err)
		}
	}
	put()
	before, err := s.idx.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.liveness(ctx)
	if err != nil {
		t.Fatal(err)
	}
	put() // as repair does
	l.dead = []deadStripe{{key, before.Version, st}}
	if err := s.forgetStripes(ctx, l); err != nil {
		t.Fatal(err)
	}
	if _, err := s.idx.Get(ctx, key); err != nil {
		t.Errorf("its entry: %v", err)
	}
}

func TestTheLedgerFindsAStripeAmongOthers(t *testing.T) {
	s, _ := guarded(t)
	key := keep(t, s, 9<<20, 1)
	all := stripesIn(t, s, key)
	if len(all) < 2 {
		t.Fatalf("%d stripes", len(all))
	}
	for i := range all {
		if st, err := s.named(context.Background(), []byte(key), all[i].ID); err != nil || st == nil || st.ID != all[i].ID {
			t.Errorf("stripe %d: %+v, %v", i, st, err)
		}
	}
	if st, err := s.named(context.Background(), []byte(key), [16]byte{9}); err != nil || st != nil {
		t.Errorf("a stripe that is not there: %+v, %v", st, err)
	}
}

// countedTwice has something committed between a look at the index and what follows from it.
type countedTwice struct {
	index.Index
	before func()
}

func (o *countedTwice) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	if f := o.before; f != nil {
		o.before = nil
		f()
	}
	return o.Index.Commit(ctx, txn)
}

func TestNoCountOfADayOverwritesAnother(t *testing.T) {
	s, _ := guarded(t)
	o := &countedTwice{Index: s.idx}
	s.idx = o
	var inner error
	o.before = func() { inner = s.measures.add(context.Background(), durability.Day{}) }
	if err := s.measures.add(context.Background(), durability.Day{}); inner != nil || err == nil {
		t.Errorf("counts that were overtaken were written over the others: %v, %v", inner, err)
	}
}

func TestOfRootRecordsOfOneVersionTheMostCopiesCountInAnyOrder(t *testing.T) {
	at := func(next uint16) Drive {
		d := newMemDrive(1)
		r := goldenRoot()
		r.next = next
		d.root = drive.Root{Version: 4, Data: r.encode()}
		return d
	}
	if r, _, err := newestRoot([]Drive{at(8), at(8), at(9)}); err != nil || r.next != 8 {
		t.Errorf("next %d, %v", r.next, err)
	}
}

// A blob is not found whole by a stripe of its id that another bucket has.
func TestABlobInAStripeOfAnotherBucketDangles(t *testing.T) {
	s, _ := guarded(t)
	st := stripesIn(t, s, keep(t, s, 300_000, 1))[0]
	i := &comparing{c: &checking{s: s, report: CheckReport{}}, out: &IndexCheck{}, packed: map[[16]byte][]byte{}}
	b := Blob{Bytes: 5000, Packed: &Packed{Stripe: st.ID}}
	i.value(index.Item{Key: ObjectKey("lake", "k"), Value: EncodeValue([]Blob{b}, nil)})
	i.value(index.Item{Key: stripeKey("pond", st.ID), Value: encodeStripeRecord(st, stripeRecord{5000, 1})})
	i.dangling()
	if i.out.Dangling != 1 {
		t.Errorf("%+v", i.out)
	}
}
