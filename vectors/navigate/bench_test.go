package navigate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tarnlake/tarn/vectors/distance"
)

// BenchmarkFirst compares the exact scan with the graph that Choose would judge.
func BenchmarkFirst(b *testing.B) {
	const dim, n = 384, probesWanted
	for _, count := range []int{1_000, 4_000, 16_000} {
		c := clustered(1, distance.Cosine, count, dim, count/50, 0.5)
		queries := heldOutQueries(c, 2)
		b.Run(fmt.Sprintf("exact/%d", count), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				c.First(queries[i%len(queries)], n)
			}
			b.ReportMetric(1, "recall")
		})
		start := time.Now()
		g, err := newGraph(context.Background(), c, 1)
		if err != nil {
			b.Fatal(err)
		}
		built := time.Since(start)
		b.Run(fmt.Sprintf("graph/%d", count), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := g.walk(queries[i%len(queries)], n); err != nil {
					b.Fatal(err)
				}
			}
			recall, _, err := g.measure(context.Background(), queries, n)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(recall, "recall")
			b.ReportMetric(built.Seconds(), "build-s")
		})
	}
}
