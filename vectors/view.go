package vectors

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// view is one manifest of an index with the tail that came after it. A publish
// makes the next view; until then a view only grows, by joining pushes. Growing
// parts are guarded by opened.mu.
type view struct {
	upkeep        upkeepRecord
	upkeepVersion uint64              // of its key; 0: absent
	centroids     *navigate.Centroids // nil while the index is young
	atlas         *navigate.Atlas     // likewise
	homes         map[uint32]*home
	byPlace       []*home // as centroids have them
	segments      map[uint64]*segmentFile
	rowFiles      []*rowFile
	superseded    []uint64 // ids that are still in segments
	rows          int      // in segments, the superseded among them
	text          textNotes
	spreads       spreads

	tail      []*push           // grows; oldest first
	deltas    map[uint32][]ref  // grows; the tail's rows by neighbourhood; without centroids all are in 0
	loose     []ref             // grows; those whose neighbourhood is not known: every query compares with them
	dead      map[uint64]uint64 // grows; superseded ids and the entry that told so
	tailRows  int
	tailBytes int64
}

// home is a neighbourhood in memory.
type home struct {
	id       uint32
	floor    uint64 // sequence of the first segment that counts
	centroid []float32
	parts    []part          // oldest first; set by settle, never changed
	rows     int             // in parts
	cells    *quantize.Cells // nil: its rows are in none
	celled   int             // which of the parts has rows by cell, where there are cells
	place    int             // among the centroids; set by settle
}

// part is one block of a neighbourhood.
type part struct {
	file  *segmentFile
	entry segment.Entry
	held  *held
	first int // its first row among those of the file
}

// held is a part's block while the cache has it: the way to it without a lock.
type held struct {
	block  atomic.Pointer[segment.Block]
	wished atomic.Bool // it is a front, and waits to be made whole
	used   atomic.Bool // since the cache last looked for something to drop

	radius atomic.Uint32 // float32 bits of how far its rows lie from the centroid at most; 0: not known yet
}

// segmentFile is a segment's place and directory.
type segmentFile struct {
	inc     incarnation
	seq     uint64
	blob    objects.Blob
	lexicon lexiconFile
	entries []segment.Entry
	held    []held                           // of the entries
	firsts  []int                            // of each entry: how many rows come before
	cells   []atomic.Pointer[quantize.Cells] // of the entries that have some, opened
	rows    int
	born    []*segment.Block // of the entries, for the cache of the engine that wrote them; nil: it has them, or has to read them
}

// cellsOf are the cells of an entry, which belongs to the neighbourhood around centroid; nil: it has none.
func (s *segmentFile) cellsOf(i int, metric distance.Metric, centroid []float32) *quantize.Cells {
	if s.entries[i].Cells == nil {
		return nil
	}
	if c := s.cells[i].Load(); c != nil {
		return c
	}
	c := quantize.OpenCells(metric, centroid, s.entries[i].Cells)
	s.cells[i].Store(c)
	return c
}

func newSegmentFile(inc incarnation, seq uint64, blob objects.Blob, words lexiconFile, entries []segment.Entry, rows int) *segmentFile {
	s := &segmentFile{inc: inc, seq: seq, blob: blob, lexicon: words, entries: entries, held: make([]held, len(entries)), firsts: make([]int, len(entries)), cells: make([]atomic.Pointer[quantize.Cells], len(entries)), rows: rows}
	n := 0
	for i := range entries {
		s.firsts[i] = n
		n += int(entries[i].Rows)
	}
	return s
}

// push is one entry of the tail: rows that were put, ids that are superseded.
type push struct {
	key        string         // of its record
	version    uint64         // of the entry that committed it
	block      *segment.Block // nil: a delete
	superseded []uint64
	under      *navigate.Centroids // which its rows' neighbourhoods are the nearest of; nil: unknown

	lexicon    sync.Once // makes what follows
	made       *made
	lexiconErr error
	choice     atomic.Pointer[pushChoice]

	sketching sync.Once // makes the sketch
	sketch    *sketch
}

func (p *push) rows() int {
	if p.block == nil {
		return 0
	}
	return p.block.Len()
}

func (p *push) bytes() int64 {
	n := int64(128 + 8*len(p.superseded))
	if p.block != nil {
		n += int64(p.block.Bytes())
	}
	return n
}

// ref is one row of the tail.
type ref struct {
	push *push
	row  int
}

func emptyView() *view {
	return &view{homes: map[uint32]*home{}, segments: map[uint64]*segmentFile{}, deltas: map[uint32][]ref{}, dead: map[uint64]uint64{}}
}

// join adds a push to the tail.
func (v *view) join(spec *Spec, p *push) {
	v.tail = append(v.tail, p)
	v.tailRows += p.rows()
	v.tailBytes += p.bytes()
	for _, id := range p.superseded {
		v.dead[id] = p.version
	}
	stale := v.centroids != nil && p.under != v.centroids // neighbourhoods were given with others in sight
	for i := range p.rows() {
		id := p.block.Neighbourhoods()[i]
		switch {
		case stale && len(v.loose) < looseMax:
			v.loose = append(v.loose, ref{p, i})
			continue
		case stale || v.homes[id] == nil:
			id = v.nearest(spec, p.block, i)
		}
		v.deltas[id] = append(v.deltas[id], ref{p, i})
	}
}

// nearest is the neighbourhood of row i; 0 while there is none.
func (v *view) nearest(spec *Spec, b *segment.Block, i int) uint32 {
	if v.centroids == nil {
		return 0
	}
	f := newFinder()
	defer f.release()
	home, _ := f.place(spec, v.atlas, directed(spec, b.Vector(i), b.Inverse(i)))
	return v.centroids.IDs()[home]
}

// directed is the vector as centroids see it: of length 1 under Cosine.
func directed(spec *Spec, v []float32, inverse float32) []float32 {
	if spec.Metric != distance.Cosine {
		return v
	}
	v = slices.Clone(v)
	distance.Scale(v, inverse)
	return v
}

// next is the view after a structural change. v must not grow meanwhile.
func (v *view) next(spec *Spec, d *delta) *view {
	n := &view{
		upkeep: v.upkeep, upkeepVersion: v.upkeepVersion, superseded: v.superseded, centroids: v.centroids,
		homes: maps.Clone(v.homes), segments: maps.Clone(v.segments),
		rowFiles: withRowFiles(v.rowFiles, d),
	}
	if d.upkeep != nil {
		n.upkeep, n.upkeepVersion = *d.upkeep, d.version
	}
	if d.superseded != nil {
		n.superseded = *d.superseded
	}
	for seq, s := range d.segments {
		n.segments[seq] = s
		if s == nil {
			delete(n.segments, seq)
		}
	}
	moved := n.takeHomes(spec, d)
	n.settle(spec.Metric)
	n.takeTail(spec, v, d, moved)
	return n
}

// takeHomes applies what the delta says of neighbourhoods, and returns which
// ones have a new centroid, or none any more.
func (n *view) takeHomes(spec *Spec, d *delta) map[uint32]bool {
	moved := map[uint32]bool{}
	old := n.homes
	if d.clearHomes {
		n.homes = map[uint32]*home{}
	}
	for id, h := range d.homes {
		n.homes[id] = h
		if h == nil {
			delete(n.homes, id)
		}
	}
	for id := range d.homes {
		moved[id] = true
	}
	for id := range old {
		moved[id] = moved[id] || n.homes[id] == nil
	}
	if len(moved) > 0 {
		n.centroids = gatherCentroids(spec, n.homes, n.centroids)
	}
	moved[0] = true // where rows wait as long as there is no centroid
	return moved
}

// gatherCentroids takes those of neighbourhoods; old are others, many of which may be the same, or nil.
func gatherCentroids(spec *Spec, homes map[uint32]*home, old *navigate.Centroids) *navigate.Centroids {
	if len(homes) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(homes))
	rows := make([]float32, 0, len(ids)*spec.Dimension)
	for _, id := range ids {
		rows = append(rows, homes[id].centroid...)
	}
	return navigate.After(old, spec.Metric, spec.Dimension, ids, rows)
}

// settle finds the blocks of every neighbourhood.
func (n *view) settle(metric distance.Metric) {
	for id, h := range n.homes {
		n.homes[id] = &home{id: id, floor: h.floor, centroid: h.centroid}
	}
	n.rows = 0
	for _, seq := range slices.Sorted(maps.Keys(n.segments)) {
		s := n.segments[seq]
		for i, entry := range s.entries {
			if h := n.homes[entry.Neighbourhood]; h != nil && seq >= h.floor {
				if c := s.cellsOf(i, metric, h.centroid); c != nil {
					h.cells, h.celled = c, len(h.parts)
				}
				h.parts = append(h.parts, part{s, entry, &s.held[i], s.firsts[i]})
				h.rows += int(entry.Rows)
				n.rows += int(entry.Rows)
			}
		}
	}
	n.atlas, n.byPlace = atlasOf(n.centroids, n.homes)
	for i, h := range n.byPlace {
		h.place = i
	}
}

// places is how many cells there are, and neighbourhoods without cells.
func (v *view) places() int {
	if v.atlas == nil {
		return 0
	}
	return v.atlas.Places()
}

// atlasOf also lists the neighbourhoods as the centroids have them.
func atlasOf(c *navigate.Centroids, homes map[uint32]*home) (*navigate.Atlas, []*home) {
	if c == nil {
		return nil, nil
	}
	list, cells := make([]*home, c.Len()), make([]*quantize.Cells, c.Len())
	for i, id := range c.IDs() {
		list[i], cells[i] = homes[id], homes[id].cells
	}
	return navigate.NewAtlas(c, cells), list
}

// withRowFiles puts moved row files in their old places, and adds new ones.
func withRowFiles(old []*rowFile, d *delta) []*rowFile {
	list := slices.Clone(old)
	for _, f := range d.movedRowFiles {
		if at := rowFileFrom(list, f.file.FirstID); at >= 0 {
			list[at] = f
		}
	}
	return append(list, d.rowFiles...)
}

// rowFileFrom finds a row file by its first id, which no other has.
func rowFileFrom(list []*rowFile, first uint64) int {
	return slices.IndexFunc(list, func(f *rowFile) bool { return f.file.FirstID == first })
}

// sortedHomes are the neighbourhoods by id.
func (v *view) sortedHomes() []*home {
	list := slices.Collect(maps.Values(v.homes))
	slices.SortFunc(list, func(a, b *home) int { return cmp.Compare(a.id, b.id) })
	return list
}
