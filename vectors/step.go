package vectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/segment"
)

// stepping is a step of upkeep under way.
type stepping struct {
	o       *opened
	m       *moment
	p       *plan
	rng     *rand.Rand
	pushes  []*push         // of the tail, oldest first: those that are folded
	dead    map[uint64]bool // superseded by what is in segments or folded
	gone    map[uint64]bool // of these: found, and left out
	lost    uint64          // of these: from neighbourhoods
	rows    []segment.Row   // all that was taken
	fresh   []segment.Row   // of these: from the tail
	origins []origin        // of each row

	seq       uint64 // of the new segment
	next      upkeepRecord
	homes     map[uint32]*home // after the step
	centroids *navigate.Centroids
	placed    *placing     // where rows go
	file      *segmentFile // what is written; nil: nothing
	txn       index.Txn
}

// origin is the neighbourhood that a row was in, 0 for the tail, and the cell that it keeps; -1: none.
type origin struct {
	home uint32
	cell int
}

// step carries out a plan and publishes it in one transaction. A crash before the
// commit leaves everything as it was.
func (o *opened) step(ctx context.Context, m *moment, p *plan) (index.Position, error) {
	rng, err := o.random()
	if err != nil {
		return "", err
	}
	s := &stepping{o: o, m: m, p: p, rng: rng, next: m.upkeep, gone: map[uint64]bool{}}
	s.seq = max(m.upkeep.nextSegment, 1)
	s.next.nextSegment = s.seq + 1
	s.next.nextNeighbourhood = max(s.next.nextNeighbourhood, 1)
	if err := s.gather(ctx); err != nil {
		return "", err
	}
	if useful, err := s.recentre(ctx); err != nil || !useful {
		return "", err
	}
	if s.placed, err = s.place(ctx); err != nil {
		return "", err
	}
	return s.publish(ctx)
}

// gather takes the rows of the tail and of the plan's neighbourhoods, without
// those that are superseded.
//
// Only deaths that are told by what is folded, or were told before, count: then
// every superseded id is dropped together with its row, exactly once.
func (s *stepping) gather(ctx context.Context) error {
	if s.p.tail {
		s.pushes = s.m.tail[:min(len(s.m.tail), stepPushesMax)]
	}
	s.dead = make(map[uint64]bool, len(s.m.superseded))
	for _, id := range s.m.superseded {
		s.dead[id] = true
	}
	for _, p := range s.pushes {
		for _, id := range p.superseded {
			s.dead[id] = true
		}
	}
	for _, p := range s.pushes {
		if p.block != nil {
			s.takeBlock(p.block, 0, false)
		}
	}
	s.fresh = slices.Clone(s.rows)
	for _, id := range s.p.homes {
		blocks, _, err := s.o.e.cache.wholes(ctx, s.m.homes[id].parts)
		if err != nil {
			return err
		}
		for i, b := range blocks {
			s.takeBlock(b, id, !s.p.build && s.m.homes[id].cells != nil && i == s.m.homes[id].celled)
		}
	}
	return nil
}

func (s *stepping) takeBlock(b *segment.Block, from uint32, celled bool) {
	for i, id := range b.IDs() {
		if s.dead[id] {
			s.gone[id] = true
			if from != 0 {
				s.lost++
			}
			continue
		}
		s.rows = append(s.rows, b.Row(i))
		at := origin{from, -1}
		if celled {
			at.cell = b.CellOf(i)
		}
		s.origins = append(s.origins, at)
	}
}

// recentre decides which centroids there are after the step. It is not useful
// where a neighbourhood that should be divided does not divide.
func (s *stepping) recentre(ctx context.Context) (useful bool, err error) {
	s.homes = maps.Clone(s.m.homes)
	spec := &s.o.rec.spec
	if s.p.build {
		clear(s.homes)
		k := min(s.o.homesFor(len(s.rows)), buildHomesMax, buildEntryMax/(4*spec.Dimension+128))
		if err := s.cluster(ctx, s.rows, k); err != nil {
			return false, err
		}
		s.next.builtRows = uint64(len(s.rows))
	}
	for _, id := range s.p.remove {
		delete(s.homes, id)
	}
	for _, id := range s.p.divide {
		if err := s.divide(ctx, id); err != nil {
			return false, err
		}
	}
	if len(s.p.divide) > 0 && !s.p.polish && len(s.homes) == len(s.m.homes) && len(s.gone) == 0 {
		return false, nil
	}
	s.centroids = gatherCentroids(spec, s.homes, s.m.centroids)
	return true, nil
}

// cluster adds new neighbourhoods for rows.
func (s *stepping) cluster(ctx context.Context, rows []segment.Row, k int) error {
	if len(rows) == 0 {
		return nil
	}
	centroids, err := s.centroidsOf(ctx, rows, k)
	if err != nil {
		return err
	}
	dim := s.o.rec.spec.Dimension
	for c := range slices.Chunk(centroids, dim) {
		id := s.next.nextNeighbourhood
		s.next.nextNeighbourhood++
		s.homes[id] = &home{id: id, floor: s.seq, centroid: c}
	}
	return nil
}

func (s *stepping) centroidsOf(ctx context.Context, rows []segment.Row, k int) ([]float32, error) {
	spec := &s.o.rec.spec
	matrix := make([]float32, 0, len(rows)*spec.Dimension)
	for i := range rows {
		matrix = append(matrix, directed(spec, rows[i].Vector, rows[i].Inverse)...)
	}
	return navigate.Cluster(ctx, spec.Metric, matrix, spec.Dimension, k, s.rng)
}

// dividesMax bounds how often a division is tried, each time with one centroid more: a few rows far away
// keep one for themselves, and two centroids then do not divide the rest.
const dividesMax = 4

// divide puts several centroids in the place of one, unless few enough rows are
// alive, or nearly all of them would follow a single new centroid.
func (s *stepping) divide(ctx context.Context, id uint32) error {
	var rows []segment.Row
	for i := range s.rows {
		if s.origins[i].home == id {
			rows = append(rows, s.rows[i])
		}
	}
	if len(rows) <= 2*s.o.e.o.Tuning.Target {
		return nil
	}
	for try := range dividesMax {
		centroids, err := s.centroidsOf(ctx, rows, max(2, s.o.homesFor(len(rows)))+try)
		if err != nil {
			return err
		}
		if c, sizes := s.divided(rows, centroids); slices.Max(sizes)*10 <= len(rows)*9 {
			s.replace(id, c, sizes)
			return nil
		}
	}
	s.o.upkeep.hold(id, len(rows))
	return nil
}

// divided counts the rows that would follow each of some centroids.
func (s *stepping) divided(rows []segment.Row, centroids []float32) (*navigate.Centroids, []int) {
	spec := &s.o.rec.spec
	ids := make([]uint32, len(centroids)/spec.Dimension)
	for i := range ids {
		ids[i] = uint32(i)
	}
	c, sizes := navigate.New(spec.Metric, spec.Dimension, ids, centroids), make([]int, len(ids))
	for i := range rows {
		sizes[c.Nearest(directed(spec, rows[i].Vector, rows[i].Inverse), nil)]++
	}
	return c, sizes
}

// replace puts the centroids that rows would follow in the place of a neighbourhood's.
func (s *stepping) replace(id uint32, c *navigate.Centroids, sizes []int) {
	delete(s.homes, id)
	for i, size := range sizes {
		if size > 0 {
			s.homes[s.next.nextNeighbourhood] = &home{id: s.next.nextNeighbourhood, floor: s.seq, centroid: c.Row(i)}
			s.next.nextNeighbourhood++
		}
	}
}

// publish writes the segment and the row file, and commits.
func (s *stepping) publish(ctx context.Context) (index.Position, error) {
	o := s.o
	s.txn.Conditions = []index.Condition{
		{Kind: index.KeyVersion, Key: recordKey(o.bucket, o.rec.spec.Name), Version: o.recVersion},
		o.upkeepCondition(s.m.view),
	}
	if err := s.writeSegment(ctx); err != nil {
		return "", err
	}
	if err := s.writeRows(ctx); err != nil {
		return "", err
	}
	if err := s.writeSuperseded(ctx); err != nil {
		return "", err
	}
	s.changeHomes()
	s.notePolish()
	for _, p := range s.pushes {
		s.delete([]byte(p.key))
	}
	s.dropSegments()
	if err := s.putUpkeep(ctx); err != nil {
		return "", err
	}
	res, err := o.e.commit(ctx, s.txn)
	return res.Position, err
}

// putUpkeep also hands the new places of rows that wait to the follower.
func (s *stepping) putUpkeep(ctx context.Context) error {
	key := s.o.keys.key(keyUpkeep, "")
	value := s.put(key, nil, s.next.encode())
	if s.file == nil || !s.moves() {
		return nil
	}
	t, err := s.placeTail(ctx, s.file)
	if err != nil {
		return err
	}
	s.o.e.handover.give(key, value, t, 1)
	return nil
}

// upkeepCondition lets only one of several publishers win.
func (o *opened) upkeepCondition(v *view) index.Condition {
	key := o.keys.key(keyUpkeep, "")
	if v.upkeepVersion == 0 {
		return index.Condition{Kind: index.KeyAbsent, Key: key}
	}
	return index.Condition{Kind: index.KeyVersion, Key: key, Version: v.upkeepVersion}
}

func (s *stepping) put(key []byte, blobs []objects.Blob, payload []byte) []byte {
	value := objects.EncodeValue(blobs, payload)
	s.txn.Mutations = append(s.txn.Mutations, index.Mutation{Kind: index.Put, Key: key, Value: value})
	return value
}

func (s *stepping) delete(key []byte) {
	s.txn.Mutations = append(s.txn.Mutations, index.Mutation{Kind: index.Delete, Key: key})
}

// writeSegment writes every row to the place that it was given.
func (s *stepping) writeSegment(ctx context.Context) error {
	if len(s.rows) == 0 {
		return nil
	}
	spec := &s.o.rec.spec
	b := segment.Builder{Sequence: s.seq, Dimension: spec.Dimension, Metric: spec.Metric}
	if err := s.placed.write(&b); err != nil {
		return err
	}
	data, head := b.Finish()
	blob, err := s.o.e.o.Store.WriteBlob(ctx, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("write segment %d of %d bytes: %w", s.seq, len(data), err)
	}
	entries, err := segment.Directory(data[:head], s.seq, int64(len(data)))
	if err != nil {
		return fmt.Errorf("read back the directory of segment %d: %w", s.seq, err)
	}
	blocks, err := blocksIn(data, entries)
	if err != nil {
		return fmt.Errorf("read back segment %d: %w", s.seq, err)
	}
	words, err := s.o.writeLexicon(ctx, entries, func(i int) (*segment.Block, error) { return blocks[i], nil })
	if err != nil {
		return fmt.Errorf("segment %d: %w", s.seq, err)
	}
	key := s.o.keys.segment(s.seq)
	value := s.put(key, []objects.Blob{blob, words.blob}, segmentRecord{head, len(s.rows), words.head}.encode())
	file := newSegmentFile(s.o.rec.inc, s.seq, blob, words, entries, len(s.rows))
	file.born = blocks
	s.o.e.handover.give(key, value, file, int64(len(entries)*entryBytes)) // blocks are not counted: there is one step at a time
	s.file = file
	return nil
}

// blocksIn opens the blocks of a segment, each in memory of its own: they leave it one by one.
func blocksIn(data []byte, entries []segment.Entry) ([]*segment.Block, error) {
	blocks := make([]*segment.Block, len(entries))
	for i, e := range entries {
		var err error
		if blocks[i], err = segment.OpenBlock(slices.Clone(data[e.Offset:][:e.Bytes])); err != nil {
			return nil, err
		}
	}
	return blocks, nil
}

// errMemory: the index in memory cannot be what the store holds. Nothing of it may be written.
var errMemory = errors.New("vectors: memory is wrong")

const entryBytes = 24 // of a directory entry in memory

// writeRows keeps the rows that come from the tail where others can read them.
func (s *stepping) writeRows(ctx context.Context) error {
	if len(s.fresh) == 0 {
		return nil
	}
	slices.SortFunc(s.fresh, func(a, b segment.Row) int { return compareVersions(a.ID, b.ID) })
	for i := range s.fresh[1:] {
		if id := s.fresh[i].ID; id == s.fresh[i+1].ID {
			return fmt.Errorf("%w: vector %d is twice in the tail", errMemory, id)
		}
	}
	rows, ids := make([]Row, len(s.fresh)), make([]uint64, len(s.fresh))
	for i, r := range s.fresh {
		ids[i] = r.ID
		rows[i] = Row{ID: r.ID, Key: r.Key, Vector: r.Vector, Metadata: r.Metadata, Bucket: s.o.bucket, Source: r.Source}
	}
	file, err := s.o.e.o.Rows.Write(ctx, s.o.bucket, s.o.rec.spec.Name, rows)
	if err != nil {
		return fmt.Errorf("write a row file of %d rows: %w", len(rows), err)
	}
	rec := rowFileRecord{file: file, runs: runsOf(ids)}
	s.put(s.o.keys.rowFile(s.seq), file.Blobs, rec.encode())
	return nil
}

// writeSuperseded keeps the ids whose rows are still in some segment.
func (s *stepping) writeSuperseded(ctx context.Context) error {
	var left []uint64
	for id := range s.dead {
		if !s.gone[id] {
			left = append(left, id)
		}
	}
	slices.Sort(left)
	if slices.Equal(left, s.m.superseded) {
		return nil
	}
	key := s.o.keys.key(keySuperseded, "")
	if len(left) == 0 {
		s.delete(key)
		return nil
	}
	list := encodeIDList(left)
	blob, err := s.o.e.o.Store.WriteBlob(ctx, bytes.NewReader(list), int64(len(list)))
	if err != nil {
		return fmt.Errorf("write %d superseded ids: %w", len(left), err)
	}
	w := newWriter()
	w.count(len(left))
	s.put(key, []objects.Blob{blob}, w.b)
	return nil
}

// changeHomes publishes the neighbourhoods that changed: those whose rows were
// taken count from the new segment on.
func (s *stepping) changeHomes() {
	keys := s.o.keys
	if s.p.build {
		lo, hi := keys.all(keyNeighbourhood)
		s.txn.Mutations = append(s.txn.Mutations, index.Mutation{Kind: index.DeleteRange, Key: lo, End: hi})
	}
	for _, id := range s.p.homes {
		switch h := s.homes[id]; {
		case h != nil:
			s.homes[id] = &home{id: id, floor: s.seq, centroid: h.centroid} // where it was moved to
		case !s.p.build:
			s.delete(keys.neighbourhood(id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.homes)) {
		if h := s.homes[id]; h.floor == s.seq {
			rec := neighbourhoodRecord{floor: h.floor, centroid: h.centroid}
			s.put(keys.neighbourhood(id), nil, rec.encode())
		}
	}
}

// notePolish remembers what was polished, until all is. Of what was polished, or built, before, less is left: an index whose
// vectors are replaced is as one that grows.
func (s *stepping) notePolish() {
	if !s.p.build {
		s.next.builtRows -= min(s.lost, s.next.builtRows)
		s.next.polishedRows -= min(s.lost, s.next.polishedRows)
	}
	if !s.p.polish {
		return
	}
	s.next.calibratedRows = 0 // do it anew
	notes := &s.o.upkeep
	if notes.polished == nil {
		notes.polished = map[uint32]bool{}
	}
	for _, id := range s.p.homes {
		notes.polished[id] = true
	}
	for id, h := range s.homes {
		if h.floor == s.seq { // divided
			notes.polished[id] = true
		}
	}
	for id := range s.homes {
		if !notes.polished[id] {
			return
		}
	}
	s.next.polishedRows = uint64(s.m.rows)
	notes.polished = nil
}

// dropSegments removes the segments of which no block counts any more.
func (s *stepping) dropSegments() {
	for seq, file := range s.m.segments {
		if !slices.ContainsFunc(file.entries, func(e segment.Entry) bool {
			h := s.homes[e.Neighbourhood]
			return h != nil && h.floor <= seq
		}) {
			s.delete(s.o.keys.segment(seq))
		}
	}
	s.o.upkeep.swept = 0
	if s.p.name == "sweep" {
		s.o.upkeep.swept = s.p.homes[len(s.p.homes)-1]
	}
}
