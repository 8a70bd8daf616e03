package objects

import (
	"context"
	"errors"
)

// Delete ends an object. That there was none is no error.
func (s *Store) Delete(ctx context.Context, r DeleteRequest) (DeleteResult, error) {
	var result DeleteResult
	if err := checkPlace(r.Bucket, r.Key); err != nil {
		return result, err
	}
	err := s.absentAlready(ctx, r)
	if !errors.Is(err, errPresent) {
		return result, err
	}
	_, err = s.apply(ctx, r.Conditions.any(), func(tx *Tx) (err error) {
		result, err = tx.deleteObject(ctx, r.Bucket, r.Key, r.Conditions)
		return err
	})
	if err != nil {
		return DeleteResult{}, err
	}
	return result, nil
}

var errPresent = errors.New("present")

// absentAlready answers a deletion that has nothing to delete without a
// transaction; errPresent where it has.
func (s *Store) absentAlready(ctx context.Context, r DeleteRequest) error {
	now, err := s.present(ctx, r.Bucket, r.Key)
	if err != nil {
		return err
	}
	if now != nil {
		return errPresent
	}
	if _, err := s.Bucket(ctx, r.Bucket); err != nil {
		return err
	}
	return r.Conditions.hold(nil)
}

// deleteGroup is how many deletions go into one transaction: each takes up to
// four mutations and, with keys of full length, 3.5 KB.
const deleteGroup = 200

// groupTries bounds the attempts to delete a group as one, after which its
// objects are deleted one by one.
const groupTries = 4

// DeleteMany deletes many objects of one bucket, in few transactions. Each has
// its own outcome, in the order of the requests, whose Bucket is ignored.
func (s *Store) DeleteMany(ctx context.Context, bucket string, rs []DeleteRequest) ([]DeleteOutcome, error) {
	if _, err := s.Bucket(ctx, bucket); err != nil {
		return nil, err
	}
	out := make([]DeleteOutcome, len(rs))
	seen := map[string]bool{}
	var group, single []int
	for i, r := range rs {
		if seen[r.Key] {
			single = append(single, i)
			continue
		}
		seen[r.Key] = true
		group = append(group, i)
	}
	for len(group) > 0 {
		n := min(len(group), deleteGroup)
		if !s.deleteTogether(ctx, bucket, rs, group[:n], out) {
			s.deleteSingly(ctx, bucket, rs, group[:n], out)
		}
		group = group[n:]
	}
	s.deleteSingly(ctx, bucket, rs, single, out)
	return out, ctx.Err()
}

// deleteTogether tells whether the requests at places were all answered.
func (s *Store) deleteTogether(ctx context.Context, bucket string, rs []DeleteRequest, places []int, out []DeleteOutcome) bool {
	for range groupTries {
		tx := s.Begin()
		for _, i := range places {
			out[i].DeleteResult, out[i].Err = tx.deleteObject(ctx, bucket, rs[i].Key, rs[i].Conditions)
		}
		if len(tx.mutations) == 0 && tx.err == nil {
			return true
		}
		_, err := s.Commit(ctx, tx)
		if err == nil {
			return true
		}
		if !errors.Is(err, ErrConflict) {
			failAll(places, out, err)
			return true
		}
	}
	return false
}

func failAll(places []int, out []DeleteOutcome, err error) {
	for _, i := range places {
		if out[i].Err == nil {
			out[i] = DeleteOutcome{Err: err}
		}
	}
}

func (s *Store) deleteSingly(ctx context.Context, bucket string, rs []DeleteRequest, places []int, out []DeleteOutcome) {
	for _, i := range places {
		r := rs[i]
		r.Bucket = bucket
		out[i].DeleteResult, out[i].Err = s.Delete(ctx, r)
	}
}
