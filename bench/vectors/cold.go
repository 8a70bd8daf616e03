package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/tarnlake/tarn/vectors"
)

// cold asks queries with nothing of the index in memory, while every read of a drive takes long: with
// its centroids loaded, and without.
func cold(ctx context.Context, s settings) error {
	h := quietHost()
	slow := newSlowDrives(h.FS)
	h.FS = slow
	l, err := openLake(ctx, h, filepath.Join(s.dir, fmt.Sprintf("cold-%d-%d", s.dim, s.vectors)), vectors.Options{})
	if err != nil {
		return err
	}
	defer l.close()
	m := newMixture(7, s.dim, max(16, s.vectors/1000))
	if err := l.make(ctx, name, m, s.vectors); err != nil {
		return err
	}
	m = newMixture(7, s.dim, max(16, s.vectors/1000))
	queries := m.draws(s.queriesOf)
	exact, err := l.exactly(ctx, name, queries)
	if err != nil {
		return err
	}
	for _, delay := range [][2]time.Duration{{time.Millisecond, time.Millisecond}, {10 * time.Millisecond, 30 * time.Millisecond}} {
		for _, opening := range []bool{false, true} {
			if err := coldly(ctx, l, slow, queries, exact, delay, opening); err != nil {
				return err
			}
		}
	}
	return nil
}

// coldly measures one kind of coldness at one delay.
func coldly(ctx context.Context, l *lake, slow *slowDrives, queries [][]float32, exact []map[string]bool, delay [2]time.Duration, opening bool) error {
	opens := 0 // rounds of opening: the directories of segments
	if opening {
		opens = 1
	}
	var took, over []float64
	var reads, most, read, explained, told []int
	slow.set(delay[0], delay[1])
	defer slow.set(0, 0)
	for range 50 { // so that the drives are known to be slow: reads are hedged by what was usual
		if _, err := l.engine.Query(ctx, bucket, name, vectors.Request{Values: queries[0], TopK: 10}); err != nil {
			return err
		}
		if err := l.reopen(ctx, vectors.Options{}); err != nil {
			return err
		}
	}
	found := 0
	for i, q := range queries {
		if err := l.reopen(ctx, vectors.Options{}); err != nil {
			return err
		}
		if !opening {
			if _, err := l.engine.DescribeIndex(ctx, bucket, name); err != nil {
				return err
			}
		}
		slow.set(delay[0], delay[1])
		began := time.Now()
		a, err := l.engine.Query(ctx, bucket, name, vectors.Request{Values: q, TopK: 10})
		t := time.Since(began)
		all := slow.taken()
		if err != nil {
			return err
		}
		n, floor, bytes := rounds(all, a.Explain.Rounds+opens)
		told = append(told, a.Explain.Rounds)
		for _, h := range a.Hits {
			if exact[i][h.Key] {
				found++
			}
		}
		took, over = append(took, t.Seconds()*1000), append(over, t.Seconds()/floor.Seconds())
		reads, most, read, explained = append(reads, len(all)), append(most, n), append(read, bytes), append(explained, int(a.Explain.BytesRead))
	}
	for _, list := range [][]int{reads, most, read, explained, told} {
		slices.Sort(list)
	}
	slices.Sort(took)
	slices.Sort(over)
	at := func(list []float64, q float64) float64 { return list[int(q*float64(len(list)-1))] }
	last, half := len(queries)-1, len(queries)/2
	return print(map[string]any{
		"what": "cold", "delay_ms": []float64{delay[0].Seconds() * 1000, delay[1].Seconds() * 1000}, "index_loaded": !opening,
		"median_ms": at(took, 0.5), "p99_ms": at(took, 0.99), "of_floor_median": at(over, 0.5), "of_floor_p99": at(over, 0.99),
		"recall": float64(found) / float64(10*len(queries)), "rounds": told[last] + opens, "rounds_median": told[half] + opens, "chain_median": most[half], "chain_most": most[last], "reads_median": reads[half],
		"read_mb_median": float64(read[half]) / 1e6, "read_mb_most": float64(read[last]) / 1e6, "asked_mb_median": float64(explained[half]) / 1e6,
	})
}
