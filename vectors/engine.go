package vectors

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/tables"
)

// Options of an engine. All but Store may be left zero.
type Options struct {
	Store      Store
	Rows       RowFiles      // nil: Parquet files in Store
	CacheBytes int64         // of blocks held in memory; default 1 GiB. Lexicons may take a quarter of it besides
	Ranking    Ranking       // of queries that do not say; RankingBytes: nothing but the fronts of blocks is kept in memory
	Idle       time.Duration // after which an unused index leaves memory; default 10 minutes
	Tuning     Tuning
	Events     Events
}

// Tuning bounds the tail and the neighbourhoods of each index.
type Tuning struct {
	YoungRows    int   // to here an index has no neighbourhoods and is scanned exactly; default 10,000
	YoungBytes   int64 // or to here; default 16 MiB
	FoldRows     int   // rows of the tail after which it is folded; default 20,000
	FoldBytes    int64 // or bytes; default 8 MiB
	FoldRecords  int   // or pushes and deletes; default 400
	TailBytesMax int64 // writers wait while the tail has more; default 64 MiB
	Target       int   // vectors of a neighbourhood; it is divided above twice that; default 512
	Cell         int   // vectors of a cell, into which a neighbourhood is divided further; default 20, at most a quarter of Target, and at least a 32nd part
}

// Events tells what an engine does. Each may be nil; they must return soon.
type Events struct {
	Upkeep func(bucket, name, step string, rows int, err error) // a step of upkeep ended
	Opened func(bucket, name string, took time.Duration, err error)
}

// See docs/decisions/0026-cells.md.
const (
	defaultTarget = 512
	defaultCell   = 20
)

func (o *Options) fill() {
	orInt := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	orBytes := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	t := &o.Tuning
	orInt(&t.YoungRows, 10_000)
	orBytes(&t.YoungBytes, 16<<20)
	orInt(&t.FoldRows, 20_000)
	orBytes(&t.FoldBytes, 8<<20)
	orInt(&t.FoldRecords, 400)
	orBytes(&t.TailBytesMax, 64<<20)
	orInt(&t.Target, defaultTarget)
	orInt(&t.Cell, defaultCell)
	t.Cell = max(min(t.Cell, max(2, t.Target/4)), (t.Target+31)/32) // so that quantize.CellsMax are enough for a neighbourhood
	orBytes(&o.CacheBytes, 1<<30)
	if o.Idle <= 0 {
		o.Idle = 10 * time.Minute
	}
	if o.Rows == nil {
		o.Rows = ParquetRows(tables.NewRowFiles(o.Store))
	}
	if o.Events.Upkeep == nil {
		o.Events.Upkeep = func(string, string, string, int, error) {}
	}
	if o.Events.Opened == nil {
		o.Events.Opened = func(string, string, time.Duration, error) {}
	}
}

// Engine keeps the vector indexes of one store. All methods may be called by
// many goroutines at once.
type Engine struct {
	o        Options
	host     *host.Host
	index    index.Index
	cache    *cache
	shelf    *shelf
	handover *handover
	framing  chan struct{} // held while a push needs a processor
	follower follower

	mu struct { // never held across I/O
		sync.Mutex
		byName map[indexName]*opened
		byInc  map[incarnation]*opened
		born   map[incarnation]bool // made here and not opened yet: the first ids are reserved
		named  map[string]int       // by bucket: dead sources that indexes which are not open still named
	}
	ctx    context.Context // ends with Close; for background work only
	cancel context.CancelFunc
	tasks  sync.WaitGroup // follower, upkeep, loads; Close waits
	kick   chan struct{}  // wakes upkeep; holds one
	soon   atomic.Bool    // upkeep looks again once it may be calm
}

type indexName struct{ bucket, name string }

// Open starts an engine. It reads nothing but the index's position: indexes are
// loaded when they are first used.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o.fill()
	e := &Engine{o: o, host: o.Store.Host(), index: o.Store.Index(), cache: newCache(o.Store, o.CacheBytes, o.Ranking == RankingBytes), shelf: newShelf(o.CacheBytes / 4), handover: newHandover(), framing: make(chan struct{}, max(1, runtime.NumCPU()/2)), kick: make(chan struct{}, 1)}
	e.mu.byName = map[indexName]*opened{}
	e.mu.byInc = map[incarnation]*opened{}
	e.mu.named = map[string]int{}
	e.mu.born = map[incarnation]bool{}
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	w, at, err := e.watch(ctx)
	if err != nil {
		e.cancel()
		return nil, err
	}
	e.follower.reach(at)
	e.tasks.Go(func() { e.follow(w) })
	e.tasks.Go(e.upkeepLoop)
	e.tasks.Go(func() { e.cache.makeWhole(e.ctx) })
	return e, nil
}

// watch begins to follow the index at its present position.
func (e *Engine) watch(ctx context.Context) (index.Watcher, index.Position, error) {
	at, err := e.index.Position(ctx)
	if err != nil {
		return nil, at, fmt.Errorf("read the index's position: %w", err)
	}
	w, err := e.index.Watch(ctx, at)
	if err != nil {
		return nil, at, fmt.Errorf("watch the index: %w", err)
	}
	return w, at, nil
}

// Close stops background work and waits for it. Nothing is lost: what was
// acknowledged is durable already.
func (e *Engine) Close() error {
	e.cancel()
	e.tasks.Wait()
	return nil
}

// wake lets upkeep look at every open index soon.
func (e *Engine) wake() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// opens lists the indexes that are in memory.
func (e *Engine) opens() []*opened {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*opened, 0, len(e.mu.byInc))
	for _, o := range e.mu.byInc {
		list = append(list, o)
	}
	return list
}

// forget drops an index from memory; whoever holds it sees that it is stale.
func (e *Engine) forget(o *opened) {
	e.mu.Lock()
	if e.mu.byInc[o.rec.inc] == o {
		delete(e.mu.byInc, o.rec.inc)
	}
	if at := (indexName{o.bucket, o.rec.spec.Name}); e.mu.byName[at] == o {
		delete(e.mu.byName, at)
	}
	e.mu.Unlock()
	o.retire()
}

// OpenIndexes is how many indexes are in memory.
func (e *Engine) OpenIndexes() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.mu.byInc)
}
