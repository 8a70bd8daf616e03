package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

func forget(t testing.TB, s *Store, key string) {
	t.Helper()
	if _, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: []byte(key)}}}); err != nil {
		t.Fatal(err)
	}
}

func sealAll(mem []*memDrive) {
	for _, d := range mem {
		_ = d.Seal(context.Background(), drive.Small)
		_ = d.Seal(context.Background(), drive.Stripe)
		_ = d.Seal(context.Background(), drive.Joint)
	}
}

func extentCount(mem []*memDrive) (n int) {
	for _, d := range mem {
		n += len(d.Extents())
	}
	return n
}

func TestSweepTakesWhatNobodyNamesAndNothingElse(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	kept := keep(t, s, 300_000, 1)
	sealAll(mem)
	before := extentCount(mem)
	dead := keep(t, s, 300_000, 2)
	forget(t, s, dead)
	staged := mustWrite(t, s, body(5000, 3)) // in extents of its own, not yet committed
	sealAll(mem)
	if r, err := s.Sweep(context.Background()); err != nil || r.Extents != 0 {
		t.Errorf("what was just written may yet be committed: %+v, %v", r, err)
	}
	if err := commit(context.Background(), s, "5000/3", staged); err != nil {
		t.Fatal(err)
	}
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	if r, err := s.Sweep(context.Background()); err != nil || r.Extents != 6 {
		t.Errorf("%+v, %v", r, err)
	}
	if left := extentCount(mem) - 3; left != before {
		t.Errorf("%d extents are left, were %d", left, before)
	}
	allReadBack(t, s, []string{kept, "5000/3"})
}

func TestSweepLeavesABlobAloneWhileItIsWritten(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	r, w := io.Pipe()
	written := make(chan Blob)
	go func() {
		b, err := s.WriteBlob(context.Background(), r, -1)
		if err != nil {
			t.Error(err)
		}
		written <- b
	}()
	first := body(4<<20, 8)
	if _, err := w.Write(first); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err != nil { // the first stripe is on its way
		t.Fatal(err)
	}
	for _, d := range mem {
		await(t, func() bool { return d.count(&d.appends) == 1 })
	}
	await(t, func() bool { return len(s.pins.held(h.Clock.Now(), 0)) == 6 })
	sealAll(mem)
	hosttest.ClockOf(h).Advance(100 * time.Hour)
	if r, err := s.Sweep(context.Background()); err != nil || r.Extents != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	_ = w.Close()
	readsBack(t, s, <-written, append(first, 'x'))
}

func TestSweepWaitsForReaders(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	b := body(9<<20, 4)
	blob := mustWrite(t, s, b)
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	sealAll(mem)
	stream := s.OpenBlob(blob).NewReader(context.Background(), 0, -1)
	done := make(chan SweepReport)
	go func() {
		r, err := s.Sweep(context.Background())
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	await(t, func() bool { return hosttest.ClockOf(h).Waiting() > 0 })
	if got, err := io.ReadAll(stream); err != nil || string(got) != string(b) {
		t.Errorf("a stream that began before the sweep: %v", err)
	}
	_ = stream.Close()
	if r := <-done; r.Extents != 6 {
		t.Errorf("%+v", r)
	}
}

func TestSweepRemovesNothingWhereAValueDoesNotDecode(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	mustWrite(t, s, body(5000, 1))
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	sealAll(mem)
	_, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: []byte("k"), Value: []byte{9}}}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Sweep(context.Background()); !errors.Is(err, ErrCorruptIndexItem) || r.Extents != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.Repair(context.Background(), RepairOptions{}); !errors.Is(err, ErrCorruptIndexItem) {
		t.Error(err)
	}
}

// keepWhole keeps a blob with all its shards. A read that nobody waits for any more may be
// given up at any moment after the clock jumped; its drive is then slow, and a write leaves
// out the shard, as it should. Without such a drive no write may.
func keepWhole(t testing.TB, s *Store, slow *atomic.Int32, n int, seed uint64) (key string) {
	t.Helper()
	await(t, func() bool {
		before := slow.Load()
		for _, m := range s.drives.list() {
			await(t, m.well)
		}
		key = keep(t, s, n, seed)
		for _, st := range stripesIn(t, s, key) {
			if st.missing() > 0 {
				await(t, func() bool { return slow.Load() > before })
				return false
			}
		}
		return true
	})
	return key
}

// Blobs are kept, forgotten, damaged, repaired and swept at random; the model is
// the set of keys that must read back.
func TestBlobsBehaveAsAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := hosttest.New(1)
		var slow atomic.Int32
		o := Options{Host: h, Events: Events{DriveDown: func(uint16, error) { slow.Add(1) }}}
		s, mem := newMemStore(t, o, indextest.New(t), rapid.SampledFrom([]int{6, 7, 9}).Draw(rt, "drives"))
		model := map[string]bool{}
		damaged := 0
		seed := uint64(0)
		rt.Repeat(map[string]func(*rapid.T){
			"keep": func(rt *rapid.T) {
				seed++
				n := rapid.SampledFrom([]int{1, 1024, 1025, 9000, 131072, 131073, 400_000}).Draw(rt, "bytes")
				model[keepWhole(t, s, &slow, n, seed)] = true
			},
			"forget": func(rt *rapid.T) {
				for key := range model {
					forget(t, s, key)
					delete(model, key)
					break
				}
			},
			"rot": func(rt *rapid.T) {
				if damaged == 2 {
					rt.Skip("two drives are damaged already")
				}
				damaged++
				d := mem[rapid.IntRange(0, len(mem)-1).Draw(rt, "drive")]
				d.with(func() {
					for e, records := range d.extents {
						for i := range records {
							d.corrupt[drive.Address{Extent: e, Generation: 1, Sector: uint32(i)}] = struct{}{}
						}
					}
				})
			},
			"repair": func(rt *rapid.T) {
				// When the clock jumps, a read that nobody waits for any more is late by an
				// hour, and its drive slow for a moment.
				await(t, func() bool {
					_, err := s.Repair(context.Background(), RepairOptions{Verify: true})
					r, again := s.Repair(context.Background(), RepairOptions{Verify: true})
					if err != nil || again != nil {
						rt.Fatal(err, again)
					}
					return r.Damaged == 0
				})
				damaged = 0
			},
			"sweep": func(rt *rapid.T) {
				sealAll(mem)
				if rapid.Bool().Draw(rt, "later") {
					hosttest.ClockOf(h).Advance(s.o.StageKept)
				}
				if _, err := s.Sweep(context.Background()); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				for key := range model {
					keptReadsBack(t, s, key)
				}
			},
		})
	})
}

func TestRepairMeetsConcurrentChangesWithoutUndoingThem(t *testing.T) {
	s, mem := newMemStore(t, Options{}, indextest.New(t), 7)
	var keys []string
	for seed := range uint64(20) {
		keys = append(keys, keep(t, s, 3000, seed))
	}
	mem[0].with(func() { mem[0].readErr = drive.ErrCorrupt })
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // swaps the payload of every value again and again
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			key := []byte(keys[i%len(keys)])
			item, err := s.idx.Get(context.Background(), key)
			if err != nil {
				t.Error(err)
				return
			}
			blobs, _, _ := DecodeValue(item.Value)
			_, _ = s.idx.Commit(context.Background(), index.Txn{
				Conditions: []index.Condition{{Kind: index.KeyVersion, Key: key, Version: item.Version}},
				Mutations:  []index.Mutation{{Kind: index.Put, Key: key, Value: EncodeValue(blobs, fmt.Appendf(nil, "%d", i))}},
			})
			if i%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	if _, err := s.Repair(context.Background(), RepairOptions{Verify: true}); err != nil {
		t.Error(err)
	}
	close(stop)
	<-done
	if _, err := s.Repair(context.Background(), RepairOptions{Verify: true}); err != nil {
		t.Error(err)
	}
	for _, key := range keys {
		item, _ := s.idx.Get(context.Background(), []byte(key))
		blobs, payload, err := DecodeValue(item.Value)
		if err != nil || strings.Contains(string(payload), "x") || blobs[0].Stripes[0].missing() > 0 {
			t.Errorf("%s: %v, %q", key, err, payload)
		}
		for _, sh := range blobs[0].Stripes[0].Shards {
			if sh.Drive == 1 {
				t.Errorf("%s still has a shard on the bad drive", key)
			}
		}
	}
	allReadBack(t, s, keys)
}
