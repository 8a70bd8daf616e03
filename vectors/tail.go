package vectors

import (
	"context"
	"maps"
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/navigate"
)

// Rows of the tail wait in the neighbourhood that is nearest now, where a query looks for them. A step of upkeep that
// makes or moves neighbourhoods finds those of the rows that wait before it publishes, and hands them to the follower: 8 µs a row of
// 384 numbers, some 300 ms of a long tail, in which no push and no query would be answered. Rows that it did
// not see, pushed while it was published, are loose until the next step: a query compares with each.

// looseMax bounds them; those above it get their place when they join. 4,096 of 384 numbers take 0.2 ms a query.
const looseMax = 4096

// tailPlaces are the neighbourhoods of rows that wait, after a step.
type tailPlaces struct {
	file *segmentFile // which that step wrote: an entry without it is of another one
	of   map[*push][]uint32
}

// places of a push's rows; nil: unknown.
func (d *delta) placesOf(p *push) []uint32 {
	if t := d.places; t != nil && d.segments[t.file.seq] == t.file {
		return t.of[p]
	}
	return nil
}

// placeRounds is how often a step looks for rows that came while it placed others.
const placeRounds = 3

// placeTail finds where the rows that are not folded will wait.
func (s *stepping) placeTail(ctx context.Context, file *segmentFile) (*tailPlaces, error) {
	r := s.rehouse()
	defer r.release()
	t := &tailPlaces{file: file, of: map[*push][]uint32{}}
	for _, p := range s.pushes {
		t.of[p] = nil
	}
	for range placeRounds {
		tail, waiting := s.o.waiting()
		fresh := map[*push][]uint32{}
		for _, p := range tail {
			if _, known := t.of[p]; !known && p.block != nil {
				fresh[p] = make([]uint32, p.rows())
			}
		}
		for id, refs := range waiting {
			for _, ref := range refs {
				if places := fresh[ref.push]; places != nil {
					places[ref.row] = id
				}
			}
		}
		for p, places := range fresh {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r.move(p, places)
			t.of[p] = places
		}
	}
	return t, nil
}

// waiting are the pushes of the tail, and where their rows wait now.
func (o *opened) waiting() ([]*push, map[uint32][]ref) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Clip(o.mu.view.tail), maps.Clone(o.mu.view.deltas)
}

// rehousing finds anew where rows of the tail wait, once a step has made, moved and removed neighbourhoods.
type rehousing struct {
	*finder
	spec    *Spec
	atlas   *navigate.Atlas
	homes   map[uint32]*home
	seq     uint64              // floor of those that the step made or moved
	changed *navigate.Centroids // these; nil: there are none
	scratch []float32
}

func (s *stepping) rehouse() *rehousing {
	changed := maps.Clone(s.homes)
	maps.DeleteFunc(changed, func(_ uint32, h *home) bool { return h.floor != s.seq })
	r := &rehousing{finder: newFinder(), spec: &s.o.rec.spec, atlas: navigate.NewAtlas(s.centroids, s.placed.cells), homes: s.homes, seq: s.seq}
	if r.changed = gatherCentroids(r.spec, changed, nil); r.changed != nil {
		r.scratch = make([]float32, r.changed.Len())
	}
	return r
}

// move takes the neighbourhoods that the rows of a push wait in, 0 where that is not known, to those that they will wait in. All but
// those that wait in or near to one that was changed stay, so that a step costs the same however many others there are.
func (r *rehousing) move(p *push, places []uint32) {
	for i, id := range places {
		v := directed(r.spec, p.block.Vector(i), p.block.Inverse(i))
		if !r.stays(v, r.homes[id]) {
			home, _ := r.place(r.spec, r.atlas, v)
			places[i] = r.atlas.Centroids().IDs()[home]
		}
	}
}

// stays reports whether a row's neighbourhood is as it was, and none of those that were changed is nearer.
func (r *rehousing) stays(v []float32, own *home) bool {
	if own == nil || own.floor == r.seq {
		return false
	}
	return r.changed == nil || distance.L2(v, own.centroid) <= distance.L2(v, r.homes[r.changed.Nearest(v, r.scratch)].centroid)
}

// moves reports whether a step makes, moves or removes neighbourhoods.
func (s *stepping) moves() bool { return len(s.homes) > 0 && len(s.p.homes) > 0 || s.p.build }

// takeTail moves on what was not folded. Rows whose neighbourhood moved, or to which another is nearer now, are
// given to the one that the step found for them.
func (n *view) takeTail(spec *Spec, old *view, d *delta, moved map[uint32]bool) {
	n.dead = make(map[uint64]uint64, len(n.superseded))
	n.deltas = make(map[uint32][]ref, len(old.deltas))
	for _, id := range n.superseded {
		n.dead[id] = old.dead[id] // 0, which is always, for one that was not known here
	}
	folded := map[*push]bool{}
	for _, p := range old.tail {
		if d.folded[p.key] {
			folded[p] = true
			continue
		}
		n.tail = append(n.tail, p)
		n.tailRows += p.rows()
		n.tailBytes += p.bytes()
		for _, id := range p.superseded {
			n.dead[id] = p.version
		}
	}
	var homeless []ref
	for id, refs := range old.deltas {
		for _, r := range refs {
			switch places := d.placesOf(r.push); {
			case folded[r.push]:
			case places != nil:
				n.wait(places[r.row], r)
			case moved[id] || d.places != nil || n.nearer(spec, d, id, r):
				homeless = append(homeless, r)
			default:
				n.wait(id, r)
			}
		}
	}
	for _, r := range old.loose {
		switch places := d.placesOf(r.push); {
		case folded[r.push]:
		case places != nil:
			n.wait(places[r.row], r)
		default:
			homeless = append(homeless, r)
		}
	}
	n.takeIn(spec, homeless)
}

func (v *view) wait(id uint32, r ref) { v.deltas[id] = append(v.deltas[id], r) }

// takeIn leaves rows loose as long as they are few.
func (n *view) takeIn(spec *Spec, homeless []ref) {
	for _, r := range homeless {
		if n.centroids != nil && len(n.loose) < looseMax {
			n.loose = append(n.loose, r)
			continue
		}
		n.wait(n.nearest(spec, r.push.block, r.row), r)
	}
}

// nearer reports whether a neighbourhood that the delta made or moved is nearer to a row of the tail than
// the one that it waits in: a query would look for it there.
func (n *view) nearer(spec *Spec, d *delta, id uint32, r ref) bool {
	own := n.homes[id]
	if own == nil || len(d.homes) == 0 {
		return false
	}
	v := directed(spec, r.push.block.Vector(r.row), r.push.block.Inverse(r.row))
	least := distance.L2(v, own.centroid)
	for _, h := range d.homes {
		if h != nil && distance.L2(v, h.centroid) < least {
			return true
		}
	}
	return false
}
