package indextest_test

import (
	"context"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

func TestNewAnswersWhatWasCommitted(t *testing.T) {
	i := indextest.New(t)
	ctx := context.Background()
	if _, err := i.Commit(ctx, index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: []byte("k"), Value: []byte("v")}}}); err != nil {
		t.Fatal(err)
	}
	item, err := i.Get(ctx, []byte("k"))
	if err != nil || string(item.Value) != "v" {
		t.Fatalf("got %q, %v", item.Value, err)
	}
}
