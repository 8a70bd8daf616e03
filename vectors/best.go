package vectors

import (
	"slices"

	"github.com/tarnlake/tarn/vectors/segment"
)

// found is a row on its way into an answer.
type found struct {
	distance float32
	id       uint64
	block    *segment.Block
	row      int
	from     *part     // where the block lies; nil: in the tail, or it is whole
	vector   []float32 // of a row of which only the front is in memory
}

func (a *found) after(b *found) bool {
	return a.distance > b.distance || a.distance == b.distance && a.id > b.id
}

// best keeps the k nearest rows: a heap with the farthest on top.
type best struct {
	k      int
	within *float32 // nil: however far
	found  []found
}

// wants reports whether a row at this distance would be kept.
func (b *best) wants(distance float32, id uint64) bool {
	if b.within != nil && distance > *b.within {
		return false
	}
	if len(b.found) < b.k {
		return true
	}
	top := &b.found[0]
	return distance < top.distance || distance == top.distance && id < top.id
}

// add keeps a row that is wanted.
func (b *best) add(f found) {
	if len(b.found) < b.k {
		b.found = append(b.found, f)
		b.rise(len(b.found) - 1)
		return
	}
	b.found[0] = f
	b.sink(0)
}

func (b *best) rise(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !b.found[i].after(&b.found[parent]) {
			return
		}
		b.found[i], b.found[parent] = b.found[parent], b.found[i]
		i = parent
	}
}

func (b *best) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(b.found) {
			return
		}
		if r := child + 1; r < len(b.found) && b.found[r].after(&b.found[child]) {
			child = r
		}
		if !b.found[child].after(&b.found[i]) {
			return
		}
		b.found[i], b.found[child] = b.found[child], b.found[i]
		i = child
	}
}

// sorted gives the rows, the nearest first. The heap is used up.
func (b *best) sorted() []found {
	slices.SortFunc(b.found, func(x, y found) int {
		switch {
		case y.after(&x):
			return -1
		case x.after(&y):
			return 1
		}
		return 0
	})
	return b.found
}
