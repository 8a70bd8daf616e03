package navigate

import (
	"github.com/tarnlake/tarn/vectors/distance"
)

// Centroids are the navigable middle points of neighbourhoods.
type Centroids struct {
	metric distance.Metric
	dim    int
	ids    []uint32  // of the neighbourhoods
	rows   []float32 // [len(ids)][dim], row major; of length 1 under Cosine
	halves []float32 // half the squared length of each row
	chart  *chart    // nil: there are few
}

// New takes over ids and rows.
func New(metric distance.Metric, dim int, ids []uint32, rows []float32) *Centroids {
	if len(rows) != dim*len(ids) {
		panic("navigate: centroids are not a matrix of the dimension")
	}
	c := &Centroids{metric: metric, dim: dim, ids: ids, rows: rows, halves: make([]float32, len(ids))}
	for i := range ids {
		row := c.row(i)
		c.halves[i] = distance.Dot(row, row) / 2
	}
	return c
}

func (c *Centroids) row(i int) []float32 { return c.rows[i*c.dim : (i+1)*c.dim] }

// Len is the number of centroids.
func (c *Centroids) Len() int { return len(c.ids) }

// IDs are the neighbourhoods' ids. They must not be changed.
func (c *Centroids) IDs() []uint32 { return c.ids }

// Row is the centroid in place i. It must not be changed.
func (c *Centroids) Row(i int) []float32 { return c.row(i) }

// Nearest is the id of the neighbourhood to which vector belongs: that of the
// nearest centroid, by angle under Cosine and by euclidean distance else. Under
// Cosine vector has length 1. scratch has Len numbers, or is nil.
//
// Under DotProduct, too, vectors gather by euclidean distance, for the largest
// product is no way to gather: one long centroid would take everything.
func (c *Centroids) Nearest(vector, scratch []float32) uint32 {
	if scratch == nil {
		scratch = make([]float32, len(c.ids))
	}
	return c.ids[nearest(vector, c.rows, c.halves, scratch)]
}

// nearest minimises |c|²/2 - v·c, which orders like |v-c|².
func nearest(vector, rows, halves, scratch []float32) int {
	distance.DotRows(vector, rows, scratch)
	best := 0
	for i, dot := range scratch {
		scratch[i] = halves[i] - dot
		if scratch[i] < scratch[best] {
			best = i
		}
	}
	return best
}

// Order ranks all centroids for a query.
func (c *Centroids) Order(q *distance.Query) *Order {
	o := &Order{heap: make([]ranked, len(c.ids))}
	scores := make([]float32, len(c.ids))
	distance.DotRows(q.Vector(), c.rows, scores)
	for i, dot := range scores {
		score := -dot
		if c.metric != distance.DotProduct {
			score += c.halves[i]
		}
		o.heap[i] = ranked{score, c.ids[i]}
	}
	for i := len(o.heap)/2 - 1; i >= 0; i-- {
		o.sink(i)
	}
	return o
}

// First is the ids of the n nearest centroids to a query, nearest first.
func (c *Centroids) First(q *distance.Query, n int) []uint32 {
	return idsOf(c.first(q, n))
}

func (c *Centroids) first(q *distance.Query, n int) []ranked {
	order := c.Order(q)
	list := make([]ranked, max(0, min(n, c.Len())))
	for i := range list {
		list[i] = order.heap[0]
		order.Next()
	}
	return list
}

func idsOf(list []ranked) []uint32 {
	ids := make([]uint32, len(list))
	for i, r := range list {
		ids[i] = r.id
	}
	return ids
}

// score is that by which Order ranks the centroid in place i.
func (c *Centroids) score(q *distance.Query, i int) float32 {
	score := -distance.Dot(q.Vector(), c.row(i))
	if c.metric != distance.DotProduct {
		score += c.halves[i]
	}
	return score
}

type ranked struct {
	score float32
	id    uint32
}

func (a ranked) before(b ranked) bool {
	return a.score < b.score || a.score == b.score && a.id < b.id
}

func (a ranked) compare(b ranked) int {
	switch {
	case a.before(b):
		return -1
	case b.before(a):
		return 1
	}
	return 0
}

// Order yields neighbourhoods from the nearest on. It sorts only as far as it is
// asked, and belongs to one goroutine.
type Order struct {
	heap []ranked // least score on top
}

// Next is the next nearest neighbourhood; false when all were given.
func (o *Order) Next() (id uint32, ok bool) {
	if len(o.heap) == 0 {
		return 0, false
	}
	id = o.heap[0].id
	last := len(o.heap) - 1
	o.heap[0] = o.heap[last]
	o.heap = o.heap[:last]
	o.sink(0)
	return id, true
}

func (o *Order) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(o.heap) {
			return
		}
		if r := child + 1; r < len(o.heap) && o.heap[r].before(o.heap[child]) {
			child = r
		}
		if !o.heap[child].before(o.heap[i]) {
			return
		}
		o.heap[i], o.heap[child] = o.heap[child], o.heap[i]
		i = child
	}
}
