package objects

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// Repair, audit and packing ask for each piece, end what they began, and do nothing while
// they are not let.
func TestUpkeepAsksBeforeEachPieceAndEndsIt(t *testing.T) {
	ctx := context.Background()
	var begun, ended atomic.Int64
	var closed atomic.Bool
	open := make(chan struct{})
	admit := func(ctx context.Context) (func(), error) {
		if closed.Load() {
			select {
			case <-open:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		begun.Add(1)
		return func() { ended.Add(1) }, nil
	}
	asked := func(about string) {
		t.Helper()
		if begun.Load() == 0 || begun.Load() != ended.Load() {
			t.Errorf("%s: %d pieces were begun, %d ended", about, begun.Load(), ended.Load())
		}
		begun.Store(0)
		ended.Store(0)
	}
	h := hosttest.New(71)
	o := quietOptions(h)
	o.Admit = admit
	s := openDurable(t, o)
	defer mustClose(t, s)
	keys := []string{keep(t, s, 12_000_000, 1)}
	auditAll(t, s)
	asked("audit")
	st := stripesIn(t, s, keys[0])[0]
	rotShard(h, s, &st, 1, rand.New(rand.NewPCG(1, 1)))
	closed.Store(true)
	done := make(chan RepairReport)
	go func() {
		r, err := s.Repair(ctx, RepairOptions{Verify: true})
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	select {
	case <-done:
		t.Error("repair did not wait")
	case <-time.After(50 * time.Millisecond): // that it has not ended by luck proves nothing; the counts do
	}
	if begun.Load() != 0 {
		t.Error("a piece began though none was let")
	}
	close(open)
	if r := <-done; r.Healed != 1 {
		t.Errorf("%+v", r)
	}
	asked("repair")

	p, _ := packingStore(t, indextest.New(t), 6)
	p.o.Admit = admit
	putSmall(t, p, 50)
	mustPack(t, p)
	asked("packing")
}
