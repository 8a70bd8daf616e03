package vectors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestNoQueryMissesWhatWasAcknowledged: engines push, overwrite, delete, fold, divide and merge, and die at
// any change that they make, or are restarted, or have everything moved under them, while queries go on.
// None misses a vector that was acknowledged and is nearest, none returns one that was deleted or
// overwritten, and what was under way when an engine died is there wholly or not at all. Where probing alone
// misses a vector at its own place, which exact search finds, recall is what it lacks: that is counted, and bounded.
//
// TARN_SOAK makes a million operations of it, TARN_OPERATIONS as many as it says.
func TestNoQueryMissesWhatWasAcknowledged(t *testing.T) {
	operations := int64(6_000)
	if os.Getenv("TARN_SOAK") != "" {
		operations = 1_000_000
	}
	if n, err := strconv.ParseInt(os.Getenv("TARN_OPERATIONS"), 10, 64); err == nil {
		operations = n
	}
	const each = 25_000 // of a world: it keeps all that was ever written in memory
	var sum tally
	for seed := uint64(1); operations > 0 && !t.Failed(); seed++ {
		w := newFreshWorld(t, seed, min(operations, each))
		w.run()
		operations -= w.operations
		sum.add(&w.did)
		runtime.GC()
	}
	t.Log(&sum)
	if missed := sum.unprobed.Load(); missed*1000 > sum.queries.Load() {
		t.Errorf("probing missed %d of %d", missed, sum.queries.Load())
	}
	if sum.deaths.Load() == 0 || sum.restarts.Load() == 0 || sum.steps["fold"] == 0 || sum.steps["divide"] == 0 || sum.steps["merge"] == 0 {
		t.Error("not everything was tried")
	}
}

// tally is what was done.
type tally struct {
	writes, deletes, queries, counts, deaths, restarts, doubts, happened, unprobed atomic.Int64

	mu    sync.Mutex
	steps map[string]int
}

func (y *tally) add(o *tally) {
	for _, p := range []struct{ to, from *atomic.Int64 }{
		{&y.writes, &o.writes}, {&y.deletes, &o.deletes}, {&y.queries, &o.queries}, {&y.counts, &o.counts},
		{&y.deaths, &o.deaths}, {&y.restarts, &o.restarts}, {&y.doubts, &o.doubts}, {&y.happened, &o.happened}, {&y.unprobed, &o.unprobed},
	} {
		p.to.Add(p.from.Load())
	}
	for name, n := range o.steps {
		y.step(name, n)
	}
}

func (y *tally) step(name string, n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.steps == nil {
		y.steps = map[string]int{}
	}
	y.steps[name] += n
}

func (y *tally) String() string {
	return fmt.Sprintf("%d writes, %d deletes, %d queries, %d counts; engines died %d times and were restarted %d times; of %d doubtful writes %d had happened; %d were missed by probing alone; steps %v",
		y.writes.Load(), y.deletes.Load(), y.queries.Load(), y.counts.Load(), y.deaths.Load(), y.restarts.Load(), y.doubts.Load(), y.happened.Load(), y.unprobed.Load(), y.steps)
}

// freshWorld is one store with two engines at a time.
type freshWorld struct {
	t          *testing.T
	seed       uint64
	store      *memoryStore
	operations int64 // to be done
	left       atomic.Int64
	did        tally

	repairing sync.Mutex

	mu      sync.Mutex // taken to replace an engine
	rng     *rand.Rand // guarded by mu
	engines [2]atomic.Pointer[mortal]
}

// mortal is an engine that dies at some change.
type mortal struct {
	*Engine
	store *cutStore
}

func newFreshWorld(t *testing.T, seed uint64, operations int64) *freshWorld {
	w := &freshWorld{t: t, seed: seed, store: newMemoryStore(t, int64(seed)), operations: operations, rng: rand.New(rand.NewPCG(seed, 0))}
	w.left.Store(operations)
	w.store.patient = true
	first := openEngine(t, Options{Store: w.store})
	create(t, first, Spec{Name: "docs", Dimension: freshDim, Metric: distance.Euclidean})
	must(t, first.Close())
	for slot := range w.engines {
		w.replace(slot, nil)
	}
	return w
}

const (
	freshDim  = 6
	freshKeys = 120 // of each writer
)

// freshTuning makes neighbourhoods form early and often, but leaves most of the time to queries.
var freshTuning = Tuning{YoungRows: 60, FoldRows: 120, FoldRecords: 60, Target: 16}

// replace opens an engine in the place of one that died, unless somebody did.
func (w *freshWorld) replace(slot int, old *mortal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.engines[slot].Load() != old {
		return
	}
	if old != nil {
		must(w.t, old.Close())
	}
	c := &cutStore{memoryStore: w.store, late: w.rng.IntN(2) == 0}
	c.left.Store(50 + w.rng.Int64N(600))
	e, err := Open(context.Background(), Options{
		Store: c, Tuning: freshTuning, Rows: ownRowFiles{c}, CacheBytes: []int64{0, 32 << 10}[w.rng.IntN(2)],
		Events: Events{Upkeep: func(_, _, step string, _ int, err error) {
			if err == nil {
				w.did.step(step, 1)
			}
		}},
	})
	must(w.t, err)
	w.engines[slot].Store(&mortal{e, c})
}

func (w *freshWorld) run() {
	var writers sync.WaitGroup
	list := make([]*freshWriter, 4)
	for i := range list {
		list[i] = &freshWriter{w: w, id: i, rng: rand.New(rand.NewPCG(w.seed, uint64(i+1))), alive: map[string]freshVector{}}
		writers.Go(func() {
			for w.left.Add(-1) >= 0 && !w.t.Failed() {
				list[i].operate()
			}
		})
	}
	writers.Wait()
	last := openEngine(w.t, Options{Store: w.store, Tuning: freshTuning, Rows: ownRowFiles{w.store}})
	for _, f := range list {
		for slot := range w.engines {
			f.countOwn(w.engines[slot].Load())
		}
		f.countOwn(&mortal{Engine: last})
	}
	for slot := range w.engines {
		must(w.t, w.engines[slot].Load().Close())
	}
	must(w.t, last.Flush(background))
	for _, f := range list {
		f.countOwn(&mortal{Engine: last})
	}
	must(w.t, last.Close())
}

// freshVector is what a key means.
type freshVector struct {
	values []float32
	stamp  int
}

// freshWriter has keys of its own, so that it knows what they mean.
type freshWriter struct {
	w      *freshWorld
	id     int
	rng    *rand.Rand
	alive  map[string]freshVector
	keys   []string // that were ever put
	ghosts []ghost  // what was overwritten or deleted lately
	stamp  int
}

type ghost struct {
	key    string
	values []float32
}

func (f *freshWriter) fail(format string, args ...any) {
	f.w.t.Errorf("world %d, writer %d: "+format, append([]any{f.w.seed, f.id}, args...)...)
}

func (f *freshWriter) operate() {
	slot := f.rng.IntN(2)
	e := f.w.engines[slot].Load()
	switch n := f.rng.IntN(2000); {
	case n < 800:
		f.put(slot, e)
	case n < 950:
		f.delete(slot, e)
	case n < 1500:
		f.findOwn(slot, e)
	case n < 1700:
		f.findNoGhost(slot, e)
	case n < 1950:
		f.findNearest(slot, e)
	case n < 1990:
		f.countOwn(e)
	case n < 1998:
		if f.w.repairing.TryLock() {
			f.w.store.repair(f.w.t)
			f.w.repairing.Unlock()
		}
	default:
		f.w.did.restarts.Add(1)
		f.w.replace(slot, e)
	}
}

// gone reports whether an operation failed because its engine is no more.
func (f *freshWriter) gone(slot int, e *mortal, err error) bool {
	if !errors.Is(err, errCut) && !errors.Is(err, ErrClosed) {
		return false
	}
	if errors.Is(err, errCut) && f.w.engines[slot].Load() == e {
		f.w.did.deaths.Add(1)
	}
	f.w.replace(slot, e)
	return true
}

// vector drifts as operations are done, so that neighbourhoods come and go.
func (f *freshWriter) vector() []float32 {
	done := float64(f.w.operations-f.w.left.Load()) / 3000
	v := make([]float32, freshDim)
	for i := range v {
		v[i] = float32(4*math.Sin(done+float64(i)) + f.rng.NormFloat64())
	}
	return v
}

func (f *freshWriter) put(slot int, e *mortal) {
	f.w.did.writes.Add(1)
	f.stamp++
	batch := map[string]freshVector{}
	for range 1 + f.rng.IntN(4) {
		batch[fmt.Sprintf("w%d-%d", f.id, f.rng.IntN(freshKeys))] = freshVector{f.vector(), f.stamp}
	}
	var vectors []Vector
	for key, v := range batch {
		vectors = append(vectors, Vector{Key: key, Values: v.values, Metadata: fmt.Appendf(nil, `{"w":%d,"stamp":%d}`, f.id, v.stamp)})
	}
	err := e.Put(context.Background(), bucket, "docs", vectors)
	if err != nil && !f.gone(slot, e, err) {
		f.fail("put: %v", err)
		return
	}
	if err == nil || f.happened(batch) {
		for key, v := range batch {
			f.replaceOwn(key, &v)
		}
	}
}

func (f *freshWriter) delete(slot int, e *mortal) {
	if len(f.keys) == 0 {
		return
	}
	f.w.did.deletes.Add(1)
	batch := map[string]freshVector{}
	for range 1 + f.rng.IntN(3) {
		batch[f.keys[f.rng.IntN(len(f.keys))]] = freshVector{}
	}
	err := e.Delete(context.Background(), bucket, "docs", sortedKeys(batch))
	if err != nil && !f.gone(slot, e, err) {
		f.fail("delete: %v", err)
		return
	}
	if err == nil || f.happened(batch) {
		for key := range batch {
			f.replaceOwn(key, nil)
		}
	}
}

func (f *freshWriter) replaceOwn(key string, by *freshVector) {
	old, was := f.alive[key]
	if was {
		f.ghosts = append(f.ghosts[max(0, len(f.ghosts)-200):], ghost{key, old.values})
	}
	delete(f.alive, key)
	if by != nil {
		f.alive[key] = *by
		if !slices.Contains(f.keys, key) {
			f.keys = append(f.keys, key)
		}
	}
}

// happened reads whether a change whose engine died took effect: all of it, or nothing.
func (f *freshWriter) happened(batch map[string]freshVector) bool {
	f.w.did.doubts.Add(1)
	keys := sortedKeys(batch)
	got := map[string][]float32{}
	f.again(func(e *mortal) error {
		list, err := e.Get(context.Background(), bucket, "docs", keys, true, false)
		clear(got)
		for _, v := range list {
			got[v.Key] = v.Values
		}
		return err
	})
	before, after := 0, 0
	for _, key := range keys {
		if slices.Equal(got[key], f.alive[key].values) {
			before++
		}
		if slices.Equal(got[key], batch[key].values) {
			after++
		}
	}
	switch {
	case after == len(keys):
		f.w.did.happened.Add(1)
		return true
	case before != len(keys):
		f.fail("of a change of %v, when its engine died, %d are as after it and %d as before", keys, after, before)
	}
	return false
}

// again does something until an engine lives long enough for it.
func (f *freshWriter) again(do func(e *mortal) error) {
	for {
		slot := f.rng.IntN(2)
		e := f.w.engines[slot].Load()
		err := do(e)
		if err == nil {
			return
		}
		if !f.gone(slot, e, err) {
			f.fail("%v", err)
			return
		}
	}
}

func (f *freshWriter) query(slot int, e *mortal, r Request) (hits []Hit, ok bool) {
	f.w.did.queries.Add(1)
	a, err := e.Query(context.Background(), bucket, "docs", r)
	if err != nil && !f.gone(slot, e, err) {
		f.fail("query: %v", err)
	}
	seen := map[string]bool{}
	for _, h := range a.Hits {
		if seen[h.Key] {
			f.fail("%s is twice in an answer", h.Key)
		}
		seen[h.Key] = true
	}
	return a.Hits, err == nil
}

// findOwn: what was acknowledged is its own nearest neighbour.
func (f *freshWriter) findOwn(slot int, e *mortal) {
	if len(f.keys) == 0 {
		return
	}
	key := f.keys[f.rng.IntN(len(f.keys))]
	v, alive := f.alive[key]
	if !alive {
		return
	}
	r := Request{Values: v.values, TopK: 1 + f.rng.IntN(10), Exact: f.rng.IntN(3) == 0}
	if f.rng.IntN(4) == 0 {
		r.Filter = fmt.Appendf(nil, `{"w":%d,"stamp":%d}`, f.id, v.stamp)
	}
	hits, ok := f.query(slot, e, r)
	if !ok || len(hits) > 0 && hits[0].Key == key && hits[0].Distance == 0 {
		return
	}
	if !r.Exact {
		if r.Exact = true; f.foundExactly(slot, e, r, key) {
			f.w.did.unprobed.Add(1)
			return
		}
	}
	f.fail("%s was acknowledged; exact %v, filter %s finds %v", key, r.Exact, r.Filter, keysOf(Answer{Hits: hits}))
}

// foundExactly: what probing misses may be a matter of recall, but then comparing with every vector finds it.
func (f *freshWriter) foundExactly(slot int, e *mortal, r Request, key string) bool {
	hits, ok := f.query(slot, e, r)
	return !ok || len(hits) > 0 && hits[0].Key == key && hits[0].Distance == 0
}

// findNoGhost: what was overwritten or deleted is not found where it was, nor a deleted key anywhere.
func (f *freshWriter) findNoGhost(slot int, e *mortal) {
	if len(f.ghosts) == 0 {
		return
	}
	g := f.ghosts[f.rng.IntN(len(f.ghosts))]
	hits, _ := f.query(slot, e, Request{Values: g.values, TopK: 20, Exact: f.rng.IntN(2) == 0})
	for _, h := range hits {
		v, alive := f.alive[h.Key]
		if h.Key == g.key && (!alive || h.Distance == 0 && !slices.Equal(v.values, g.values)) {
			f.fail("%s is found at %v, alive %v", h.Key, h.Distance, alive)
		}
	}
}

// findNearest: of the writer's own vectors the nearest is found, as by looking at all of them.
func (f *freshWriter) findNearest(slot int, e *mortal) {
	q, nearest, least := f.vector(), "", math.Inf(1)
	for key, v := range f.alive {
		if d := naiveDistance(distance.Euclidean, q, v.values); d < least {
			nearest, least = key, d
		}
	}
	hits, ok := f.query(slot, e, Request{Values: q, TopK: 1, Exact: true, Filter: fmt.Appendf(nil, `{"w":%d}`, f.id)})
	if !ok {
		return
	}
	if nearest == "" != (len(hits) == 0) || len(hits) > 0 && math.Abs(float64(hits[0].Distance)-least) > 1e-4*(1+least) {
		f.fail("%s at %v is nearest, %v are found", nearest, least, hits)
	}
}

func (f *freshWriter) countOwn(e *mortal) {
	f.w.did.counts.Add(1)
	n, err := e.Count(context.Background(), bucket, "docs", fmt.Appendf(nil, `{"w":%d}`, f.id))
	if errors.Is(err, ErrClosed) || errors.Is(err, errCut) {
		return
	}
	if err != nil || n != uint64(len(f.alive)) {
		f.fail("%d are counted, %v; %d are alive", n, err, len(f.alive))
	}
}
