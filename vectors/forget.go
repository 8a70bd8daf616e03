package vectors

import (
	"context"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// Bounds of forgetting dead sources.
const (
	forgetTogether = 500  // deletes of one transaction
	forgetWorth    = 1000 // sources for which the keys of indexes that are not open are read
)

// forgetSources deletes the entries of dead sources that no index of the bucket
// needs. Nothing made from a version can be added once it is dead: LinkSource
// demands that it is present. So an index that was reaped since the death, or
// has no key that means a vector of that source, never needs the entry again.
// What is under way with older knowledge keeps it (see opened.forgetSources).
func (e *Engine) forgetSources(ctx context.Context, bucket string) error {
	dead, err := readDeadSources(ctx, e.index, bucket)
	if err != nil || len(dead) == 0 {
		return err
	}
	closed, reaped, err := e.reapedThrough(ctx, bucket)
	if err != nil {
		return err
	}
	unneeded := map[objects.VersionID]uint64{}
	for _, s := range dead {
		if s.died <= reaped {
			unneeded[s.version] = s.died
		}
	}
	if len(closed) > 0 && !e.worthReading(bucket, len(unneeded)) {
		return nil
	}
	found := len(unneeded)
	for _, keys := range closed {
		if err := e.keepNamed(ctx, keys, unneeded); err != nil {
			return err
		}
	}
	e.mu.Lock()
	e.mu.named[bucket] = found - len(unneeded)
	e.mu.Unlock()
	return e.deleteSources(ctx, bucket, unneeded)
}

// worthReading: so many sources beyond those that closed indexes named last time.
func (e *Engine) worthReading(bucket string, sources int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return sources >= e.mu.named[bucket]+forgetWorth
}

// reapedThrough is the version through which all open indexes of a bucket were
// reaped, and the keys of its other indexes.
func (e *Engine) reapedThrough(ctx context.Context, bucket string) (closed []keyspace, reaped uint64, err error) {
	reaped = ^uint64(0)
	lo := recordPrefix(bucket)
	for it, err := range e.index.Scan(ctx, lo, objects.PrefixEnd(lo), index.ScanOptions{}) {
		if err != nil {
			return nil, 0, fmt.Errorf("scan the indexes of bucket %s: %w", bucket, err)
		}
		rec, err := openRecord(it.Value)
		if err != nil {
			return nil, 0, err
		}
		e.mu.Lock()
		o := e.mu.byInc[rec.inc]
		e.mu.Unlock()
		if o == nil {
			closed = append(closed, dataPrefix(bucket, rec.inc))
		} else {
			reaped = min(reaped, o.reaped.Load())
		}
	}
	return closed, reaped, nil
}

// keepNamed takes out the sources of vectors that an index has.
func (e *Engine) keepNamed(ctx context.Context, keys keyspace, unneeded map[objects.VersionID]uint64) error {
	lo, hi := keys.all(keyMapping)
	for it, err := range e.index.Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("scan for vectors of dead sources: %w", err)
		}
		_, payload, err := objects.DecodeValue(it.Value)
		if err != nil {
			return err
		}
		m, err := decodeMapping(payload)
		if err != nil {
			return err
		}
		delete(unneeded, m.source)
	}
	return nil
}

func (e *Engine) deleteSources(ctx context.Context, bucket string, unneeded map[objects.VersionID]uint64) error {
	var all []index.Mutation
	for v, died := range unneeded {
		key := append(objects.SourceDeadPrefix(bucket), v.String()...)
		all = append(all, index.Mutation{Kind: index.Delete, Key: key, Guard: &index.Condition{Kind: index.KeyVersion, Key: key, Version: died}})
	}
	for some := range slices.Chunk(all, forgetTogether) {
		if _, err := e.commit(ctx, index.Txn{Mutations: some}); err != nil {
			return fmt.Errorf("forget %d dead sources of bucket %s: %w", len(some), bucket, err)
		}
	}
	return nil
}
