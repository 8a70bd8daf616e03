package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/distance"
)

// Indexes of the part of many: each is this small, a bucket has so many, and so many are made at once.
const (
	manyRows    = 10
	manyDim     = 32
	manyBucket  = 10_000
	manyWriters = 32
	manyIdle    = 2 * time.Second
)

// many makes very many small indexes, asks them at random, lets them become idle, and opens the store anew.
func many(ctx context.Context, s settings) error {
	dir := filepath.Join(s.dir, fmt.Sprintf("many-%d", s.vectors))
	o := vectors.Options{Idle: manyIdle}
	before := heapMiB()
	l, err := openLake(ctx, quietHost(), dir, o)
	if err != nil {
		return err
	}
	defer func() { l.close() }()
	empty := heapMiB()
	if err := l.makeMany(ctx, s.vectors); err != nil {
		return err
	}
	time.Sleep(3 * manyIdle)
	if err := print(map[string]any{"what": "many idle", "indexes": s.vectors, "heap_before_mib": before, "heap_empty_store_mib": empty, "heap_mib": heapMiB(), "resident_mib": residentMiB(), "open": l.engine.OpenIndexes()}); err != nil {
		return err
	}
	if err := l.askMany(ctx, "many asked", s.vectors, s.queriesOf); err != nil {
		return err
	}
	l.close()
	began := time.Now()
	if l, err = openLake(ctx, quietHost(), dir, o); err != nil {
		return err
	}
	if err := print(map[string]any{"what": "many reopened", "took_s": time.Since(began).Seconds(), "heap_mib": heapMiB(), "resident_mib": residentMiB()}); err != nil {
		return err
	}
	return l.askMany(ctx, "many asked anew", s.vectors, s.queriesOf)
}

func manyPlace(i int) (bucket, index string) {
	return "many-" + strconv.Itoa(i/manyBucket), "index-" + strconv.Itoa(i)
}

func (l *lake) makeMany(ctx context.Context, n int) error {
	began, cpu := time.Now(), cpuTime()
	last, lastCPU := began, cpu
	for from := 0; from < n; from += manyBucket {
		b, _ := manyPlace(from)
		if _, err := l.store.Bucket(ctx, b); err == nil {
			continue // made by an earlier run
		}
		if _, err := l.store.CreateBucket(ctx, b); err != nil {
			return err
		}
		tasks, ctx := errgroup.WithContext(ctx)
		var next atomic.Int64
		next.Store(int64(from))
		for range manyWriters {
			tasks.Go(func() error {
				for i := int(next.Add(1) - 1); i < min(from+manyBucket, n); i = int(next.Add(1) - 1) {
					if err := l.makeSmall(ctx, i); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := tasks.Wait(); err != nil {
			return err
		}
		if made := min(from+manyBucket, n); made%50_000 == 0 || made == n {
			now, nowCPU := time.Now(), cpuTime()
			if err := print(map[string]any{"what": "many made", "indexes": made, "s": now.Sub(began).Seconds(), "since_s": now.Sub(last).Seconds(), "since_cpu_s": (nowCPU - lastCPU).Seconds(), "heap_mib": heapMiB(), "resident_mib": residentMiB(), "open": l.engine.OpenIndexes()}); err != nil {
				return err
			}
			last, lastCPU = now, nowCPU
		}
	}
	return nil
}

func (l *lake) makeSmall(ctx context.Context, i int) error {
	b, name := manyPlace(i)
	if _, err := l.engine.CreateIndex(ctx, b, vectors.Spec{Name: name, Dimension: manyDim, Metric: distance.Euclidean}); err != nil {
		return err
	}
	batch := make([]vectors.Vector, manyRows)
	for j := range batch {
		values := make([]float32, manyDim)
		values[j], values[manyDim-1] = 1, float32(i)
		batch[j] = vectors.Vector{Key: strconv.Itoa(j), Values: values}
	}
	return l.engine.Put(ctx, b, name, batch)
}

// askMany asks indexes at random, and checks that the answer is theirs.
func (l *lake) askMany(ctx context.Context, what string, n, times int) error {
	rng := rand.New(rand.NewPCG(5, 6))
	var took []float64
	cpu := cpuTime()
	for range times {
		i, j := rng.IntN(n), rng.IntN(manyRows)
		b, name := manyPlace(i)
		q := make([]float32, manyDim)
		q[j], q[manyDim-1] = 1, float32(i)
		began := time.Now()
		a, err := l.engine.Query(ctx, b, name, vectors.Request{Values: q, TopK: 3})
		if err != nil {
			return err
		}
		took = append(took, time.Since(began).Seconds()*1000)
		if len(a.Hits) != 3 || a.Hits[0].Key != strconv.Itoa(j) || a.Hits[0].Distance != 0 {
			return fmt.Errorf("index %d answers %+v to its vector %d", i, a.Hits, j)
		}
	}
	slices.Sort(took)
	return print(map[string]any{"what": what, "queries": times, "median_ms": took[times/2], "p99_ms": took[times*99/100], "cpu_us": float64((cpuTime() - cpu).Microseconds()) / float64(times), "heap_mib": heapMiB(), "open": l.engine.OpenIndexes()})
}
