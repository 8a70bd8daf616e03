package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// doubting is an index whose log may lose its drives: what is committed then is
// in doubt, and applied once they are back.
type doubting struct {
	index.Index
	lost    bool
	waiting []index.Txn
}

func (d *doubting) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	if d.lost && len(d.waiting) > 0 {
		return index.Result{}, index.ErrReadOnly
	}
	if d.lost {
		d.waiting = append(d.waiting, txn)
		return index.Result{}, index.ErrUnknown
	}
	for _, t := range d.waiting {
		if _, err := d.Index.Commit(ctx, t); err != nil {
			return index.Result{}, err
		}
	}
	d.waiting = nil
	return d.Index.Commit(ctx, txn)
}

func TestNothingIsSweptWhileTheFateOfAnEntryIsOpen(t *testing.T) {
	h := hosttest.New(1)
	idx := &doubting{Index: indextest.New(t)}
	s, mem := newMemStore(t, Options{Host: h}, idx, 6)
	blob := mustWrite(t, s, body(5000, 1))
	sealAll(mem)
	idx.lost = true
	value := EncodeValue([]Blob{blob}, nil)
	txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: []byte("5000/1"), Value: value}}}
	if _, err := s.Index().Commit(context.Background(), txn); !errors.Is(err, index.ErrUnknown) {
		t.Fatal(err)
	}
	hosttest.ClockOf(h).Advance(3 * s.o.StageKept)
	if r, err := s.Sweep(context.Background()); !errors.Is(err, index.ErrReadOnly) || r.Extents != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	idx.lost = false
	if r, err := s.Sweep(context.Background()); err != nil || r.Extents != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	keptReadsBack(t, s, "5000/1")
}

func TestATransactionThatNamesSweptBytesIsRefused(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	late := mustWrite(t, s, body(5000, 1))
	inTime := mustWrite(t, s, body(300_000, 2))
	sealAll(mem)
	name := func(key string, b Blob) error {
		tx := s.Begin()
		tx.Mutate(index.Mutation{Kind: index.Put, Key: []byte(key), Value: EncodeValue([]Blob{b}, nil)})
		_, err := s.Commit(context.Background(), tx)
		return err
	}
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	if err := name("300000/2", inTime); err != nil {
		t.Fatalf("nothing was swept yet: %v", err)
	}
	if r, err := s.Sweep(context.Background()); err != nil || r.Extents != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := name("5000/1", late); !errors.Is(err, ErrStageTooOld) {
		t.Errorf("a transaction that names what was swept: %v", err)
	}
	keptReadsBack(t, s, "300000/2")
}

func TestWhatATransactionNamesWhileASweepLooksIsNotSwept(t *testing.T) {
	h := hosttest.New(1)
	idx := &pausing{Index: indextest.New(t), scans: make(chan chan struct{})}
	s, mem := newMemStore(t, Options{Host: h}, idx, 6)
	blob := mustWrite(t, s, body(5000, 1))
	sealAll(mem)
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	done := make(chan SweepReport)
	go func() {
		r, err := s.Sweep(context.Background())
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	scanned := <-idx.scans
	value := EncodeValue([]Blob{blob}, nil)
	txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: []byte("5000/1"), Value: value}}}
	if _, err := s.Index().Commit(context.Background(), txn); err != nil {
		t.Fatal(err)
	}
	close(scanned)
	if r := <-done; r.Extents != 0 {
		t.Errorf("%+v", r)
	}
	keptReadsBack(t, s, "5000/1")
}

// pausing gives a snapshot only when it is let, though it was taken before.
type pausing struct {
	index.Index
	scans chan chan struct{}
}

func (p *pausing) Snapshot(ctx context.Context) (index.Snapshot, error) {
	snap, err := p.Index.Snapshot(ctx)
	end := make(chan struct{})
	p.scans <- end
	<-end
	return snap, err
}

// threeParts makes an object of parts that are stripes, and opens it.
func threeParts(t *testing.T, s *Store, seed uint64) (*ObjectReader, []byte) {
	t.Helper()
	ctx := context.Background()
	u, err := s.CreateUpload(ctx, UploadRequest{Bucket: "lake", Key: "big"})
	if err != nil {
		t.Fatal(err)
	}
	var whole []byte
	var parts []CompletePart
	for n := 1; n <= 3; n++ {
		b := body(300_000, seed+uint64(n))
		p, err := s.UploadPart(ctx, PartRequest{Bucket: "lake", Key: "big", UploadID: u.ID, Number: n, Body: bytes.NewReader(b), Bytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		whole, parts = append(whole, b...), append(parts, CompletePart{Number: n, ETag: p.ETag})
	}
	if _, err := s.CompleteUpload(ctx, CompleteRequest{Bucket: "lake", Key: "big", UploadID: u.ID, Parts: parts}); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(ctx, "lake", "big")
	if err != nil {
		t.Fatal(err)
	}
	return o, whole
}

func TestAReaderOfPartsOutlivesTheObjectsReplacementAndASweep(t *testing.T) {
	ctx := context.Background()
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h, PartBytesMin: 1}, indextest.New(t), 6)
	if _, err := s.CreateBucket(ctx, "lake"); err != nil {
		t.Fatal(err)
	}
	o, whole := threeParts(t, s, 1)
	r := o.NewReader(ctx, 0, -1)
	first := make([]byte, 1000)
	if _, err := io.ReadFull(r, first); err != nil {
		t.Fatal(err)
	}
	sealAll(mem)
	threeParts(t, s, 10)
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	swept := make(chan SweepReport)
	go func() {
		rep, err := s.Sweep(ctx)
		if err != nil {
			t.Error(err)
		}
		swept <- rep
	}()
	await(t, func() bool { return hosttest.ClockOf(h).Waiting() > 0 })
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(first, rest...), whole) {
		t.Errorf("%d of %d bytes: %v", len(first)+len(rest), len(whole), err)
	}
	_ = r.Close()
	if rep := <-swept; rep.Extents == 0 {
		t.Error("the old parts stay for ever")
	}
}

func TestAReadThatLastsForEverHoldsNoSpaceForEver(t *testing.T) {
	ctx := context.Background()
	h := hosttest.New(1)
	clock := hosttest.ClockOf(h)
	s, mem := newMemStore(t, Options{Host: h, PartBytesMin: 1}, indextest.New(t), 6)
	if _, err := s.CreateBucket(ctx, "lake"); err != nil {
		t.Fatal(err)
	}
	o, _ := threeParts(t, s, 1)
	r := o.NewReader(ctx, 0, -1)
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Delete(ctx, DeleteRequest{Bucket: "lake", Key: "big"}); err != nil {
		t.Fatal(err)
	}
	sealAll(mem)
	clock.Advance(s.o.StageKept)
	gone := 0
	for range 3 {
		done := make(chan SweepReport)
		go func() {
			rep, err := s.Sweep(ctx)
			if err != nil {
				t.Error(err)
			}
			done <- rep
		}()
		select {
		case rep := <-done:
			gone += rep.Extents
		case <-waiting(clock):
			clock.Advance(sweepWait)
			gone += (<-done).Extents
		}
		clock.Advance(s.o.ReadKept)
	}
	if gone == 0 {
		t.Error("the space is held for ever")
	}
	if _, err := io.ReadAll(r); !errors.Is(err, ErrReadTooLong) {
		t.Errorf("a read of what was given back: %v", err)
	}
}

// waiting is closed when somebody waits for the clock.
func waiting(c *hosttest.Clock) <-chan struct{} {
	is := make(chan struct{})
	go func() {
		for range 20000 {
			if c.Waiting() > 0 {
				close(is)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return is
}
