package vectors

import (
	"sync"

	"github.com/tarnlake/tarn/vectors/quantize"
)

// sketch has the rows of a push in a byte a number, around the origin. A query reads these first, a quarter of what
// the full numbers are, and the full ones only of rows that it cannot rule out: the bound is certain (quantize.Probe.Sure),
// so that what it finds in the tail is what comparing with all of it would find.
type sketch struct {
	width int
	wide  []int8
	sums  []sketchSums
}

// sketchSums are the factors of a row's bytes.
type sketchSums struct{ add, mul float32 }

// sketched makes the sketch when first asked: by who pushes, else by the first query.
func (p *push) sketched(spec *Spec) *sketch {
	p.sketching.Do(func() { p.sketch = newSketch(spec, p) })
	return p.sketch
}

func newSketch(spec *Spec, p *push) *sketch {
	n, width := p.block.Len(), quantize.Width(spec.Dimension)
	k := &sketch{width: width, wide: make([]int8, n*width), sums: make([]sketchSums, n)}
	e := quantize.NewEncoder(spec.Metric, make([]float32, spec.Dimension))
	for i := range k.sums {
		k.sums[i].add, k.sums[i].mul = e.EncodeWide(p.block.Vector(i), p.block.Inverse(i), k.row(i))
	}
	return k
}

func (k *sketch) row(i int) []int8 { return k.wide[i*k.width:][:k.width] }

// sketchAhead is how many rows before it is looked at a row of a list is asked for.
const sketchAhead = 4

// afar is a query as seen from where sketches are around.
type afar struct {
	query quantize.Query
	probe quantize.Probe
}

var afars = sync.Pool{New: func() any { return new(afar) }}

// fromAfar prepares to compare with sketches; the function that it returns ends that.
func (s *scan) fromAfar() (done func()) {
	o := afars.Get().(*afar)
	o.query.Reset(s.o.rec.spec.Metric, s.query.Vector())
	o.probe = o.query.Away(o.query.Square())
	s.afar = o
	return func() { s.afar = nil; afars.Put(o) }
}

// ruledOut reports whether a row of a push certainly is in no answer, and need not be counted either.
func (s *scan) ruledOut(p *push, i int) bool {
	if s.matches < s.needed || s.afar == nil {
		return false
	}
	k := p.sketched(&s.o.rec.spec)
	return !s.best.wants(s.afar.probe.Sure(k.row(i), k.sums[i].add, k.sums[i].mul), 0)
}

// pushed compares with all rows of a push.
func (s *scan) pushed(p *push) {
	for i := range p.rows() {
		s.pushedRow(p, i)
	}
}

func (s *scan) pushedRow(p *push, i int) {
	s.explain.Scanned++
	if !s.ruledOut(p, i) {
		s.consider(p.block, i, s.query.Row(p.block.Vector(i), p.block.Inverse(i)))
	}
}
