package vectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// CreateIndex makes an empty index: ErrIndexExists, or objects.ErrNoBucket.
func (e *Engine) CreateIndex(ctx context.Context, bucket string, spec Spec) (Info, error) {
	return e.CreateIndexWith(ctx, bucket, spec, nil)
}

// CreateIndexWith makes an index together with what others keep of it, in one transaction.
func (e *Engine) CreateIndexWith(ctx context.Context, bucket string, spec Spec, beside func(made Info) ([]index.Mutation, error)) (Info, error) {
	spec.NonFilterable = slices.Clone(spec.NonFilterable)
	if spec.Embedder != nil {
		emb := *spec.Embedder
		spec.Embedder = &emb
	}
	if err := spec.validate(); err != nil {
		return Info{}, err
	}
	rec := indexRecord{spec: spec, created: e.host.Clock.Now().UTC()}
	if _, err := io.ReadFull(e.host.Entropy, rec.inc[:]); err != nil {
		return Info{}, fmt.Errorf("draw an incarnation: %w", err)
	}
	made := Info{Spec: spec, Bucket: bucket, Created: rec.created}
	key := recordKey(bucket, spec.Name)
	mutations := []index.Mutation{
		{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, rec.encode())},
		{Kind: index.Put, Key: keyspace(dataPrefix(bucket, rec.inc)).key(keyIDs, ""), Value: objects.EncodeValue(nil, encodeIDs(1+idsReserved))},
	}
	if beside != nil {
		more, err := beside(made)
		if err != nil {
			return Info{}, err
		}
		mutations = append(mutations, more...)
	}
	_, err := e.commit(ctx, index.Txn{
		Conditions: []index.Condition{
			{Kind: index.KeyExists, Key: objects.BucketKey(bucket)},
			{Kind: index.KeyAbsent, Key: key},
		},
		Mutations: mutations,
	})
	var failed *index.ConditionError
	switch {
	case errors.As(err, &failed) && failed.Condition == 0:
		return Info{}, objects.ErrNoBucket
	case errors.As(err, &failed):
		return Info{}, ErrIndexExists
	case err != nil:
		return Info{}, fmt.Errorf("create index %s in bucket %s: %w", spec.Name, bucket, err)
	}
	e.born(rec.inc)
	return made, nil
}

// bornMax bounds the indexes of which it is remembered that their first ids are to be given away.
const bornMax = 1024

// born notes that an index was made here with its first block of ids reserved for it. Where that is
// forgotten, the block is skipped.
func (e *Engine) born(inc incarnation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.mu.born) >= bornMax {
		clear(e.mu.born)
	}
	e.mu.born[inc] = true
}

// Index reads what an index was made with, without opening it: counts and state
// stay zero.
func (e *Engine) Index(ctx context.Context, bucket, name string) (Info, error) {
	rec, _, err := e.readRecord(ctx, bucket, name)
	return Info{Spec: rec.spec, Bucket: bucket, Created: rec.created}, err
}

// DescribeIndex reads an index's settings and state. It opens the index.
func (e *Engine) DescribeIndex(ctx context.Context, bucket, name string) (Info, error) {
	o, m, err := e.current(ctx, bucket, name)
	if err != nil {
		return Info{}, err
	}
	return o.info(&m), nil
}

// InMemory lists the indexes that are in memory, at most max of them, with their state.
func (e *Engine) InMemory(max int) (list []Info) {
	for _, o := range e.opens() {
		select {
		case <-o.ready:
		default:
			continue // it is being loaded
		}
		if o.loadErr != nil || o.isStale() || len(list) == max {
			continue
		}
		m := o.moment()
		list = append(list, o.info(&m))
	}
	return list
}

func (o *opened) info(m *moment) Info {
	o.mu.RLock()
	defer o.mu.RUnlock()
	v := m.view
	info := Info{
		Spec: o.rec.spec, Bucket: o.bucket, Created: o.rec.created,
		Neighbourhoods: len(v.homes), Cells: v.places(), Segments: len(v.segments), RowFiles: len(v.rowFiles),
		TailVectors: v.tailRows, TailBytes: v.tailBytes, Superseded: len(v.dead),
		Probes: v.upkeep.probes, Recall: v.upkeep.recall,
	}
	info.Vectors = uint64(v.rows + v.tailRows - len(v.dead))
	return info
}

// current is an open index with its present moment, which has all that was
// acknowledged before the call.
func (e *Engine) current(ctx context.Context, bucket, name string) (*opened, moment, error) {
	if err := e.barrier(ctx); err != nil {
		return nil, moment{}, err
	}
	o, err := e.use(ctx, bucket, name)
	if err != nil {
		return nil, moment{}, err
	}
	return o, o.moment(), nil
}

// Indexes lists a bucket's indexes whose names begin with prefix and come after
// a name, at most max of them. They are not opened.
func (e *Engine) Indexes(ctx context.Context, bucket, prefix, after string, max int) ([]Info, error) {
	if max < 1 || max > PageMax {
		return nil, invalid("maxResults", "is %d, must be 1 to %d", max, PageMax)
	}
	if _, err := e.index.Get(ctx, objects.BucketKey(bucket)); err != nil {
		if errors.Is(err, index.ErrNotFound) {
			err = objects.ErrNoBucket
		}
		return nil, err
	}
	lo := recordKey(bucket, prefix)
	hi := objects.PrefixEnd(lo)
	if after >= prefix {
		lo = append(recordKey(bucket, after), 0)
	}
	var list []Info
	for it, err := range e.index.Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list the indexes of bucket %s: %w", bucket, err)
		}
		rec, err := openRecord(it.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, Info{Spec: rec.spec, Bucket: bucket, Created: rec.created})
		if len(list) == max {
			break
		}
	}
	return list, nil
}

// DeleteIndex removes an index with all its vectors, at once.
func (e *Engine) DeleteIndex(ctx context.Context, bucket, name string) error {
	for range attemptsMax {
		rec, version, err := e.readRecord(ctx, bucket, name)
		if err != nil {
			return err
		}
		key, data := recordKey(bucket, name), dataPrefix(bucket, rec.inc)
		_, err = e.commit(ctx, index.Txn{
			Conditions: []index.Condition{{Kind: index.KeyVersion, Key: key, Version: version}},
			Mutations: []index.Mutation{
				{Kind: index.Delete, Key: key},
				{Kind: index.DeleteRange, Key: data, End: objects.PrefixEnd(data)},
			},
		})
		var failed *index.ConditionError
		if err == nil {
			e.cache.evict(rec.inc)
			e.shelf.evict(rec.inc)
			return nil
		}
		if !errors.As(err, &failed) {
			return fmt.Errorf("delete index %s of bucket %s: %w", name, bucket, err)
		}
	}
	return objects.ErrConflict
}

// attemptsMax bounds how often a write that lost a race is tried anew.
const attemptsMax = 64

// commit is Index.Commit, which is asked again where the outcome is unknown.
func (e *Engine) commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	if _, err := io.ReadFull(e.host.Entropy, txn.RequestID[:]); err != nil {
		return index.Result{}, fmt.Errorf("draw a request id: %w", err)
	}
	for attempt := 0; ; attempt++ {
		res, err := e.index.Commit(ctx, txn)
		if errors.Is(err, index.ErrReadOnly) {
			err = fmt.Errorf("%w: %w", objects.ErrReadOnly, err)
		}
		if !errors.Is(err, index.ErrUnknown) || attempt == 3 || ctx.Err() != nil {
			return res, err
		}
	}
}
