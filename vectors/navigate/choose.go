package navigate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tarnlake/tarn/vectors/distance"
)

// Navigator finds the n nearest centroids to a query, nearest first.
type Navigator interface {
	First(q *distance.Query, n int) []uint32
}

// Floor is the recall against the exact scan below which no navigator is used.
const Floor = 0.99

// graphAbove is where a walk begins to be quicker than the scan. Measured on 384
// dimensions, two cores, ten centroids wanted, scan and walk in µs: 218 and 371 at 4,000,
// 341 and 394 at 6,000, 990 and 261 at 8,000, where the rows leave the processor's cache.
const graphAbove = 6_000

const (
	probesWanted = 10
	heldOut      = 128 // queries of a measurement
	drawnMost    = 0.5 // the largest share of another centroid in a query
)

// Options of Choose.
type Options struct {
	Seed   uint64 // of the graph and of the queries that judge it
	Probes int    // the most centroids that a query wants from a graph; default 10
	Above  int    // no graph is built for so many centroids or fewer; default 6,000
}

// Measured says what Choose saw.
type Measured struct {
	Recall float64 // of the graph at Options.Probes; 0 when none was measured
	Graph  bool    // the graph was chosen
	Reason string
}

// Choose is the exact scan, or a Graph of the same centroids if they are many and
// the Graph finds what the scan finds. It takes as long as building the graph does.
// The error of so small a sample counts against the graph.
func Choose(ctx context.Context, c *Centroids, o Options) (Navigator, Measured) {
	o = o.filled()
	if c.Len() <= o.Above {
		return c, Measured{Reason: fmt.Sprintf("%d centroids are scanned exactly up to %d", c.Len(), o.Above)}
	}
	g, err := newGraph(ctx, c, o.Seed)
	if err != nil {
		return c, Measured{Reason: err.Error()}
	}
	recall, doubt, err := g.measure(ctx, heldOutQueries(c, o.Seed), o.Probes)
	if err != nil {
		return c, Measured{Reason: err.Error()}
	}
	m := Measured{Recall: recall, Reason: fmt.Sprintf("recall@%d %.3f ± %.3f, the floor is %.2f", o.Probes, recall, doubt, Floor)}
	if recall-doubt < Floor {
		return c, m
	}
	m.Graph, g.trusted = true, o.Probes
	return g, m
}

func (o Options) filled() Options {
	if o.Probes <= 0 {
		o.Probes = probesWanted
	}
	if o.Above <= 0 {
		o.Above = graphAbove
	}
	return o
}

// heldOutQueries are centroids drawn towards other centroids: no query is a row of the graph.
func heldOutQueries(c *Centroids, seed uint64) []*distance.Query {
	rng := rand.New(rand.NewPCG(seed, heldOut))
	queries := make([]*distance.Query, heldOut)
	for i := range queries {
		a, b := c.row(rng.IntN(c.Len())), c.row(rng.IntN(c.Len()))
		share := float32(rng.Float64() * drawnMost)
		mixed := make([]float32, c.dim)
		for j := range mixed {
			mixed[j] = a[j] + share*(b[j]-a[j])
		}
		queries[i] = distance.NewQuery(c.metric, mixed)
	}
	return queries
}

// measure is the mean recall of the graph over queries, and twice its standard error.
func (g *Graph) measure(ctx context.Context, queries []*distance.Query, n int) (recall, doubt float64, err error) {
	var sum, squares float64
	for _, q := range queries {
		if err := ctx.Err(); err != nil {
			return 0, 0, fmt.Errorf("measure a graph of %d centroids: %w", g.exact.Len(), err)
		}
		found, err := g.walk(q, n)
		if err != nil {
			return 0, 0, err
		}
		r := g.exact.recall(q, found, n)
		sum, squares = sum+r, squares+r*r
	}
	count := float64(len(queries))
	recall = sum / count
	variance := max(0, squares/count-recall*recall)
	return recall, 2 * math.Sqrt(variance/count), nil
}

// recall is the share of the n nearest centroids that were found. One that is as near
// as the last of them is as good: equal centroids stand for each other.
func (c *Centroids) recall(q *distance.Query, found []ranked, n int) float64 {
	want := c.first(q, n)
	if len(want) == 0 {
		return 1
	}
	wanted := make(map[uint32]bool, n)
	for _, r := range want {
		wanted[r.id] = true
	}
	hits, last := 0, want[len(want)-1].score
	for _, r := range found {
		if wanted[r.id] || r.score <= last {
			hits++
		}
	}
	return float64(min(hits, len(want))) / float64(len(want))
}
