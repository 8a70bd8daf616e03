package objects

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// CreateBucket makes an empty bucket. ErrBucketExists.
func (s *Store) CreateBucket(ctx context.Context, name string) (Bucket, error) {
	return s.CreateBucketWith(ctx, name, nil)
}

// CreateBucketWith makes a bucket together with what others keep of it, in one transaction.
func (s *Store) CreateBucketWith(ctx context.Context, name string, beside func(made Bucket) ([]index.Mutation, error)) (Bucket, error) {
	if err := CheckBucketName(name); err != nil {
		return Bucket{}, err
	}
	if err := s.drives.writable(s.o.DataShards, s.o.ParityShards, false); errors.Is(err, ErrReadOnly) {
		return Bucket{}, fmt.Errorf("create bucket %q: %w", name, err) // its entry would last, but nothing could be put there
	}
	r := bucketRecord{created: s.Host().Clock.Now().UTC()}
	tx := s.Begin()
	tx.Check(index.Condition{Kind: index.KeyAbsent, Key: BucketKey(name)})
	tx.Mutate(index.Mutation{Kind: index.Put, Key: BucketKey(name), Value: EncodeValue(nil, r.encode())})
	made := Bucket{Name: name, Created: r.created.Round(0)}
	if beside != nil {
		more, err := beside(made)
		if err != nil {
			return Bucket{}, err
		}
		tx.mutations = append(tx.mutations, more...)
	}
	if _, err := s.Commit(ctx, tx); errors.Is(err, ErrConflict) {
		return Bucket{}, fmt.Errorf("%w: %q", ErrBucketExists, name)
	} else if err != nil {
		return Bucket{}, fmt.Errorf("create bucket %q: %w", name, err)
	}
	return made, nil
}

// Bucket describes a bucket. ErrNoBucket.
func (s *Store) Bucket(ctx context.Context, name string) (Bucket, error) {
	if CheckBucketName(name) != nil {
		return Bucket{}, noBucket(name)
	}
	item, err := s.Index().Get(ctx, BucketKey(name))
	if errors.Is(err, index.ErrNotFound) {
		return Bucket{}, noBucket(name)
	}
	if err != nil {
		return Bucket{}, fmt.Errorf("look up bucket %q: %w", name, err)
	}
	return decodeBucket(name, item.Value)
}

func decodeBucket(name string, value []byte) (Bucket, error) {
	_, payload, err := DecodeValue(value)
	if err != nil {
		return Bucket{}, fmt.Errorf("read bucket %q: %w", name, err)
	}
	r, err := decodeBucketRecord(payload)
	return Bucket{Name: name, Created: r.created}, err
}

// Buckets lists all buckets by name.
func (s *Store) Buckets(ctx context.Context) ([]Bucket, error) {
	var all []Bucket
	lo := []byte(bucketPrefix)
	for item, err := range s.Index().Scan(ctx, lo, PrefixEnd(lo), index.ScanOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list buckets: %w", err)
		}
		b, err := decodeBucket(string(item.Key[len(lo):]), item.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// kinds whose keys keep a bucket from being deleted, and those that live only
// beside them and go with the bucket. Source-dead entries stay: whoever derived
// something from this bucket's objects, maybe elsewhere, has yet to read them.
var (
	holdingKinds = []Kind{KindObject, KindUpload, KindVector, KindTable}
	leavingKinds = []Kind{KindPart, KindPiece, KindLineage, KindStripe, KindSetting}
)

// DeleteBucket removes an empty bucket. ErrNoBucket, ErrBucketNotEmpty.
func (s *Store) DeleteBucket(ctx context.Context, name string) error {
	if CheckBucketName(name) != nil {
		return noBucket(name)
	}
	tx := s.Begin()
	tx.needBucket(name)
	for _, k := range holdingKinds {
		p := KindPrefix(name, k)
		tx.Check(index.Condition{Kind: index.RangeEmpty, Key: p, End: PrefixEnd(p)})
	}
	tx.Mutate(index.Mutation{Kind: index.Delete, Key: BucketKey(name)})
	for _, k := range leavingKinds {
		p := KindPrefix(name, k)
		tx.Mutate(index.Mutation{Kind: index.DeleteRange, Key: p, End: PrefixEnd(p)})
	}
	if _, err := s.Commit(ctx, tx); errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: %q", ErrBucketNotEmpty, name)
	} else if err != nil {
		return fmt.Errorf("delete bucket %q: %w", name, err)
	}
	return nil
}
