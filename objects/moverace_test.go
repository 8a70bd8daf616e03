package objects

import (
	"context"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// overtaken is an index in which something happens just before the next swap.
type overtaken struct {
	index.Index
	before func()
}

func (o *overtaken) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	if f := o.before; f != nil && len(txn.Mutations) > 0 && txn.Mutations[0].Moved {
		o.before = nil
		f()
	}
	return o.Index.Commit(ctx, txn)
}

// A repair and a move of the same stripe at once: the repair's swap fails, and
// its next try must not bring back places that the move has left.
func TestARepairThatAMoveOvertakesKeepsWhatWasMoved(t *testing.T) {
	ctx, h := context.Background(), hosttest.New(1)
	idx := &overtaken{Index: indextest.New(t)}
	s, mem := newMemStore(t, Options{Host: h}, idx, 9)
	key := keep(t, s, 300_000, 1)
	old := stripesOf(t, s, key)[0]
	rotten(mem[old.Shards[0].Drive-1])
	sealAll(mem)
	left := map[place]bool{}
	idx.before = func() {
		report, err := s.Relocate(ctx, Relocation{Want: func(*Stripe) []int { return []int{1, 2} }})
		if err != nil || report.Healed != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		for _, i := range []int{1, 2} {
			left[place{old.Shards[i].Drive, old.Shards[i].Address.Extent}] = true
		}
	}
	report, err := s.Repair(ctx, RepairOptions{Verify: true})
	if err != nil || report.Healed != 1 || len(left) != 2 {
		t.Fatalf("%+v, %v, %d places left", report, err, len(left))
	}
	now, on := stripesOf(t, s, key)[0], map[uint16]bool{}
	for i, sh := range now.Shards {
		if on[sh.Drive] {
			t.Errorf("two shards lie on drive %d", sh.Drive)
		}
		on[sh.Drive] = true
		moved := sh != old.Shards[i]
		if want := i < 3; moved != want {
			t.Errorf("shard %d: moved %v, not %v", i, moved, want)
		}
		if left[place{sh.Drive, sh.Address.Extent}] && moved {
			t.Errorf("shard %d is where the move took it from", i)
		}
	}
	if bad := s.missing(ctx, &now, RepairOptions{Verify: true}); len(bad) > 0 {
		t.Errorf("shards %v are bad", bad)
	}
	keptReadsBack(t, s, key)
}

// A swap that would name what a sweep gave back is not made, and those of other
// values in its transaction are.
func TestASwapThatNamesSweptBytesIsNotMade(t *testing.T) {
	ctx, h := context.Background(), hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 9)
	swept, kept := keep(t, s, 300_000, 1), keep(t, s, 200_000, 2)
	var batch []*swap
	for _, key := range []string{swept, kept} {
		item, err := s.idx.Get(ctx, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, &swap{item: item, value: slices.Clone(item.Value)})
	}
	_, err := s.Relocate(ctx, Relocation{Want: func(st *Stripe) []int {
		if int(st.Bytes) != 300_000 {
			return nil
		}
		return []int{0, 1, 2, 3, 4, 5}
	}})
	if err != nil {
		t.Fatal(err)
	}
	sealAll(mem)
	hosttest.ClockOf(h).Advance(2 * s.o.StageKept)
	if r, err := s.Sweep(ctx); err != nil || r.Extents == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if batch[0].item, err = s.idx.Get(ctx, []byte(swept)); err != nil { // with the version of now
		t.Fatal(err)
	}
	applied, err := s.swapAll(ctx, batch)
	if err != nil || !slices.Equal(applied, []bool{false, true}) {
		t.Fatalf("%v, %v", applied, err)
	}
	keptReadsBack(t, s, swept)
	keptReadsBack(t, s, kept)
}
