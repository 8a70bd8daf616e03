package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/distance"
)

// insertClients push at once, in batches of the most that a call takes.
const insertClients = 4

// inserts pushes by calls while queries are asked beside it, and tells both rates beside a quiet machine's
// and beside the same build in process.
func inserts(ctx context.Context, s settings) error {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + drives) // as a server does
	}
	l, err := openLake(ctx, quietHost(), filepath.Join(s.dir, fmt.Sprintf("inserts-%d-%d", s.dim, s.vectors)), vectors.Options{Events: vectors.Events{Upkeep: s.tell}})
	if err != nil {
		return err
	}
	defer l.close()
	clusters := max(16, s.vectors/1000)
	if err := l.make(ctx, "in-process", newMixture(7, s.dim, clusters), s.vectors/4); err != nil {
		return err
	}
	if _, err := l.engine.CreateIndex(ctx, bucket, vectors.Spec{Name: name, Dimension: s.dim, Metric: distance.Cosine}); err != nil {
		return err
	}
	srv, err := l.serve(ctx)
	if err != nil {
		return err
	}
	defer srv.server.Close()
	m := newMixture(8, s.dim, clusters)
	queries := newMixture(8, s.dim, clusters).draws(100)
	stop, err := profiled(s.loading)
	if err != nil {
		return err
	}
	defer stop()
	steps, began, cpu := 5, time.Now(), cpuTime()
	var all []float64
	for step := range steps {
		took, err := srv.insertStep(ctx, m, queries, step*s.vectors/steps, (step+1)*s.vectors/steps)
		if err != nil {
			return err
		}
		all = append(all, took...)
	}
	flushing := time.Now()
	took, err := srv.flushBeside(ctx, queries)
	if err != nil {
		return err
	}
	all = append(all, took...)
	slices.Sort(all)
	if err := print(map[string]any{
		"what": "inserts, upkeep done", "per_s": float64(s.vectors) / time.Since(began).Seconds(), "per_cpu_s": float64(s.vectors) / (cpuTime() - cpu).Seconds(),
		"flush_s": time.Since(flushing).Seconds(), "queries": len(all), "query_median_ms": all[len(all)/2], "query_p99_ms": all[len(all)*99/100],
	}); err != nil {
		return err
	}
	quiet, err := srv.askFor(ctx, queries, 3*time.Second, nil)
	if err != nil {
		return err
	}
	return print(map[string]any{"what": "inserts quiet", "query_median_ms": quiet[len(quiet)/2], "query_p99_ms": quiet[len(quiet)*99/100]})
}

// flushBeside does all upkeep that is left, and asks meanwhile.
func (s *served) flushBeside(ctx context.Context, queries [][]float32) ([]float64, error) {
	done := make(chan struct{})
	tasks, working := errgroup.WithContext(ctx)
	tasks.Go(func() error { defer close(done); return s.engine.Flush(working) })
	took, err := s.askFor(working, queries, time.Hour, done)
	if err != nil {
		return nil, err
	}
	return took, tasks.Wait()
}

// insertStep pushes the vectors from one number to another, and tells how long queries took meanwhile.
func (s *served) insertStep(ctx context.Context, m *mixture, queries [][]float32, from, to int) ([]float64, error) {
	batches, pushed := make(chan *tarnv1.PutRequest, 64), to-from
	tasks, working := errgroup.WithContext(ctx)
	tasks.Go(func() error {
		defer close(batches)
		for ; from < to; from += vectors.BatchMax {
			req := &tarnv1.PutRequest{Bucket: bucket, Index: name}
			for i := from; i < min(from+vectors.BatchMax, to); i++ {
				req.Vectors = append(req.Vectors, &tarnv1.Vector{Key: strconv.Itoa(i)})
				req.Values = append(req.Values, numbersOf(m.draw())...)
			}
			select {
			case batches <- req:
			case <-working.Done():
				return working.Err()
			}
		}
		return nil
	})
	began, cpu := time.Now(), cpuTime()
	pushers, pushing := errgroup.WithContext(working)
	for range insertClients {
		pushers.Go(func() error {
			for req := range batches {
				if _, err := s.vectors.Put(pushing, req); err != nil {
					return err
				}
			}
			return nil
		})
	}
	done := make(chan struct{})
	tasks.Go(func() error { defer close(done); return pushers.Wait() })
	took, err := s.askFor(working, queries, time.Hour, done)
	if err != nil {
		return nil, err
	}
	if err := tasks.Wait(); err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	info, err := s.engine.DescribeIndex(ctx, bucket, name)
	if err != nil {
		return nil, err
	}
	return took, print(map[string]any{
		"what": "inserts", "vectors": to, "per_s": float64(pushed) / seconds, "per_cpu_s": float64(pushed) / (cpuTime() - cpu).Seconds(),
		"tail": info.TailVectors, "queries": len(took), "query_median_ms": took[len(took)/2], "query_p99_ms": took[len(took)*99/100], "resident_mib": residentMiB(),
	})
}

// askFor asks 50 queries a second, for some time or until done is closed; the times they took, the least first.
func (s *served) askFor(ctx context.Context, queries [][]float32, most time.Duration, done <-chan struct{}) ([]float64, error) {
	var took []float64
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < most; {
		select {
		case <-done:
			slices.Sort(took)
			return took, nil
		case <-pace.C:
		}
		asked := time.Now()
		if err := s.call(ctx, "unary", queries[len(took)%len(queries)], nil); err != nil {
			return nil, err
		}
		took = append(took, time.Since(asked).Seconds()*1000)
	}
	slices.Sort(took)
	return took, nil
}
