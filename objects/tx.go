package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tarnlake/tarn/objects/index"
)

// Tx gathers changes to objects and to what others keep in the index, which
// take effect in one transaction or not at all. It is for one goroutine. What
// it read may have changed by the time of Commit: then Commit fails with
// ErrConflict, and the caller begins another one.
type Tx struct {
	RequestID index.RequestID // given by Begin; a caller that may repeat the request sets its own

	store      *Store
	err        error
	conditions []index.Condition
	mutations  []index.Mutation
	buckets    map[string]bool      // whose existence is already demanded
	put        map[string]VersionID // by index key: objects that this Tx puts; zero where it deletes
	linked     map[VersionID]bool   // whose lineage this Tx marks
	replaced   map[VersionID]bool   // which this Tx ends
}

// Begin starts a transaction. It holds nothing and needs no end.
func (s *Store) Begin() *Tx {
	tx := &Tx{
		store: s, buckets: map[string]bool{}, put: map[string]VersionID{},
		linked: map[VersionID]bool{}, replaced: map[VersionID]bool{},
	}
	if _, err := io.ReadFull(s.Host().Entropy, tx.RequestID[:]); err != nil {
		tx.err = fmt.Errorf("make a request id: %w", err)
	}
	return tx
}

// Check makes the transaction depend on c.
func (tx *Tx) Check(c index.Condition) { tx.conditions = append(tx.conditions, c) }

// Mutate adds a change. Values below "b/" are envelopes (EncodeValue).
func (tx *Tx) Mutate(m index.Mutation) { tx.mutations = append(tx.mutations, m) }

// needBucket demands that the bucket exists when the transaction is applied, so
// that a deleted bucket never regains objects.
func (tx *Tx) needBucket(bucket string) {
	if !tx.buckets[bucket] {
		tx.buckets[bucket] = true
		tx.Check(index.Condition{Kind: index.KeyExists, Key: BucketKey(bucket)})
	}
}

// PutObject makes what was staged the object's present version, where c holds.
// A Staged may go into another Tx after ErrConflict, but not after success.
func (tx *Tx) PutObject(ctx context.Context, st *Staged, c Conditions) error {
	age := tx.store.Host().Clock.Now().Sub(st.record.modified)
	if kept := tx.store.o.StageKept; age > kept-kept/8 {
		return fmt.Errorf("put %s/%s: %w: %v ago, kept %v", st.bucket, clip(st.key), ErrStageTooOld, age, kept)
	}
	return tx.putVersion(ctx, st.bucket, st.key, st.version(), c, st.mutations())
}

// putVersion replaces whatever is at key by the mutations of a new version.
func (tx *Tx) putVersion(ctx context.Context, bucket, key string, v VersionID, c Conditions, puts []index.Mutation) error {
	if err := tx.claim(bucket, key, v); err != nil {
		return err
	}
	now, err := tx.store.present(ctx, bucket, key)
	if err != nil {
		return err
	}
	if err := c.hold(now); err != nil {
		return fmt.Errorf("put %s/%s: %w", bucket, clip(key), err)
	}
	tx.needBucket(bucket)
	tx.replace(bucket, key, now)
	for _, m := range puts {
		tx.Mutate(m)
	}
	return nil
}

// DeleteObject ends the object's present version, where c holds. That there is
// none is no error.
func (tx *Tx) DeleteObject(ctx context.Context, bucket, key string, c Conditions) error {
	_, err := tx.deleteObject(ctx, bucket, key, c)
	return err
}

func (tx *Tx) deleteObject(ctx context.Context, bucket, key string, c Conditions) (DeleteResult, error) {
	if err := tx.claim(bucket, key, VersionID{}); err != nil {
		return DeleteResult{}, err
	}
	now, err := tx.store.present(ctx, bucket, key)
	if err != nil {
		return DeleteResult{}, err
	}
	if err := c.hold(now); err != nil {
		return DeleteResult{}, fmt.Errorf("delete %s/%s: %w", bucket, clip(key), err)
	}
	tx.replace(bucket, key, now)
	if now == nil {
		return DeleteResult{}, nil
	}
	tx.Mutate(index.Mutation{Kind: index.Delete, Key: ObjectKey(bucket, key)})
	return DeleteResult{Existed: true, Version: now.record.version}, nil
}

// claim refuses a second change of one object: conditions see the state before
// the transaction, so that the second could not see the first.
func (tx *Tx) claim(bucket, key string, v VersionID) error {
	if err := checkPlace(bucket, key); err != nil {
		return err
	}
	k := string(ObjectKey(bucket, key))
	if _, twice := tx.put[k]; twice {
		return invalid("key", "%q is changed twice in one transaction", clip(key))
	}
	tx.put[k] = v
	return nil
}

// replace makes the transaction depend on what is there now, and takes away all
// that belongs to it but the entry itself.
func (tx *Tx) replace(bucket, key string, now *present) {
	k := ObjectKey(bucket, key)
	if now == nil {
		tx.Check(index.Condition{Kind: index.KeyAbsent, Key: k})
		return
	}
	tx.Check(index.Condition{Kind: index.KeyVersion, Key: k, Version: now.revision})
	if s := now.record.segments; s.kind != 0 {
		p := segmentsPrefix(bucket, s.kind, s.id)
		tx.Mutate(index.Mutation{Kind: index.DeleteRange, Key: p, End: PrefixEnd(p)})
	}
	tx.endLineage(bucket, key, now.record.version)
}

// endLineage tells the followers that a version is dead, if any vectors came
// from it. The guard decides at apply, so that no race with LinkSource can hide it.
func (tx *Tx) endLineage(bucket, key string, v VersionID) {
	tx.replaced[v] = true
	marker := lineageKey(bucket, v)
	marked := &index.Condition{Kind: index.KeyExists, Key: marker}
	if tx.linked[v] {
		marked = nil
	}
	dead := deadRecord{key: key, at: tx.store.Host().Clock.Now()}
	tx.Mutate(index.Mutation{Kind: index.Put, Key: sourceDeadKey(bucket, v), Value: EncodeValue(nil, dead.encode()), Guard: marked})
	tx.Mutate(index.Mutation{Kind: index.Delete, Key: marker, Guard: marked})
}

// LinkSource says that the transaction adds something derived from this version
// of an object, which shall die with it. It fails unless the version is present,
// or is put by this very transaction.
func (tx *Tx) LinkSource(ctx context.Context, bucket, key string, v VersionID) error {
	if err := checkPlace(bucket, key); err != nil {
		return err
	}
	if tx.linked[v] {
		return nil
	}
	if put, changed := tx.put[string(ObjectKey(bucket, key))]; changed {
		if put != v || v == (VersionID{}) {
			return fmt.Errorf("%w: version %s of %s/%s ends in this transaction", ErrPrecondition, v, bucket, clip(key))
		}
	} else if err := tx.demand(ctx, bucket, key, v); err != nil {
		return err
	}
	tx.linked[v] = true
	marker := lineageKey(bucket, v)
	tx.Mutate(index.Mutation{Kind: index.Put, Key: marker, Value: EncodeValue(nil, nil),
		Guard: &index.Condition{Kind: index.KeyAbsent, Key: marker}})
	return nil
}

// demand makes the transaction depend on a version's being present.
func (tx *Tx) demand(ctx context.Context, bucket, key string, v VersionID) error {
	now, err := tx.store.present(ctx, bucket, key)
	if err != nil {
		return err
	}
	if now == nil {
		return noObject(bucket, key)
	}
	if now.record.version != v {
		return fmt.Errorf("%w: %s/%s is not at version %s", ErrPrecondition, bucket, clip(key), v)
	}
	tx.Check(index.Condition{Kind: index.KeyVersion, Key: ObjectKey(bucket, key), Version: now.revision})
	return nil
}

// commitTries bounds the attempts to learn an entry's fate. Between them lie
// 50, 100 and 200 ms.
const commitTries = 4

// Commit applies the transaction. ErrConflict (it is also the
// *index.ConditionError) means that nothing was applied because something that
// it depends on has changed.
func (s *Store) Commit(ctx context.Context, tx *Tx) (index.Result, error) {
	if tx.err != nil {
		return index.Result{}, tx.err
	}
	txn := index.Txn{RequestID: tx.RequestID, Conditions: tx.conditions, Mutations: tx.mutations}
	res, err := s.Index().Commit(ctx, txn)
	if errors.Is(err, index.ErrUnknown) {
		res, err = s.learn(ctx, txn, err)
	}
	if err == nil {
		s.repairs.committed(tx.mutations)
	}
	return res, tx.explain(err)
}

// learn asks again for a transaction whose fate is unknown. What keeps a later
// try from being written says nothing of the first one.
func (s *Store) learn(ctx context.Context, txn index.Txn, unknown error) (index.Result, error) {
	wait := 50 * time.Millisecond
	for try := 1; try < commitTries; try++ {
		if err := s.Host().Clock.Sleep(ctx, wait); err != nil {
			break
		}
		res, err := s.Index().Commit(ctx, txn)
		var failed *index.ConditionError
		if err == nil || errors.As(err, &failed) {
			return res, err
		}
		wait *= 2
	}
	return index.Result{}, unknown
}

// explain puts an error of the index into this package's words.
func (tx *Tx) explain(err error) error {
	var failed *index.ConditionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		if bucket, ok := tx.missingBucket(failed); ok {
			return noBucket(bucket)
		}
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case errors.Is(err, index.ErrUnknown) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		// The cause may be ErrReadOnly, which would promise that nothing was written.
		return fmt.Errorf("commit: %w: %v", index.ErrUnknown, err)
	case errors.Is(err, index.ErrReadOnly):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, index.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return fmt.Errorf("commit: %w", err)
}

func (tx *Tx) missingBucket(failed *index.ConditionError) (string, bool) {
	if failed.Condition >= len(tx.conditions) {
		return "", false
	}
	c := tx.conditions[failed.Condition]
	bucket, ok := strings.CutPrefix(string(c.Key), bucketPrefix)
	return bucket, ok && c.Kind == index.KeyExists
}

// conflictTries bounds how often a conditional request is tried anew because
// others were faster. An unconditional one is tried until it is applied: of all
// that race for a key one wins each round, so the queue moves.
const conflictTries = 16

// apply builds and commits transactions until one is applied, or until build
// finds that it cannot be.
func (s *Store) apply(ctx context.Context, conditional bool, build func(*Tx) error) (index.Result, error) {
	for try := 1; ; try++ {
		tx := s.Begin()
		if err := build(tx); err != nil {
			return index.Result{}, err
		}
		res, err := s.Commit(ctx, tx)
		if !errors.Is(err, ErrConflict) || conditional && try == conflictTries {
			return res, err
		}
		if ctx.Err() != nil {
			return res, fmt.Errorf("after %d tries: %w", try, ctx.Err())
		}
	}
}
