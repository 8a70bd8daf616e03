package vectors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/segment"
)

// opened is an index in memory. It begins by loading, then follows.
type opened struct {
	e          *Engine
	bucket     string
	rec        indexRecord
	recVersion uint64 // of the index's record: every write demands it
	keys       keyspace

	ready   chan struct{} // closed when loading ended
	loadErr error         // set before ready is closed
	stale   chan struct{} // closed when it left memory
	retired sync.Once
	usedNS  atomic.Int64 // when it was last asked for
	ids     allocator
	work    chan struct{} // holds one token: who has it does upkeep
	upkeep  upkeepNotes   // guarded by work
	asked   asked
	reaped  atomic.Uint64 // no vector is left whose source died in an entry with a version up to this

	mu struct { // never held across I/O, nor while vectors are compared
		sync.RWMutex
		loading []pending // entries that came while loading; nil afterwards
		loaded  bool
		at      index.Position // of the snapshot that was loaded: the follower may still be on its way there
		view    *view
		seq     uint64                       // version of the last entry applied
		sources map[objects.VersionID]uint64 // dead sources, and the entry that told of it; grows, and is replaced where it shrinks
		died    uint64                       // version of the entry that told of the last death
		room    chan struct{}                // closed when the tail shrinks, or upkeep owes less; nil while nobody waits
		owing   bool                         // writers wait for upkeep
		joined  int                          // rows that were pushed since the index was opened
	}
}

// pending is an entry that waits for the end of loading.
type pending struct {
	at      index.Position
	version uint64
	changes []change
}

func (o *opened) retire() { o.retired.Do(func() { close(o.stale) }) }

func (o *opened) isStale() bool {
	select {
	case <-o.stale:
		return true
	default:
		return false
	}
}

// apply takes the changes of one entry. It is called by the follower only.
func (o *opened) apply(ctx context.Context, entry *index.Entry, changes []change) error {
	if o.waits(entry, changes) {
		return nil
	}
	return o.applyChanges(ctx, entry.Version, changes)
}

// waits reports whether an entry is not to be applied now: not yet, while loading, or not at all,
// where what was loaded has it. A snapshot may be ahead of the follower; an entry that were taken
// twice would leave its rows twice.
func (o *opened) waits(entry *index.Entry, changes []change) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.mu.loaded {
		o.mu.loading = append(o.mu.loading, pending{entry.Position, entry.Version, changes})
		return true
	}
	return o.mu.at.Covers(entry.Position)
}

func (o *opened) applyChanges(ctx context.Context, version uint64, changes []change) error {
	d, err := o.decode(ctx, version, changes)
	if err != nil {
		return err
	}
	var next *view
	if d.structural {
		before := o.mu.view // only the follower replaces the view
		next = before.next(&o.rec.spec, d)
		for _, s := range d.segments {
			if s != nil {
				o.e.cache.adopt(s)
			}
		}
		defer o.e.cache.leave(before, next)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if next != nil {
		o.mu.view = next
	}
	for _, t := range d.pushes {
		o.mu.view.join(&o.rec.spec, t)
		o.mu.joined += t.rows()
	}
	for _, s := range d.sources {
		o.mu.sources[s], o.mu.died = version, version
	}
	o.forgetSources(d.reaped)
	o.mu.seq = version
	if next != nil {
		o.makeRoom()
	}
	if len(d.sources) > 0 || o.mu.view.tailSize().wantsFold(o.mu.view.young(), &o.e.o.Tuning) {
		o.e.wake()
	}
	return nil
}

// forgetSources takes out dead sources of which no vector is left. Moments that began
// before keep what they had: to them those vectors may still be there. It needs mu.
func (o *opened) forgetSources(gone []objects.VersionID) {
	if len(gone) == 0 {
		return
	}
	left := maps.Clone(o.mu.sources)
	for _, s := range gone {
		delete(left, s)
	}
	o.mu.sources = left
}

// delta is what one entry changes in a view.
type delta struct {
	structural bool
	pushes     []*push // new in the tail
	folded     map[string]bool
	segments   map[uint64]*segmentFile // nil: gone
	homes      map[uint32]*home        // nil: gone
	clearHomes bool
	rowFiles   []*rowFile
	superseded *[]uint64
	upkeep     *upkeepRecord
	version    uint64
	sources    []objects.VersionID // died
	reaped     []objects.VersionID // need not be remembered any more

	movedRowFiles []*rowFile  // known, at other places
	places        *tailPlaces // of what is not folded, from a step of this engine; nil: unknown
}

func (o *opened) decode(ctx context.Context, version uint64, changes []change) (*delta, error) {
	d := &delta{version: version, folded: map[string]bool{}, segments: map[uint64]*segmentFile{}, homes: map[uint32]*home{}}
	for _, c := range changes {
		if c.mutation == nil && c.reaped {
			d.reaped = append(d.reaped, c.source)
			continue
		}
		if c.mutation == nil {
			d.sources = append(d.sources, c.source)
			continue
		}
		if err := o.decodeOne(ctx, d, c); err != nil {
			return nil, fmt.Errorf("follow key %q: %w", c.mutation.Key, err)
		}
	}
	return d, nil
}

func (o *opened) decodeOne(ctx context.Context, d *delta, c change) error {
	if c.mutation.Moved {
		return o.decodeMoved(d, c)
	}
	put := c.mutation.Kind == index.Put
	d.structural = d.structural || !put || c.key.kind != keyTail
	switch c.key.kind {
	case keyTail:
		return o.decodePush(ctx, d, c, put)
	case keySegment:
		return o.decodeSegment(ctx, d, c, put)
	case keyNeighbourhood:
		return decodeHome(d, c)
	case keyRowFile:
		if put {
			f, err := openRowFile(c.mutation.Value)
			d.rowFiles = append(d.rowFiles, f)
			return err
		}
	case keySuperseded:
		ids := []uint64{}
		var err error
		if put {
			ids, err = o.readSuperseded(ctx, c.mutation.Value)
		}
		d.superseded = &ids
		return err
	case keyUpkeep:
		if !put {
			return nil
		}
		_, payload, err := objects.DecodeValue(c.mutation.Value)
		if err != nil {
			return err
		}
		u, err := decodeUpkeepRecord(payload)
		d.upkeep = &u
		d.places, _ = c.content.(*tailPlaces)
		return err
	}
	return nil
}

// errUnknownMoved: repair moved what this memory does not have.
var errUnknownMoved = errors.New("vectors: what was moved is not known")

// decodeMoved takes the new places of segments and row files. The rows of a push and
// the list of superseded ids are in memory, with no place.
func (o *opened) decodeMoved(d *delta, c change) error {
	switch c.key.kind {
	case keySegment:
		return o.moveSegment(d, c)
	case keyRowFile:
		f, err := openRowFile(c.mutation.Value)
		if err == nil && rowFileFrom(o.mu.view.rowFiles, f.file.FirstID) < 0 {
			err = errUnknownMoved
		}
		d.structural = true
		d.movedRowFiles = append(d.movedRowFiles, f)
		return err
	}
	return nil
}

func (o *opened) moveSegment(d *delta, c change) error {
	seq, err := parseHex(c.key.rest)
	if err != nil {
		return err
	}
	blobs, _, err := objects.DecodeValue(slices.Clone(c.mutation.Value))
	if err != nil {
		return err
	}
	old := o.mu.view.segments[seq]
	if old == nil || len(blobs) != 1+min(1, old.lexicon.head) || blobs[0].Bytes != old.blob.Bytes {
		return errUnknownMoved
	}
	moved := *old
	moved.blob = blobs[0]
	if len(blobs) > 1 {
		moved.lexicon.blob = blobs[1]
	}
	d.structural, d.segments[seq] = true, &moved
	return nil
}

func (o *opened) decodePush(ctx context.Context, d *delta, c change, put bool) error {
	if !put {
		d.folded[string(c.mutation.Key)] = true
		return nil
	}
	if p, ok := c.content.(*push); ok {
		p.version = d.version
		d.pushes = append(d.pushes, p)
		return nil
	}
	p, err := o.readPush(ctx, c.mutation.Key, c.mutation.Value, d.version)
	d.pushes = append(d.pushes, p)
	return err
}

func (o *opened) decodeSegment(ctx context.Context, d *delta, c change, put bool) error {
	seq, err := parseHex(c.key.rest)
	if err != nil {
		return err
	}
	if !put {
		d.segments[seq] = nil
		return nil
	}
	if s, ok := c.content.(*segmentFile); ok {
		d.segments[seq] = s
		return nil
	}
	s, err := o.readSegment(ctx, seq, c.mutation.Value)
	d.segments[seq] = s
	return err
}

func decodeHome(d *delta, c change) error {
	if c.mutation.Kind == index.DeleteRange {
		d.clearHomes = true
		return nil
	}
	id, err := parseHex(c.key.rest)
	if err != nil {
		return err
	}
	if c.mutation.Kind == index.Delete {
		d.homes[uint32(id)] = nil
		return nil
	}
	h, err := openHome(uint32(id), c.mutation.Value)
	d.homes[uint32(id)] = h
	return err
}

// moment is the state that one query, get or step of upkeep works on. What comes
// later does not change its answers.
type moment struct {
	*view
	seq     uint64
	tail    []*push
	size    tailSize
	sources map[objects.VersionID]uint64 // dead ones; nil: there are none. It grows: read it with opened.mu
	died    uint64                       // version of the entry that told of the last one
	deaths  bool                         // there are superseded ids
	owing   bool                         // writers wait for upkeep
	joined  int                          // rows that were pushed since the index was opened
	hurried bool                         // all will be polished once it is calm: until then upkeep does no more than it must
}

func (o *opened) moment() moment {
	o.mu.RLock()
	defer o.mu.RUnlock()
	v := o.mu.view
	m := moment{view: v, seq: o.mu.seq, tail: slices.Clip(v.tail), size: v.tailSize(), died: o.mu.died, deaths: len(v.dead) > 0, owing: o.mu.owing, joined: o.mu.joined}
	if len(o.mu.sources) > 0 {
		m.sources = o.mu.sources
	}
	return m
}

// deltas are the rows of the tail that belong to a neighbourhood. Those with a
// version above the moment's are not part of it.
func (o *opened) deltas(m *moment, id uint32) []ref {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Clip(m.view.deltas[id])
}

// loose are the rows of the tail of which the neighbourhood is not known, likewise.
func (o *opened) loose(m *moment) []ref {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Clip(m.view.loose)
}

// died reports whether an id was superseded at the moment.
func (o *opened) died(m *moment, id uint64) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	died, dead := m.dead[id]
	return dead && died <= m.seq
}

// alive reports whether row i of a block was alive at the moment.
func (o *opened) alive(m *moment, b *segment.Block, i int) bool {
	if !m.deaths && m.sources == nil {
		return true
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	if died, dead := m.dead[b.IDs()[i]]; dead && died <= m.seq {
		return false
	}
	if m.sources == nil || b.SourceVersion(i) == (objects.VersionID{}) {
		return true
	}
	died, dead := m.sources[b.SourceVersion(i)]
	return !dead || died > m.seq
}

// orphaned reports whether the source of what a key means is known to be dead, now or
// at a moment before.
func (o *opened) orphaned(m *moment, source objects.VersionID) bool {
	if m.sources == nil || source == (objects.VersionID{}) {
		return false
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	_, dead := m.sources[source]
	return dead
}

// deadSources copies the sources that were dead at the moment.
func (o *opened) deadSources(m *moment) map[objects.VersionID]uint64 {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return maps.Clone(m.sources)
}
