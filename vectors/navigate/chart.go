package navigate

import (
	"math"
	"math/bits"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// chart tells the centroids that may be near to a query from those that are not, by codes of a bit a number (package quantize):
// to compare with all of them costs a query more than all else where there are thousands. It is made of leaves that are never
// changed, so that the next chart has all of them but those in which something moved.
type chart struct {
	encoder *quantize.Encoder
	centre  []float32 // which codes are relative to
	made    int       // how many centroids there were when the centre was chosen
	leaves  []*leaf
	places  []int32 // [len(leaves)][ChunkRows]: where the centroid is; -1: none
}

// leaf is up to ChunkRows centroids.
type leaf struct {
	ids   []uint32
	codes []byte
}

const (
	chartLeast = 1024 // centroids; fewer are compared with one by one, which takes no longer
	chartShare = 4    // of the centroids: a search that wants more compares with all
	chartBound = 2    // standard errors that an estimate is believed to be too large by at most
)

// After is New where old are the centroids that there were before, nil: none. Both lists of ids ascend. What stayed as it was
// is not coded again.
func After(old *Centroids, metric distance.Metric, dim int, ids []uint32, rows []float32) *Centroids {
	c := New(metric, dim, ids, rows)
	if c.Len() < chartLeast {
		return c
	}
	if old == nil || old.chart == nil || c.Len() > 2*old.chart.made || 2*c.Len() < old.chart.made {
		c.chart = newChart(c)
		return c
	}
	c.chart = old.chart.after(old, c)
	return c
}

func newChart(c *Centroids) *chart {
	centre := make([]float32, c.dim)
	for i := range c.ids {
		distance.Add(centre, c.row(i))
	}
	distance.Scale(centre, 1/float32(c.Len()))
	ch := &chart{encoder: quantize.NewEncoder(c.metric, centre), centre: centre, made: c.Len()}
	ch.add(c, slices.Clone(c.ids))
	ch.place(c)
	return ch
}

// after is the chart of now, which followed then.
func (ch *chart) after(then, now *Centroids) *chart {
	next := &chart{encoder: quantize.NewEncoder(now.metric, ch.centre), centre: ch.centre, made: ch.made}
	known := make([]bool, now.Len())
	same := func(id uint32) (place int, ok bool) {
		place, ok = slices.BinarySearch(now.ids, id)
		if !ok {
			return 0, false
		}
		was, _ := slices.BinarySearch(then.ids, id)
		return place, slices.Equal(now.row(place), then.row(was))
	}
	for _, l := range ch.leaves {
		whole := len(l.ids) == quantize.ChunkRows
		for _, id := range l.ids {
			_, ok := same(id)
			whole = whole && ok
		}
		if !whole {
			continue
		}
		next.leaves = append(next.leaves, l)
		for _, id := range l.ids {
			place, _ := same(id)
			known[place] = true
		}
	}
	var rest []uint32
	for i, id := range now.ids {
		if !known[i] {
			rest = append(rest, id)
		}
	}
	next.add(now, rest)
	next.place(now)
	return next
}

// add makes leaves of centroids.
func (ch *chart) add(c *Centroids, ids []uint32) {
	width := quantize.Width(c.dim)
	for some := range slices.Chunk(ids, quantize.ChunkRows) {
		l := &leaf{ids: slices.Clone(some), codes: make([]byte, quantize.ChunkBytes(width))}
		for at, id := range some {
			place, _ := slices.BinarySearch(c.ids, id)
			ch.encoder.EncodeSigns(c.row(place), 1, l.codes, at)
		}
		quantize.Fill(l.codes, width, len(some))
		ch.leaves = append(ch.leaves, l)
	}
}

func (ch *chart) place(c *Centroids) {
	ch.places = make([]int32, len(ch.leaves)*quantize.ChunkRows)
	for i := range ch.places {
		ch.places[i] = -1
	}
	for i, l := range ch.leaves {
		for at, id := range l.ids {
			place, _ := slices.BinarySearch(c.ids, id)
			ch.places[i*quantize.ChunkRows+at] = int32(place)
		}
	}
}

// charts reports whether the chart serves a search for n neighbourhoods.
func (c *Centroids) charts(n int) bool { return c.chart != nil && n*chartShare <= c.Len() }

// charted puts the n nearest neighbourhoods in order, of those that the chart does not rule out.
func (s *Search) charted(a *Atlas, q *quantize.Query, n int) []uint64 {
	ch := a.centroids.chart
	s.begin(a.centroids.Len())
	s.estimateHomes(ch, q, n+n/2+quantize.ChunkRows)
	for _, f := range s.found {
		s.scoreHome(a, q, ch.places[uint32(f)>>8])
	}
	least(s.homes, n)
	limit := a.ofHome(q, scoreOf(uint32(slices.Max(s.homes[:n])>>32)))
	for slot, end := range s.ends {
		if end < limit && s.marks[ch.places[slot]] != s.serial {
			s.scoreHome(a, q, ch.places[slot])
		}
	}
	s.held = len(s.homes)
	return s.firstHomes(n)
}

// begin forgets what was asked of other neighbourhoods, or by another query.
func (s *Search) begin(homes int) {
	s.homes = s.homes[:0]
	s.dots, s.marks = slices.Grow(s.dots[:0], homes)[:homes], slices.Grow(s.marks[:0], homes)[:homes]
	s.some = true
	if s.serial++; s.serial == 0 {
		clear(s.marks[:cap(s.marks)])
		s.serial = 1
	}
}

// estimateHomes takes the lower ends of all estimates, and finds the n least of them by slot of the chart.
func (s *Search) estimateHomes(ch *chart, q *quantize.Query, n int) {
	s.ends = slices.Grow(s.ends[:0], len(ch.places))[:len(ch.places)]
	s.found, s.limit = s.found[:0], float32(math.Inf(1))
	probe := q.Away(distance.L2(q.Vector(), ch.centre))
	for i, l := range ch.leaves {
		first := i * quantize.ChunkRows
		ends := (*[quantize.ChunkRows]float32)(s.ends[first:])
		for mask := probe.Scan(l.codes, chartBound, s.limit, ends); mask != 0; mask &= mask - 1 {
			at := bits.TrailingZeros32(mask)
			s.offer(ends[at], first+at, 0, n)
		}
	}
	s.cut(n)
}

func (s *Search) scoreHome(a *Atlas, q *quantize.Query, place int32) {
	score := -s.dot(a.centroids, q, int(place))
	if a.centroids.metric != distance.DotProduct {
		score += a.centroids.halves[place]
	}
	s.homes = append(s.homes, uint64(bitsOf(score))<<32|uint64(place))
}

// dot of the query with a centroid; rank finds those of all.
func (s *Search) dot(c *Centroids, q *quantize.Query, place int) float32 {
	if s.some && s.marks[place] != s.serial {
		s.dots[place], s.marks[place] = distance.Dot(q.Vector(), c.row(place)), s.serial
	}
	return s.dots[place]
}
