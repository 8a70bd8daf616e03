package vectors

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// Repair puts a tail record again, with other addresses: the push is still one push.
func TestARepairedTailRecordIsNoNewPush(t *testing.T) {
	ctx := context.Background()
	s := newMemoryStore(t, 1)
	e := openEngine(t, Options{Store: s})
	if _, err := e.CreateIndex(ctx, bucket, Spec{Name: "notes", Dimension: 2}); err != nil {
		t.Fatal(err)
	}
	var batch []Vector
	for i := range 200 {
		batch = append(batch, Vector{Key: fmt.Sprint(i), Values: []float32{1, float32(i)}})
	}
	if err := e.Put(ctx, bucket, "notes", batch); err != nil {
		t.Fatal(err)
	}
	var swap []index.Mutation
	for item, err := range s.Index().Scan(ctx, nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := parseKey(item.Key); ok && key.kind == keyTail {
			swap = append(swap, index.Mutation{Kind: index.Put, Key: bytes.Clone(item.Key), Value: bytes.Clone(item.Value)})
		}
	}
	if _, err := s.Index().Commit(ctx, index.Txn{Mutations: swap}); err != nil || len(swap) != 1 {
		t.Fatalf("%d tail records, %v", len(swap), err)
	}
	for range 2 { // before and after the fold
		answer, err := e.Query(ctx, bucket, "notes", Request{Values: []float32{1, 0}, TopK: 1000})
		if err != nil || len(answer.Hits) != len(batch) {
			t.Errorf("%d hits for %d vectors, %v", len(answer.Hits), len(batch), err)
		}
		if err := e.Flush(ctx); err != nil {
			t.Errorf("fold: %v", err)
		}
	}
}
