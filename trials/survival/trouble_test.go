package survival

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// storeDoor is a store in this process.
type storeDoor struct {
	s     *objects.Store
	using *sync.WaitGroup
}

func (d storeDoor) put(ctx context.Context, key, value string, c condition) (outcome, error) {
	defer d.using.Done()
	_, err := d.s.Put(ctx, objects.PutRequest{Bucket: bucket, Key: key, Body: strings.NewReader(value), Bytes: int64(len(value)),
		Conditions: objects.Conditions{IfAbsent: c.absent, IfETag: c.etag}})
	return outcomeOf(err)
}

// outcomeOf what the store promises about an error.
func outcomeOf(err error) (outcome, error) {
	switch {
	case err == nil:
		return applied, nil
	case errors.Is(err, objects.ErrPrecondition):
		return refused, nil
	case errors.Is(err, objects.ErrConflict), errors.Is(err, objects.ErrReadOnly), errors.Is(err, objects.ErrFull):
		return without, err
	}
	return unknown, err
}

func (d storeDoor) delete(ctx context.Context, key string) (outcome, error) {
	defer d.using.Done()
	got, err := d.s.Delete(ctx, objects.DeleteRequest{Bucket: bucket, Key: key})
	if err == nil && !got.Existed {
		return refused, nil
	}
	return outcomeOf(err)
}

func (d storeDoor) get(ctx context.Context, key string) (string, error) {
	defer d.using.Done()
	_, b, err := objectstest.ReadAll(ctx, d.s, bucket, key)
	if errors.Is(err, objects.ErrNoObject) {
		return "", nil
	}
	return string(b), err
}

func (d storeDoor) list(ctx context.Context) (map[string]string, error) {
	defer d.using.Done()
	page, err := d.s.List(ctx, objects.ListRequest{Bucket: bucket, Max: 1000})
	etags := map[string]string{}
	for _, o := range page.Objects {
		etags[o.Key] = o.ETag
	}
	return etags, err
}

// troubled is a store whose drives fail, hang and come back, and whose process
// dies, while clients use it.
type troubled struct {
	t       *testing.T
	r       *rand.Rand
	disk    *hosttest.Disk
	victims []string // the drives that come to harm; never more than m
	hung    [parity]atomic.Pointer[chan struct{}]
	stalled atomic.Pointer[chan struct{}] // every operation waits: the process is paused
	harm    map[string]int

	mu    sync.Mutex // held while there is no store
	store *objects.Store
	using sync.WaitGroup // clients in a request
}

func (w *troubled) door() door {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.using.Add(1)
	return storeDoor{w.store, &w.using}
}

// drives answer late now and then: the machine has other things to do.
const troubledTimeout = 400 * time.Millisecond

func (w *troubled) open() {
	w.disk.SetFault(w.operation)
	h := hostOn(w.disk, int64(w.r.Uint64()>>40))
	o := options(h, folders)
	o.DriveTimeout, o.HedgeDelay = troubledTimeout, 50*time.Millisecond
	o.RepairPause, o.SweepPause = 50*time.Millisecond, 100*time.Millisecond
	o.JointLeast = 2
	var err error
	for range 20 { // a busy machine makes drives late at the start, too
		if w.store, err = objects.Open(context.Background(), o); err == nil {
			return
		}
	}
	w.t.Errorf("open: %v", err)
}

// operation waits where its drive hangs, or all do.
func (w *troubled) operation(op hosttest.Op) error {
	if p := w.stalled.Load(); p != nil {
		<-*p
	}
	for i, d := range w.victims {
		if strings.HasPrefix(op.Path, d+"/") {
			if p := w.hung[i].Load(); p != nil {
				<-*p
			}
		}
	}
	return nil
}

// nemesis does harm until the history is over.
func (w *troubled) nemesis(h *history, steps int) {
	pause := func(most int) { time.Sleep(time.Duration(5+w.r.IntN(most)) * time.Millisecond) }
	for range steps {
		if pause(60); h.over.Load() {
			return
		}
		i := w.r.IntN(parity)
		switch n := w.r.IntN(8); {
		case n < 2:
			w.harm["failed"]++
			w.disk.Fail(w.victims[i], syscall.EIO)
			pause(150)
			w.disk.Fail(w.victims[i], nil)
		case n < 3:
			w.harm["both failed"]++
			w.disk.Fail(w.victims[0], syscall.EIO)
			w.disk.Fail(w.victims[1], syscall.EIO)
			pause(150)
			w.disk.Fail(w.victims[0], nil)
			w.disk.Fail(w.victims[1], nil)
		case n < 5:
			w.harm["hung"]++
			w.wait(&w.hung[i], 10, 700)
		case n < 6:
			w.harm["paused"]++
			w.wait(&w.stalled, 10, 300)
		default:
			w.harm["killed"]++
			w.kill(n == 6)
		}
	}
}

func (w *troubled) wait(at *atomic.Pointer[chan struct{}], least, most int) {
	c := make(chan struct{})
	at.Store(&c)
	time.Sleep(time.Duration(least+w.r.IntN(most)) * time.Millisecond)
	at.Store(nil)
	close(c)
}

// kill ends the process, or cuts the power, and starts the store again.
func (w *troubled) kill(power bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disk.CutAfter(0)
	_, _ = w.disk.Lock("last") // the operation that meets the cut
	w.using.Wait()             // whoever was answered was answered before it
	dead, old := w.store, w.disk
	if power {
		w.disk = old.CrashClone(w.r.Int64())
		_ = old.Kill()
	} else {
		w.disk = old.Kill()
	}
	old.SetFault(nil)
	_ = dead.Close()
	w.open()
}

// Clients put, get, list and delete, on conditions or not, while drives fail, hang
// and come back, and while the process is paused, killed, or loses its power.
func TestHistoriesAreLinearizableWhileDrivesFailAndTheProcessDies(t *testing.T) {
	seed, rounds := uint64(seedOf(t)), size(6, 2000)
	requests, unclear, harm, failed := 0, 0, map[string]int{}, map[string]int{}
	for i := range uint64(rounds) {
		h := troubledHistory(t, seed+i, harm)
		h.judge(t)
		requests, unclear = requests+len(h.ops), unclear+h.unknown
		for what, n := range h.failed {
			failed[what] += n
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d requests in %d histories, %d of unknown fate; harm done: %v", requests, rounds, unclear, harm)
	for what, n := range failed {
		t.Logf("%4d × %s", n, what)
	}
}

func troubledHistory(t *testing.T, seed uint64, harm map[string]int) *history {
	w := &troubled{t: t, r: rand.New(rand.NewPCG(seed, 99)), disk: hosttest.NewDisk(), harm: harm}
	for _, i := range w.r.Perm(drivesAll)[:parity] {
		w.victims = append(w.victims, folders[i])
	}
	w.open()
	if _, err := w.store.CreateBucket(context.Background(), bucket); err != nil {
		t.Fatal(err)
	}
	h := &history{seed: seed, pauseMS: 6, door: w.door, failed: map[string]int{}}
	var clients sync.WaitGroup
	for id := range 5 {
		clients.Go(func() { h.client(context.Background(), id, 400) })
	}
	ended := make(chan struct{})
	go func() { clients.Wait(); h.over.Store(true); close(ended) }()
	w.nemesis(h, 12)
	h.over.Store(true)
	<-ended
	w.disk.SetFault(nil)
	if err := w.store.Close(); err != nil && !strings.Contains(err.Error(), "input/output") {
		t.Logf("close: %v", err)
	}
	return h
}
