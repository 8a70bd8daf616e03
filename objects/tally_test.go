package objects

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// someValue names a blob of any form: inline, copies, stripes, packed; or does not decode.
func someValue(r *rand.Rand) []byte {
	shard := func() Shard {
		return Shard{uint16(1 + r.IntN(6)), drive.Address{Extent: uint32(1 + r.IntN(4)), Generation: 1, Sector: uint32(1 + r.IntN(99))}}
	}
	stripe := func(bytes, k, m int) Stripe {
		st := Stripe{ID: [16]byte{byte(r.IntN(5))}, Bytes: uint32(bytes), K: uint8(k), M: uint8(m)}
		for range k + m {
			st.Shards = append(st.Shards, shard())
		}
		return st
	}
	switch r.IntN(5) {
	case 0:
		return []byte{9}
	case 1:
		return EncodeValue([]Blob{{Bytes: 3, Inline: []byte("abc")}}, nil)
	case 2:
		return EncodeValue([]Blob{{Bytes: 5000, Stripes: []Stripe{stripe(5000, 1, 2)}}}, nil)
	case 3:
		return EncodeValue([]Blob{{Bytes: 400_000, Stripes: []Stripe{stripe(400_000, 4, 2)}}}, nil)
	}
	return EncodeValue([]Blob{{Bytes: 100, Packed: &Packed{Stripe: [16]byte{byte(r.IntN(5))}, Hint: shard()}}}, nil)
}

// Whatever transactions do, guards that fail and ranges that go among it, and however
// often one looks: the counts are those of everything. So they are after snapshots expired.
func TestTheCountsOfWhatIsAliveAreThoseOfEverything(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		h := hosttest.New(int64(seed))
		s, _ := newMemStore(t, Options{Host: h, SnapshotKept: time.Minute}, indextest.New(t), 6)
		s.o.proveCounts, s.tally.most = false, 4
		key := func() []byte { return fmt.Appendf(nil, "b/lake/o/%02d", r.IntN(30)) }
		done := make(chan struct{})
		go func() { // moves on when few keys fit
			defer close(done)
			s.tallyLoop()
		}()
		for step := range 100 {
			var txn index.Txn
			for range 1 + r.IntN(9) {
				m := index.Mutation{Kind: index.Put, Key: key(), Value: someValue(r)}
				switch r.IntN(6) {
				case 0:
					m = index.Mutation{Kind: index.Delete, Key: key()}
				case 1:
					m = index.Mutation{Kind: index.DeleteRange, Key: key(), End: key()}
					if string(m.Key) >= string(m.End) {
						continue
					}
				case 2:
					m.Guard = &index.Condition{Kind: index.KeyAbsent, Key: m.Key}
				case 3:
					st := [16]byte{byte(r.IntN(5))}
					m.Key, m.Value = stripeKey("lake", st), encodeStripeRecord(Stripe{ID: st, Bytes: 4096, K: 1, Shards: []Shard{{1, drive.Address{Extent: 1, Generation: 1, Sector: 1}}}}, stripeRecord{1000, 3})
				}
				txn.Mutations = append(txn.Mutations, m)
			}
			if _, err := s.idx.Commit(ctx, txn); err != nil {
				t.Fatal(err)
			}
			if r.IntN(4) > 0 {
				continue
			}
			if r.IntN(10) == 0 {
				hosttest.ClockOf(h).Advance(2 * time.Minute)
			}
			s.tally.mu.Lock()
			got, state, err := s.tally.look(ctx)
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			want, err := countAll(ctx, state)
			if err != nil || !want.equal(got) {
				t.Fatalf("seed %d, step %d: counted %+v, there is %+v, %v", seed, step, got, want, err)
			}
			now, err := countAll(ctx, s.idx)
			if err != nil || !now.equal(got) {
				t.Fatalf("seed %d, step %d: counted %+v, there is now %+v, %v", seed, step, got, now, err)
			}
			s.tally.mu.Unlock()
		}
		s.end()
		<-done
	}
}

// Counts that went wrong are found by the proof, said, and made anew.
func TestCountsThatWentWrongAreFoundAndMadeAnew(t *testing.T) {
	h := hosttest.New(1)
	s, _ := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	keepSome(t, s)
	good, err := s.liveness(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for at := range s.tally.counts.extents {
		delete(s.tally.counts.extents, at) // as if nothing were alive there
		break
	}
	again, err := s.liveness(t.Context())
	if err != nil || len(again.extents) != len(good.extents) || s.Tidiness().Miscounts != 1 {
		t.Errorf("%d extents of %d, %+v, %v", len(again.extents), len(good.extents), s.Tidiness(), err)
	}
}

// BenchmarkLookAtWhatIsAlive looks at an index of a million packed objects, of which a
// thousand change between two looks, as sweeps and reclamations do.
func BenchmarkLookAtWhatIsAlive(b *testing.B) {
	ctx := context.Background()
	s := benchStore(b)
	r := rand.New(rand.NewPCG(1, 1))
	value := func(i int) []byte {
		return EncodeValue([]Blob{{Bytes: 4096, Packed: &Packed{Stripe: [16]byte{byte(i / 900), byte(i / 900 >> 8)}, Hint: Shard{1, drive.Address{Extent: 1, Generation: 1, Sector: 1}}}}}, make([]byte, 80))
	}
	put := func(first, n, step int) {
		var txn index.Txn
		for i := range n {
			k := (first + i*step) % 1_000_000
			txn.Mutations = append(txn.Mutations, index.Mutation{Kind: index.Put, Key: ObjectKey("lake", fmt.Sprintf("object/%07d", k)), Value: value(k)})
		}
		if _, err := s.idx.Commit(ctx, txn); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 2000 {
		put(i*500, 500, 1)
	}
	for _, whole := range []bool{true, false} {
		b.Run(fmt.Sprintf("whole=%v", whole), func(b *testing.B) {
			for b.Loop() {
				put(r.IntN(1_000_000), 500, 997)
				put(r.IntN(1_000_000), 500, 997)
				if whole {
					s.tally.mu.Lock()
					s.tally.drop()
					s.tally.mu.Unlock()
				}
				if _, err := s.liveness(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
