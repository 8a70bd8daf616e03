package vectors

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/segment"
)

// readsAtOnce bounds parallel reads of one load or one query: so high that what a query needs comes in
// one round.
const readsAtOnce = 256

// firstRead is read of a segment at least, and several of it where its directory is longer: the drives verify so much
// at once, and it takes one round then. Of a range that ends within, they must learn first where the piece ends.
const firstRead = 64 << 10

// opensMax bounds how often a failed load is tried: on a slow machine, upkeep of another engine can
// drop a segment between the entry that tells of it and its being read.
const opensMax = 4

// use is an index in memory; it is loaded if it is not there.
func (e *Engine) use(ctx context.Context, bucket, name string) (*opened, error) {
	for loads := 1; ; {
		if e.ctx.Err() != nil {
			return nil, ErrClosed
		}
		o, err := e.find(ctx, bucket, name)
		if err != nil {
			return nil, err
		}
		select {
		case <-o.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if errors.Is(o.loadErr, errChanged) || o.loadErr == nil && o.isStale() {
			continue
		}
		if o.loadErr != nil && e.ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrClosed, o.loadErr)
		}
		if o.loadErr != nil && loads < opensMax {
			loads++
			continue
		}
		o.usedNS.Store(e.host.Clock.Now().UnixNano())
		return o, o.loadErr
	}
}

// errChanged: the index was deleted, and perhaps made again, while it was loaded.
var errChanged = errors.New("vectors: index changed while it was loaded")

func (e *Engine) find(ctx context.Context, bucket, name string) (*opened, error) {
	at := indexName{bucket, name}
	e.mu.Lock()
	o := e.mu.byName[at]
	e.mu.Unlock()
	if o != nil {
		return o, nil
	}
	rec, version, err := e.readRecord(ctx, bucket, name)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if o := e.mu.byName[at]; o != nil {
		return o, nil
	}
	o = &opened{
		e: e, bucket: bucket, rec: rec, recVersion: version, keys: dataPrefix(bucket, rec.inc),
		ready: make(chan struct{}), stale: make(chan struct{}), work: make(chan struct{}, 1),
	}
	o.work <- struct{}{}
	o.usedNS.Store(e.host.Clock.Now().UnixNano())
	o.mu.sources = map[objects.VersionID]uint64{}
	if e.mu.born[rec.inc] {
		delete(e.mu.born, rec.inc)
		o.ids.next, o.ids.end = 1, 1+idsReserved
	}
	e.mu.byName[at], e.mu.byInc[rec.inc] = o, o
	// The load outlives a caller that gives up: others may wait for it.
	e.tasks.Go(func() { e.load(o) })
	return o, nil
}

// readRecord finds an index by name: ErrNoIndex, or objects.ErrNoBucket.
func (e *Engine) readRecord(ctx context.Context, bucket, name string) (indexRecord, uint64, error) {
	it, err := e.index.Get(ctx, recordKey(bucket, name))
	if errors.Is(err, index.ErrNotFound) {
		return indexRecord{}, 0, e.absent(ctx, bucket)
	}
	if err != nil {
		return indexRecord{}, 0, fmt.Errorf("read index %s of bucket %s: %w", name, bucket, err)
	}
	rec, err := openRecord(it.Value)
	return rec, it.Version, err
}

// absent says whether the index or its bucket is what does not exist.
func (e *Engine) absent(ctx context.Context, bucket string) error {
	_, err := e.index.Get(ctx, objects.BucketKey(bucket))
	switch {
	case errors.Is(err, index.ErrNotFound):
		return objects.ErrNoBucket
	case err != nil:
		return fmt.Errorf("read bucket %s: %w", bucket, err)
	}
	return ErrNoIndex
}

func openRecord(value []byte) (indexRecord, error) {
	_, payload, err := objects.DecodeValue(value)
	if err != nil {
		return indexRecord{}, err
	}
	return decodeIndexRecord(payload)
}

func (e *Engine) load(o *opened) {
	began := e.host.Clock.Now()
	o.loadErr = o.load(e.ctx)
	if o.loadErr != nil {
		e.forget(o)
	}
	close(o.ready)
	e.o.Events.Opened(o.bucket, o.rec.spec.Name, e.host.Clock.Now().Sub(began), o.loadErr)
	e.wake()
}

// loadsMax bounds how often a load begins anew because what it was about to read moved.
const loadsMax = 8

// load reads the index as of one moment, then takes in what came meanwhile. Where it
// cannot read what repair or upkeep moved since that moment, it takes another.
func (o *opened) load(ctx context.Context) error {
	for try := 1; ; try++ {
		at, err := o.loadOnce(ctx)
		if err == nil {
			return o.catchUp(ctx, at)
		}
		if try == loadsMax || errors.Is(err, errChanged) || o.e.barrier(ctx) != nil || !o.changedAfter(at) {
			return err
		}
	}
}

// changedAfter reports whether the follower left an entry that is not covered.
func (o *opened) changedAfter(at index.Position) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.mu.loading)
	return n > 0 && !at.Covers(o.mu.loading[n-1].at)
}

func (o *opened) loadOnce(ctx context.Context) (index.Position, error) {
	snap, err := o.e.index.Snapshot(ctx)
	if err != nil {
		return "", fmt.Errorf("take a snapshot of the index: %w", err)
	}
	v, sources, err := o.readView(ctx, snap)
	if err = errors.Join(err, snap.Close()); err != nil {
		return snap.Position(), err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.view = v
	for _, p := range v.tail {
		o.mu.seq = max(o.mu.seq, p.version)
	}
	o.mu.sources = make(map[objects.VersionID]uint64, len(sources))
	for _, s := range sources {
		o.mu.sources[s.version] = 0
		o.mu.died = max(o.mu.died, s.died)
	}
	return snap.Position(), nil
}

// catchUp applies the entries that the follower left while loading.
func (o *opened) catchUp(ctx context.Context, at index.Position) error {
	for {
		o.mu.Lock()
		waiting := o.mu.loading
		o.mu.loading = nil
		if len(waiting) == 0 {
			o.mu.loaded, o.mu.at = true, at
			o.mu.Unlock()
			return nil
		}
		o.mu.Unlock()
		for _, p := range waiting {
			if at.Covers(p.at) {
				continue
			}
			if err := o.applyChanges(ctx, p.version, p.changes); err != nil {
				return err
			}
		}
	}
}

// readView reads all that belongs to the index but its blocks and rows.
func (o *opened) readView(ctx context.Context, snap index.Snapshot) (*view, []deadSource, error) {
	it, err := snap.Get(ctx, recordKey(o.bucket, o.rec.spec.Name))
	if errors.Is(err, index.ErrNotFound) || err == nil && it.Version != o.recVersion {
		return nil, nil, errChanged
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the index's record: %w", err)
	}
	d := &delta{structural: true, homes: map[uint32]*home{}, segments: map[uint64]*segmentFile{}}
	if err := o.readSmall(ctx, snap, d); err != nil {
		return nil, nil, err
	}
	pushes, err := o.readLarge(ctx, snap, d)
	if err != nil {
		return nil, nil, err
	}
	v := emptyView().next(&o.rec.spec, d)
	for _, p := range pushes {
		v.join(&o.rec.spec, p)
	}
	sources, err := readDeadSources(ctx, snap, o.bucket)
	return v, sources, err
}

// readSmall reads what lies in the index entries themselves.
func (o *opened) readSmall(ctx context.Context, snap index.Snapshot, d *delta) error {
	it, err := snap.Get(ctx, o.keys.key(keyUpkeep, ""))
	if err == nil {
		_, payload, err := objects.DecodeValue(it.Value)
		if err != nil {
			return err
		}
		u, err := decodeUpkeepRecord(payload)
		if err != nil {
			return err
		}
		d.upkeep, d.version = &u, it.Version
	} else if !errors.Is(err, index.ErrNotFound) {
		return fmt.Errorf("read the upkeep record: %w", err)
	}
	for it, err := range o.scan(ctx, snap, keyNeighbourhood) {
		if err != nil {
			return err
		}
		h, err := openHome(uint32(it.number), it.Value)
		if err != nil {
			return err
		}
		d.homes[h.id] = h
	}
	for it, err := range o.scan(ctx, snap, keyRowFile) {
		if err != nil {
			return err
		}
		f, err := openRowFile(slices.Clone(it.Value))
		if err != nil {
			return err
		}
		d.rowFiles = append(d.rowFiles, f)
	}
	return nil
}

// readLarge reads what index entries point at: directories, frames, the list of
// superseded ids; several at once.
func (o *opened) readLarge(ctx context.Context, snap index.Snapshot, d *delta) ([]*push, error) {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	var files []**segmentFile
	var pushes []**push
	scanErr := func() error {
		for it, err := range o.scan(ctx, snap, keySegment) {
			if err != nil {
				return err
			}
			s, seq, value := new(*segmentFile), it.number, slices.Clone(it.Value)
			files = append(files, s)
			tasks.Go(func() (err error) { *s, err = o.readSegment(ctx, seq, value); return err })
		}
		for it, err := range o.scan(ctx, snap, keyTail) {
			if err != nil {
				return err
			}
			p, key, value, version := new(*push), slices.Clone(it.Key), slices.Clone(it.Value), it.Version
			pushes = append(pushes, p)
			tasks.Go(func() (err error) { *p, err = o.readPush(ctx, key, value, version); return err })
		}
		it, err := snap.Get(ctx, o.keys.key(keySuperseded, ""))
		if errors.Is(err, index.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the list of superseded ids: %w", err)
		}
		ids, err := o.readSuperseded(ctx, it.Value)
		d.superseded = &ids
		return err
	}()
	if err := errors.Join(scanErr, tasks.Wait()); err != nil {
		return nil, err
	}
	for _, s := range files {
		d.segments[(*s).seq] = *s
	}
	list := make([]*push, len(pushes))
	for i, p := range pushes {
		list[i] = *p
	}
	slices.SortFunc(list, func(a, b *push) int { return compareVersions(a.version, b.version) })
	return list, nil
}

func compareVersions(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// numbered is an index item with the number that its key ends in, where it does.
type numbered struct {
	index.Item
	number uint64
}

func (o *opened) scan(ctx context.Context, snap index.Snapshot, kind keyKind) iter.Seq2[numbered, error] {
	lo, hi := o.keys.all(kind)
	return func(yield func(numbered, error) bool) {
		for it, err := range snap.Scan(ctx, lo, hi, index.ScanOptions{}) {
			n := numbered{Item: it}
			if err == nil && kind != keyTail {
				n.number, err = parseHex(it.Key[len(lo):])
			}
			if err != nil {
				err = fmt.Errorf("scan keys %q: %w", lo, err)
			}
			if !yield(n, err) || err != nil {
				return
			}
		}
	}
}

func parseHex(b []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(b), 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: number in a key: %w", ErrCorrupt, err)
	}
	return n, nil
}

// deadSource is an object version that ended, and the version of the entry that told of it.
type deadSource struct {
	version objects.VersionID
	died    uint64
}

func readDeadSources(ctx context.Context, from scanner, bucket string) ([]deadSource, error) {
	lo := objects.SourceDeadPrefix(bucket)
	var list []deadSource
	for it, err := range from.Scan(ctx, lo, objects.PrefixEnd(lo), index.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return nil, fmt.Errorf("scan dead sources of bucket %s: %w", bucket, err)
		}
		if _, v, ok := objects.ParseSourceDead(it.Key); ok {
			list = append(list, deadSource{v, it.Version})
		}
	}
	return list, nil
}

// scanner is the index, or a snapshot of it.
type scanner interface {
	Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error]
}

// Reading what one entry points at.

func (o *opened) readPush(ctx context.Context, key, value []byte, version uint64) (*push, error) {
	blobs, payload, err := objects.DecodeValue(value)
	if err != nil {
		return nil, err
	}
	t, err := decodeTailRecord(payload)
	if err != nil {
		return nil, err
	}
	p := &push{key: string(key), version: version, superseded: t.superseded}
	if t.rows == 0 {
		return p, nil
	}
	if len(blobs) != 1 {
		return nil, fmt.Errorf("%w: tail record of %d rows and %d blobs", ErrCorrupt, t.rows, len(blobs))
	}
	frame, err := readWhole(ctx, o.e.o.Store, blobs[0])
	if err != nil {
		return nil, fmt.Errorf("read a tail frame of %d bytes: %w", blobs[0].Bytes, err)
	}
	p.block, err = o.openBlock(frame, t.rows)
	return p, err
}

// openBlock verifies a block and that it fits the index.
func (o *opened) openBlock(b []byte, rows int) (*segment.Block, error) {
	block, err := segment.OpenBlock(b)
	if err != nil {
		return nil, err
	}
	if block.Dimension() != o.rec.spec.Dimension || block.Len() != rows {
		return nil, fmt.Errorf("%w: block of %d rows of %d numbers, expected %d of %d", ErrCorrupt, block.Len(), block.Dimension(), rows, o.rec.spec.Dimension)
	}
	return block, nil
}

func (o *opened) readSegment(ctx context.Context, seq uint64, value []byte) (*segmentFile, error) {
	blobs, payload, err := objects.DecodeValue(slices.Clone(value))
	if err != nil {
		return nil, err
	}
	rec, err := decodeSegmentRecord(payload)
	if err != nil {
		return nil, err
	}
	if len(blobs) != rec.blobs() || int64(rec.head) > blobs[0].Bytes {
		return nil, fmt.Errorf("%w: segment record of %d blobs", ErrCorrupt, len(blobs))
	}
	var words lexiconFile
	if rec.lexicon > 0 {
		if words = newLexiconFile(blobs[1], rec.lexicon); int64(rec.lexicon) > blobs[1].Bytes {
			return nil, fmt.Errorf("%w: head of a lexicon of %d bytes in %d", ErrCorrupt, rec.lexicon, blobs[1].Bytes)
		}
	}
	first := make([]byte, min(blobs[0].Bytes, (max(int64(rec.head), 1)+firstRead-1)/firstRead*firstRead))
	head := first[:rec.head:rec.head]
	if err := o.e.o.Store.ReadBlob(ctx, blobs[0], first, 0); err != nil {
		return nil, fmt.Errorf("read the directory of segment %d: %w", seq, err)
	}
	entries, err := segment.Directory(head, seq, blobs[0].Bytes)
	return newSegmentFile(o.rec.inc, seq, blobs[0], words, entries, rec.rows), err
}

func (o *opened) readSuperseded(ctx context.Context, value []byte) ([]uint64, error) {
	blobs, _, err := objects.DecodeValue(value)
	if err != nil {
		return nil, err
	}
	if len(blobs) != 1 || blobs[0].Bytes > recordListMax {
		return nil, fmt.Errorf("%w: list of superseded ids of %d blobs", ErrCorrupt, len(blobs))
	}
	b, err := readWhole(ctx, o.e.o.Store, blobs[0])
	if err != nil {
		return nil, fmt.Errorf("read the list of superseded ids: %w", err)
	}
	return decodeIDList(b), nil
}

func openHome(id uint32, value []byte) (*home, error) {
	_, payload, err := objects.DecodeValue(value)
	if err != nil {
		return nil, err
	}
	rec, err := decodeNeighbourhoodRecord(payload)
	return &home{id: id, floor: rec.floor, centroid: rec.centroid}, err
}
