package vectors

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/segment"
)

// Put writes vectors; those whose keys exist are replaced. When it has answered,
// they are durable and every query finds them. An invalid batch leaves nothing. A
// batch whose keys pass what one transaction holds is committed in pieces.
func (e *Engine) Put(ctx context.Context, bucket, name string, vectors []Vector) error {
	for range attemptsMax {
		o, err := e.use(ctx, bucket, name)
		if err != nil {
			return err
		}
		rows, err := validateBatch(&o.rec.spec, vectors)
		if err != nil {
			return err
		}
		if err := o.awaitRoom(ctx); err != nil {
			return err
		}
		if err = o.put(ctx, rows); !errors.Is(err, errGone) {
			return err
		}
		e.forget(o)
	}
	return objects.ErrConflict
}

// errGone: the index was deleted, and perhaps made again, since it was opened.
var errGone = errors.New("vectors: index was deleted meanwhile")

func (o *opened) put(ctx context.Context, rows []segment.Row) error {
	for _, piece := range o.pieces(rows) {
		w, err := o.prepare(ctx, piece)
		if err != nil {
			return err
		}
		if err := o.commitWrite(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// Bounds of a piece, safely below those of an index transaction.
const (
	pieceBytesMax   = index.EntryBytesMax - 64<<10
	pieceSourcesMax = 300
	mappingBytes    = 64 // of a value, and of what surrounds a key
	linkBytes       = 256
)

// pieces divides rows so that each part fits into one transaction.
func (o *opened) pieces(rows []segment.Row) [][]segment.Row {
	var all [][]segment.Row
	begin, size := 0, 0
	sources := map[objects.VersionID]bool{}
	for i := range rows {
		n := 2*(len(o.keys)+len(rows[i].Key)+8) + mappingBytes
		if s := rows[i].Source; s != nil && !sources[s.Version] {
			n += 2*(len(o.bucket)+len(s.Key)) + linkBytes
			sources[s.Version] = true
		}
		if i > begin && (size+n > pieceBytesMax || len(sources) > pieceSourcesMax) {
			all = append(all, rows[begin:i])
			begin, size = i, 0
			clear(sources)
			if s := rows[i].Source; s != nil {
				sources[s.Version] = true
			}
		}
		size += n
	}
	return append(all, rows[begin:])
}

// write is a put or delete on its way: all of it but what the index says now.
type write struct {
	rows    []segment.Row // with ids; empty for a delete
	keys    []string      // of the rows, or to be deleted
	tailKey []byte
	blobs   []objects.Blob
	block   *segment.Block
	under   *navigate.Centroids // when neighbourhoods were given
}

// prepare gives ids and neighbourhoods to rows, and makes their frame durable.
func (o *opened) prepare(ctx context.Context, rows []segment.Row) (*write, error) {
	first, err := o.takeIDs(ctx, len(rows))
	if err != nil {
		return nil, err
	}
	w, frame, err := o.frame(ctx, rows, first)
	if err != nil {
		return nil, err
	}
	blob, err := o.e.o.Store.WriteBlob(ctx, bytes.NewReader(frame), int64(len(frame)))
	if err != nil {
		return nil, fmt.Errorf("write a tail frame of %d bytes: %w", len(frame), err)
	}
	w.blobs = []objects.Blob{blob}
	return w, o.nameTail(w)
}

// frame gives neighbourhoods to rows, and makes the block that they are in. That is work for a processor: some of them
// are left to queries.
func (o *opened) frame(ctx context.Context, rows []segment.Row, first uint64) (w *write, frame []byte, err error) {
	select {
	case o.e.framing <- struct{}{}:
		defer func() { <-o.e.framing }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	m := o.moment()
	w = &write{rows: rows, keys: make([]string, len(rows)), under: m.centroids}
	f := newFinder()
	defer f.release()
	for i := range rows {
		rows[i].ID = first + uint64(i)
		rows[i].Neighbourhood = 0
		if m.centroids != nil {
			home, _ := f.place(&o.rec.spec, m.atlas, directed(&o.rec.spec, rows[i].Vector, rows[i].Inverse))
			rows[i].Neighbourhood = m.centroids.IDs()[home]
		}
		w.keys[i] = rows[i].Key
	}
	if frame, err = segment.EncodeBlock(rows, o.rec.spec.Dimension); err != nil {
		return nil, nil, err
	}
	if w.block, err = segment.OpenBlock(frame); err != nil {
		return nil, nil, fmt.Errorf("read back the tail frame: %w", err)
	}
	return w, frame, nil
}

func (o *opened) nameTail(w *write) error {
	var id [16]byte
	if _, err := io.ReadFull(o.e.host.Entropy, id[:]); err != nil {
		return fmt.Errorf("draw a batch id: %w", err)
	}
	w.tailKey = o.keys.key(keyTail, hex.EncodeToString(id[:]))
	return nil
}

// commitWrite commits w against the mappings as they are, until it wins.
func (o *opened) commitWrite(ctx context.Context, w *write) error {
	for range attemptsMax {
		err := o.commitOnce(ctx, w, nil)
		var failed *index.ConditionError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &failed):
			return fmt.Errorf("commit %d vectors: %w", len(w.keys), err)
		case failed.Condition == 0:
			return errGone
		}
	}
	return objects.ErrConflict
}

// commitOnce fails with an *index.ConditionError where something changed meanwhile;
// condition 0 is that the index is still there.
func (o *opened) commitOnce(ctx context.Context, w *write, pleases func(mapping) bool) error {
	tx := o.e.o.Store.Begin()
	some, err := o.addTo(ctx, tx, w, pleases)
	if err != nil || !some {
		return err
	}
	if _, err = o.e.o.Store.Commit(ctx, tx); err != nil {
		o.e.handover.take(w.tailKey, nil)
	}
	return err
}

// addTo adds w, against what the index says now, to a transaction, and hands the
// frame to the follower. Its first condition is the index's own record. Keys to be
// deleted are left alone where there is no vector, or its mapping does not please; some is
// false where nothing is left to do.
func (o *opened) addTo(ctx context.Context, tx Tx, w *write, pleases func(mapping) bool) (some bool, err error) {
	tx.Check(index.Condition{Kind: index.KeyVersion, Key: recordKey(o.bucket, o.rec.spec.Name), Version: o.recVersion})
	tail := tailRecord{rows: len(w.rows)}
	for i, k := range w.keys {
		key := o.keys.key(keyMapping, k)
		old, version, err := o.mapping(ctx, key)
		if err != nil {
			return false, err
		}
		put := len(w.rows) > 0
		if !put && (version == 0 || pleases != nil && !pleases(old)) {
			continue
		}
		some = true
		if version != 0 {
			tx.Check(index.Condition{Kind: index.KeyVersion, Key: key, Version: version})
			tail.superseded = append(tail.superseded, old.id)
		} else {
			tx.Check(index.Condition{Kind: index.KeyAbsent, Key: key})
		}
		if put {
			tx.Mutate(index.Mutation{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, mappingOf(&w.rows[i]).encode())})
		} else {
			tx.Mutate(index.Mutation{Kind: index.Delete, Key: key})
		}
	}
	if !some {
		return false, nil
	}
	for i := range w.rows {
		if s := w.rows[i].Source; s != nil {
			if err := tx.LinkSource(ctx, o.bucket, s.Key, s.Version); err != nil {
				return false, fmt.Errorf("link to version %v of object %q: %w", s.Version, s.Key, err)
			}
		}
	}
	value := objects.EncodeValue(w.blobs, tail.encode())
	tx.Mutate(index.Mutation{Kind: index.Put, Key: w.tailKey, Value: value})
	p := &push{key: string(w.tailKey), block: w.block, superseded: tail.superseded, under: w.under}
	if p.block != nil {
		p.sketched(&o.rec.spec)
	}
	o.e.handover.give(w.tailKey, value, p, p.bytes())
	return true, nil
}

func mappingOf(r *segment.Row) mapping {
	m := mapping{id: r.ID}
	if r.Source != nil {
		m.source = r.Source.Version
	}
	return m
}

// mapping reads which vector a key means; version 0: none.
func (o *opened) mapping(ctx context.Context, key []byte) (m mapping, version uint64, err error) {
	it, err := o.e.index.Get(ctx, key)
	if errors.Is(err, index.ErrNotFound) {
		return m, 0, nil
	}
	if err != nil {
		return m, 0, fmt.Errorf("read what a vector's key means: %w", err)
	}
	_, payload, err := objects.DecodeValue(it.Value)
	if err != nil {
		return m, 0, err
	}
	m, err = decodeMapping(payload)
	return m, it.Version, err
}

// PutInto adds vectors to a transaction that its caller commits, with an object for
// instance: all of it takes effect, or nothing. Where the commit fails with an
// *index.ConditionError, the caller begins another transaction and calls PutInto again. The
// batch must fit into one transaction beside what is there.
func (e *Engine) PutInto(ctx context.Context, tx Tx, bucket, name string, vectors []Vector) error {
	if err := e.barrier(ctx); err != nil { // after a conflict: the index may have been deleted
		return err
	}
	o, err := e.use(ctx, bucket, name)
	if err != nil {
		return err
	}
	rows, err := validateBatch(&o.rec.spec, vectors)
	if err != nil {
		return err
	}
	if len(o.pieces(rows)) > 1 {
		return invalid("vectors", "keys and sources pass the size of one transaction; send fewer")
	}
	if err := o.awaitRoom(ctx); err != nil {
		return err
	}
	w, err := o.prepare(ctx, rows)
	if err != nil {
		return err
	}
	_, err = o.addTo(ctx, tx, w, nil)
	return err
}

// Delete removes vectors by key. Keys that do not exist are no error.
func (e *Engine) Delete(ctx context.Context, bucket, name string, keys []string) error {
	if err := validateKeys(keys, BatchMax); err != nil {
		return err
	}
	unique, seen := []string(nil), map[string]bool{}
	for _, k := range keys {
		if !seen[k] {
			unique, seen[k] = append(unique, k), true
		}
	}
	for range attemptsMax {
		o, err := e.use(ctx, bucket, name)
		if err != nil {
			return err
		}
		if err := o.awaitRoom(ctx); err != nil {
			return err
		}
		if err = o.delete(ctx, unique); !errors.Is(err, errGone) {
			return err
		}
		e.forget(o)
	}
	return objects.ErrConflict
}

func (o *opened) delete(ctx context.Context, keys []string) error {
	rows := make([]segment.Row, len(keys))
	for i, k := range keys {
		rows[i].Key = k
	}
	for _, piece := range o.pieces(rows) {
		w := &write{}
		for _, r := range piece {
			w.keys = append(w.keys, r.Key)
		}
		if err := o.nameTail(w); err != nil {
			return err
		}
		if err := o.commitWrite(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// allocator gives away ids from blocks that were reserved in the index.
type allocator struct {
	mu        sync.Mutex
	next, end uint64
}

// idsReserved is the size of a block: what a restart may skip.
const idsReserved = 1 << 16

// takeIDs gives n consecutive ids that no vector of the index ever had.
func (o *opened) takeIDs(ctx context.Context, n int) (uint64, error) {
	o.ids.mu.Lock()
	defer o.ids.mu.Unlock()
	if o.ids.end-o.ids.next < uint64(n) {
		next, err := o.reserveIDs(ctx)
		if err != nil {
			return 0, err
		}
		o.ids.next, o.ids.end = next, next+idsReserved
	}
	first := o.ids.next
	o.ids.next += uint64(n)
	return first, nil
}

func (o *opened) reserveIDs(ctx context.Context) (uint64, error) {
	key := o.keys.key(keyIDs, "")
	for range attemptsMax {
		next, held := uint64(1), index.Condition{Kind: index.KeyAbsent, Key: key}
		it, err := o.e.index.Get(ctx, key)
		if err == nil {
			held = index.Condition{Kind: index.KeyVersion, Key: key, Version: it.Version}
			next, err = openIDs(it.Value)
		}
		if err != nil && !errors.Is(err, index.ErrNotFound) {
			return 0, fmt.Errorf("read the next vector id: %w", err)
		}
		_, err = o.e.commit(ctx, index.Txn{
			Conditions: []index.Condition{{Kind: index.KeyVersion, Key: recordKey(o.bucket, o.rec.spec.Name), Version: o.recVersion}, held},
			Mutations:  []index.Mutation{{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, encodeIDs(next+idsReserved))}},
		})
		var failed *index.ConditionError
		switch {
		case err == nil:
			return next, nil
		case !errors.As(err, &failed):
			return 0, fmt.Errorf("reserve vector ids: %w", err)
		case failed.Condition == 0:
			return 0, errGone
		}
	}
	return 0, objects.ErrConflict
}

func openIDs(value []byte) (uint64, error) {
	_, payload, err := objects.DecodeValue(value)
	if err != nil {
		return 0, err
	}
	return decodeIDs(payload)
}
