package authority

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// Policies keeps the policies that S3 gives to buckets. One lies in its bucket's part of the
// index, and goes with the bucket:
//
//	b/<bucket>/c/policy
//
// an envelope with JSON in it: "format" 1, and "policy", the text as it was put.
type Policies struct{ Store Buckets }

// Buckets is what Policies need of the store.
type Buckets interface {
	Index() index.Index
	Begin() *objects.Tx
	Commit(ctx context.Context, tx *objects.Tx) (index.Result, error)
}

type keptPolicy struct {
	Format int    `json:"format"`
	Policy string `json:"policy"`
}

const (
	keptFormat   = 1
	keptBytesMax = 256 << 10
)

func keptKey(bucket string) []byte {
	return append(objects.KindPrefix(bucket, objects.KindSetting), "policy"...)
}

// Get is the text of a bucket's policy; "" where it has none.
func (p Policies) Get(ctx context.Context, bucket string) (string, error) {
	item, err := p.Store.Index().Get(ctx, keptKey(bucket))
	if errors.Is(err, index.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the policy of bucket %s: %w", bucket, err)
	}
	return decodeKept(item.Value)
}

func encodeKept(text string) ([]byte, error) {
	payload, err := json.Marshal(keptPolicy{keptFormat, text})
	if err != nil {
		return nil, err
	}
	return objects.EncodeValue(nil, payload), nil
}

func decodeKept(value []byte) (string, error) {
	_, payload, err := objects.DecodeValue(value)
	if err != nil {
		return "", err
	}
	if len(payload) > keptBytesMax {
		return "", fmt.Errorf("decode a policy: %d bytes, at most %d", len(payload), keptBytesMax)
	}
	var k keptPolicy
	if err := json.Unmarshal(payload, &k); err != nil {
		return "", fmt.Errorf("decode a policy: %w", err)
	}
	if k.Format != keptFormat {
		return "", fmt.Errorf("decode a policy: format %d is not known to this version", k.Format)
	}
	return k.Policy, nil
}

// Put gives a bucket a policy that was checked; "" takes it away. objects.ErrNoBucket where there is none.
func (p Policies) Put(ctx context.Context, bucket, text string) error {
	mutation := index.Mutation{Kind: index.Delete, Key: keptKey(bucket)}
	if text != "" {
		value, err := encodeKept(text)
		if err != nil {
			return fmt.Errorf("encode the policy of bucket %s: %w", bucket, err)
		}
		mutation.Kind, mutation.Value = index.Put, value
	}
	tx := p.Store.Begin()
	tx.Check(index.Condition{Kind: index.KeyExists, Key: objects.BucketKey(bucket)})
	tx.Mutate(mutation)
	_, err := p.Store.Commit(ctx, tx)
	if errors.Is(err, objects.ErrConflict) {
		return objects.ErrNoBucket
	}
	if err != nil {
		return fmt.Errorf("keep the policy of bucket %s: %w", bucket, err)
	}
	return nil
}
