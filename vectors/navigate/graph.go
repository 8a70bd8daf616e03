package navigate

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync/atomic"

	"github.com/coder/hnsw"

	"github.com/tarnlake/tarn/vectors/distance"
)

// How a Graph is built and read. The library keeps what it meets first, not what
// is nearest, so a Graph asks it for many more places than it wants and ranks
// them itself. Measured at 10,000 clustered rows of 128 dimensions, recall@10:
// 0.23 with 16 links as the library answers, 0.42 ranked anew from 100 places; 0.45
// and 0.93 with 48 links (levels drawn by the library). More places or a wider search
// hardly add to that.
const (
	graphLinks      = 48
	graphWidth      = 200 // candidates that the library keeps
	graphShare      = 0.25
	graphReach      = 10 // places asked of the library for each one wanted
	graphReachLeast = 100
)

var errBroken = errors.New("the graph library panicked")

// Graph finds near centroids by walking a graph of coder/hnsw. It is built once
// and never changed, so that the library's faults in deletes, second adds and adds
// beside searches cannot be met. It answers from the graph only for as many
// centroids as Choose has measured; else, and after a panic of the library, it is
// the exact scan.
type Graph struct {
	exact   *Centroids
	graph   *hnsw.Graph[int32] // keys are places in exact
	trusted int                // most centroids of one answer from the graph; set before others see the Graph
	broken  atomic.Bool
}

// newGraph builds a graph of c. The order of the rows and their levels follow from
// seed; the library walks maps while it links, so two builds may still differ, which
// is why the very graph that is used is the one that is measured.
func newGraph(ctx context.Context, c *Centroids, seed uint64) (g *Graph, err error) {
	defer func() {
		if p := recover(); p != nil {
			g, err = nil, fmt.Errorf("build a graph of %d centroids: %w: %v", c.Len(), errBroken, p)
		}
	}()
	rng := rand.New(rand.NewSource(int64(seed)))
	levels := levels{rng: rng}
	built := hnsw.NewGraph[int32]()
	built.M, built.EfSearch, built.Ml = graphLinks, graphWidth, graphShare
	built.Rng, built.Distance = rand.New(&levels), distance.L2
	for added, i := range rng.Perm(c.Len()) {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("build a graph of %d centroids: %w", c.Len(), err)
		}
		levels.choose(added)
		built.Add(hnsw.MakeNode(int32(i), c.row(i)))
	}
	if c.metric == distance.DotProduct {
		built.Distance = func(a, b []float32) float32 { return -distance.Dot(a, b) }
	}
	return &Graph{exact: c, graph: built}, nil
}

// First is the ids of the n nearest centroids, nearest first. It may be called
// by many goroutines at once.
func (g *Graph) First(q *distance.Query, n int) []uint32 {
	if n > g.trusted || g.broken.Load() {
		return g.exact.First(q, n)
	}
	found, err := g.walk(q, n)
	if err != nil || len(found) < min(n, g.exact.Len()) {
		return g.exact.First(q, n)
	}
	return idsOf(found)
}

// walk asks the graph alone. After a panic the graph is not asked again.
func (g *Graph) walk(q *distance.Query, n int) (list []ranked, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.broken.Store(true)
			list, err = nil, fmt.Errorf("search a graph of %d centroids: %w: %v", g.exact.Len(), errBroken, p)
		}
	}()
	found := g.graph.Search(q.Vector(), max(graphReach*n, graphReachLeast))
	list = make([]ranked, len(found))
	for i, node := range found {
		list[i] = ranked{g.exact.score(q, int(node.Key)), g.exact.ids[node.Key]}
	}
	slices.SortFunc(list, ranked.compare)
	list = slices.Compact(list)
	return list[:min(n, len(list))], nil
}

// levels is the source from which the library draws the level of each row: it goes up
// while it reads less than graphShare. The topmost level is kept to one row, for the
// library enters by a random row of it, and one query would get several answers.
type levels struct {
	rng *rand.Rand
	top int // the topmost level so far
	up  int // draws left that lead upwards
}

// choose sets the level of the next row when added rows are there.
func (l *levels) choose(added int) {
	if added == 0 || added >= 1<<(2*l.top+1) { // the library allows a new level by then
		l.top++
		l.up = l.top
		return
	}
	l.up = 0
	for l.up < l.top-1 && l.rng.Float64() < graphShare {
		l.up++
	}
}

// Int63 is read as a fraction of 1<<63: 0, or one half.
func (l *levels) Int63() int64 {
	if l.up > 0 {
		l.up--
		return 0
	}
	return 1 << 62
}

// Seed does nothing; rand.Source asks for it.
func (l *levels) Seed(int64) {}
