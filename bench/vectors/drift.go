package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/tarnlake/tarn/vectors"
)

// drift replaces every vector of an index by one of a drifted distribution, and compares it with an index that
// was made of those alone.
func drift(ctx context.Context, s settings) error {
	l, err := openLake(ctx, quietHost(), filepath.Join(s.dir, fmt.Sprintf("drift-%d-%d", s.dim, s.vectors)), vectors.Options{})
	if err != nil {
		return err
	}
	defer l.close()
	clusters := max(16, s.vectors/1000)
	before := newMixture(7, s.dim, clusters)
	if err := l.make(ctx, "drifted", before, s.vectors); err != nil {
		return err
	}
	began, cpu := time.Now(), cpuTime()
	if err := l.push(ctx, "drifted", newMixture(7, s.dim, clusters).drifted(9), 0, s.vectors); err != nil {
		return err
	}
	if err := l.engine.Flush(ctx); err != nil {
		return err
	}
	if err := print(map[string]any{"what": "replaced", "vectors": s.vectors, "s": time.Since(began).Seconds(), "vectors_per_cpu_s": float64(s.vectors) / (cpuTime() - cpu).Seconds()}); err != nil {
		return err
	}
	if err := l.make(ctx, "fresh", newMixture(7, s.dim, clusters).drifted(9), s.vectors); err != nil {
		return err
	}
	queries := newMixture(7, s.dim, clusters).drifted(9).draws(s.queriesOf)
	return l.compare(ctx, []string{"drifted", "fresh"}, queries, s.rounds)
}

// grow makes an index ten times as large, and compares it with what it was.
func grow(ctx context.Context, s settings) error {
	l, err := openLake(ctx, quietHost(), filepath.Join(s.dir, fmt.Sprintf("growth-%d-%d", s.dim, s.vectors)), vectors.Options{CacheBytes: s.cacheMiB << 20})
	if err != nil {
		return err
	}
	defer l.close()
	clusters := max(16, s.vectors/100)
	if err := l.make(ctx, "small", newMixture(7, s.dim, clusters), s.vectors); err != nil {
		return err
	}
	queries := newMixture(7, s.dim, clusters).draws(s.queriesOf)
	if err := l.compare(ctx, []string{"small"}, queries, s.rounds); err != nil {
		return err
	}
	stop, err := profiled(s.loading)
	if err != nil {
		return err
	}
	if err := l.make(ctx, "large", newMixture(7, s.dim, clusters), 10*s.vectors); err != nil {
		return err
	}
	stop()
	if stop, err = profiled(s.profile); err != nil {
		return err
	}
	defer stop()
	return l.compare(ctx, []string{"small", "large"}, queries, s.rounds)
}

// compare asks indexes in turn, with the probes that each has chosen and with the same ones.
func (l *lake) compare(ctx context.Context, names []string, queries [][]float32, rounds int) error {
	for _, probes := range []int{0, 16, 32} {
		if err := l.compareAt(ctx, names, queries, rounds, probes); err != nil {
			return err
		}
	}
	return nil
}

// compareAt tells recall against comparing with all, and times.
func (l *lake) compareAt(ctx context.Context, names []string, queries [][]float32, rounds, probes int) error {
	exact := map[string][]map[string]bool{}
	for _, n := range names {
		var err error
		if exact[n], err = l.exactly(ctx, n, queries[:min(len(queries), 100)]); err != nil {
			return err
		}
	}
	took, found, scanned, cpu := map[string][]float64{}, map[string]int{}, map[string]int64{}, map[string]time.Duration{}
	for round := range rounds + 2 { // the first ones warm
		for i, q := range queries {
			for _, n := range names {
				before, began := cpuTime(), time.Now()
				a, err := l.engine.Query(ctx, bucket, n, vectors.Request{Values: q, TopK: 10, Probes: probes})
				if err != nil {
					return err
				}
				if round < 2 {
					continue
				}
				took[n], cpu[n] = append(took[n], time.Since(began).Seconds()*1e6), cpu[n]+cpuTime()-before
				scanned[n] += a.Explain.Scanned
				if i < len(exact[n]) {
					for _, h := range a.Hits {
						if exact[n][i][h.Key] {
							found[n]++
						}
					}
				}
			}
		}
	}
	for _, n := range names {
		info, err := l.engine.DescribeIndex(ctx, bucket, n)
		if err != nil {
			return err
		}
		slices.Sort(took[n])
		line := map[string]any{
			"what": "compared", "index": n, "vectors": info.Vectors, "neighbourhoods": info.Neighbourhoods, "probes": cmp.Or(probes, info.Probes),
			"recall": float64(found[n]) / float64(10*rounds*len(exact[n])), "median_us": took[n][len(took[n])/2], "p99_us": took[n][len(took[n])*99/100],
			"cpu_us": float64(cpu[n].Microseconds()) / float64(len(took[n])), "scanned": float64(scanned[n]) / float64(len(took[n])), "heap_mib": heapMiB(),
		}
		if err := print(line); err != nil {
			return err
		}
	}
	return nil
}

// exactly are the keys of the ten nearest of each query.
func (l *lake) exactly(ctx context.Context, index string, queries [][]float32) ([]map[string]bool, error) {
	var list []map[string]bool
	for _, q := range queries {
		a, err := l.engine.Query(ctx, bucket, index, vectors.Request{Values: q, TopK: 10, Exact: true})
		if err != nil {
			return nil, err
		}
		keys := map[string]bool{}
		for _, h := range a.Hits {
			keys[h.Key] = true
		}
		list = append(list, keys)
	}
	return list, nil
}
