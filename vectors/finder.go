package vectors

import (
	"sync"

	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// finder tells where rows belong. It is the way of a query for the row itself, so that such a query looks there
// first.
type finder struct {
	search navigate.Search
	query  quantize.Query
}

var finders = sync.Pool{New: func() any { return new(finder) }}

func newFinder() *finder { return finders.Get().(*finder) }

func (f *finder) release() { finders.Put(f) }

// place is the neighbourhood of a directed vector, by its place among the centroids, and the cell.
func (f *finder) place(spec *Spec, a *navigate.Atlas, v []float32) (home, cell int) {
	f.query.Reset(spec.Metric, v)
	p := f.search.Gather(a, &f.query)
	return p.Home(), p.Cell()
}

// nearest is the one of cells; 0 where there are none.
func (f *finder) nearest(spec *Spec, c *quantize.Cells, v []float32) int {
	if c == nil {
		return 0
	}
	f.query.Reset(spec.Metric, v)
	return f.search.Cell(c, &f.query)
}
