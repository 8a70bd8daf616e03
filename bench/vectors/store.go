package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/tables"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/distance"
)

// lake is a store and an engine over three folders.
type lake struct {
	store  *objects.Store
	engine *vectors.Engine
}

const drives = 3

func quietHost() *host.Host { return host.Real(slog.New(slog.NewTextHandler(io.Discard, nil))) }

// openLake opens what lies in a folder, or makes it there.
func openLake(ctx context.Context, h *host.Host, dir string, o vectors.Options) (*lake, error) {
	var folders []string
	for i := range drives {
		folders = append(folders, filepath.Join(dir, "drive-"+strconv.Itoa(i+1)))
	}
	store, err := objects.Open(ctx, objects.Options{Host: h, Drives: folders, DataShards: 2, ParityShards: 1, AutoFormat: true, DriveTimeout: time.Hour})
	if err != nil {
		return nil, err
	}
	l := &lake{store: store}
	if err := l.reopen(ctx, o); err != nil {
		_ = store.Close()
		return nil, err
	}
	return l, nil
}

// reopen takes a new engine, which has nothing in memory.
func (l *lake) reopen(ctx context.Context, o vectors.Options) error {
	if l.engine != nil {
		if err := l.engine.Close(); err != nil {
			return err
		}
	}
	o.Store = vectors.Over(l.store)
	o.Rows = vectors.ParquetRows(tables.NewRowFiles(o.Store))
	var err error
	l.engine, err = vectors.Open(ctx, o)
	return err
}

func (l *lake) close() {
	_ = l.engine.Close()
	_ = l.store.Close()
}

// make makes an index of n vectors drawn from a mixture, folded, where it is not there yet.
func (l *lake) make(ctx context.Context, index string, m *mixture, n int) error {
	if _, err := l.engine.Index(ctx, bucket, index); err == nil {
		return nil
	}
	if _, err := l.store.Bucket(ctx, bucket); err != nil {
		if _, err := l.store.CreateBucket(ctx, bucket); err != nil {
			return err
		}
	}
	if _, err := l.engine.CreateIndex(ctx, bucket, vectors.Spec{Name: index, Dimension: m.dim, Metric: distance.Cosine}); err != nil {
		return err
	}
	began, cpu := time.Now(), cpuTime()
	if err := l.push(ctx, index, m, 0, n); err != nil {
		return err
	}
	if err := l.engine.Flush(ctx); err != nil {
		return err
	}
	return print(map[string]any{"what": "load", "index": index, "vectors": n, "built_s": time.Since(began).Seconds(), "vectors_per_cpu_s": float64(n) / (cpuTime() - cpu).Seconds()})
}

// push puts vectors whose keys are the numbers from one to another.
func (l *lake) push(ctx context.Context, index string, m *mixture, from, to int) error {
	for ; from < to; from += vectors.BatchMax {
		batch := make([]vectors.Vector, 0, vectors.BatchMax)
		for i := from; i < min(from+vectors.BatchMax, to); i++ {
			batch = append(batch, vectors.Vector{Key: strconv.Itoa(i), Values: m.draw()})
		}
		if err := l.engine.Put(ctx, bucket, index, batch); err != nil {
			return fmt.Errorf("put vectors from %d: %w", from, err)
		}
	}
	return nil
}

// heapMiB is what lives on the heap.
func heapMiB() float64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// residentMiB is the process's resident memory.
func residentMiB() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var all, resident int64
	_, _ = fmt.Sscan(string(b), &all, &resident)
	return float64(resident*int64(os.Getpagesize())) / (1 << 20)
}
