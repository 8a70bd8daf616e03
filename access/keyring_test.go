package access_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// meddled is an index with which something happens after a read, and which may
// not know what became of a commit.
type meddled struct {
	index.Index
	read    func()
	unknown bool
}

func (m *meddled) Get(ctx context.Context, key []byte) (index.Item, error) {
	item, err := m.Index.Get(ctx, key)
	if f := m.read; f != nil {
		m.read = nil
		f()
	}
	return item, err
}

func (m *meddled) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	if m.unknown {
		return index.Result{}, index.ErrUnknown
	}
	return m.Index.Commit(ctx, txn)
}

func meddledRing(t *testing.T) (*access.Keyring, *meddled, access.Key) {
	ix := &meddled{Index: indextest.New(t)}
	r, err := access.Open(t.Context(), hosttest.New(1), ix, make([]byte, access.MasterKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	k, err := r.Create(t.Context(), "embedder", access.Rights{})
	if err != nil {
		t.Fatal(err)
	}
	return r, ix, k
}

func TestADeletedKeyIsNotBelievedAgainByWhoeverReadItBefore(t *testing.T) {
	r, ix, k := meddledRing(t)
	ix.read = func() { // a lookup has read it, and a deletion is quicker
		if err := r.Delete(t.Context(), k.AccessKey); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Secret(t.Context(), k.AccessKey); err != nil {
		t.Fatalf("it was there when it was read: %v", err)
	}
	if _, err := r.Secret(t.Context(), k.AccessKey); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("a deleted key: %v", err)
	}
}

func TestWhereADeletionsFateIsUnknownTheIndexIsAsked(t *testing.T) {
	r, ix, k := meddledRing(t)
	if _, err := r.Secret(t.Context(), k.AccessKey); err != nil {
		t.Fatal(err)
	}
	ix.unknown = true
	if err := r.Delete(t.Context(), k.AccessKey); !errors.Is(err, index.ErrUnknown) {
		t.Fatal(err)
	}
	if got, err := r.Secret(t.Context(), k.AccessKey); err != nil || got != k.Secret {
		t.Errorf("it is still there: %q, %v", got, err)
	}
	for item, err := range ix.Scan(t.Context(), nil, nil, index.ScanOptions{KeysOnly: true}) { // the entry came through after all
		if err != nil {
			t.Fatal(err)
		}
		txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: append([]byte(nil), item.Key...)}}}
		if _, err := ix.Index.Commit(t.Context(), txn); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Secret(t.Context(), k.AccessKey); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("a deleted key: %v", err)
	}
}
