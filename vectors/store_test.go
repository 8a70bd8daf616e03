package vectors

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// memoryStore is a real index over blobs in memory, with one bucket.
type memoryStore struct {
	h     *host.Host
	ix    index.Index
	mu    sync.Mutex
	blobs map[[16]byte][]byte
	next  uint64

	beforeRead func() // called once, by the next read of stripes; guarded by mu

	patient bool       // what repair moved is given up by the next repair only, as for readers that began before
	moved   [][16]byte // where it lay; guarded by mu
}

const bucket = "shelf"

func newMemoryStore(t testing.TB, seed int64) *memoryStore {
	t.Helper()
	h := host.Real(nil)
	h.Entropy = hosttest.NewEntropy(seed)
	s := &memoryStore{h: h, ix: indextest.New(t), blobs: map[[16]byte][]byte{}}
	s.set(t, objects.BucketKey(bucket), nil)
	return s
}

func (s *memoryStore) set(t testing.TB, key, value []byte, more ...index.Mutation) {
	t.Helper()
	_, err := s.ix.Commit(context.Background(), index.Txn{Mutations: append(more, index.Mutation{Kind: index.Put, Key: key, Value: value})})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *memoryStore) Host() *host.Host   { return s.h }
func (s *memoryStore) Index() index.Index { return s.ix }

func (s *memoryStore) WriteBlob(_ context.Context, r io.Reader, size int64) (objects.Blob, error) {
	data, err := io.ReadAll(r)
	if err != nil || int64(len(data)) != size {
		return objects.Blob{}, fmt.Errorf("%d of %d bytes: %w", len(data), size, err)
	}
	if size <= objects.InlineBytesMax {
		return objects.Blob{Bytes: size, Inline: data}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	b := objects.Blob{Bytes: size}
	for at := int64(0); at < size; at += objects.ShardBytesMax {
		stripe := objects.Stripe{K: 1, Bytes: uint32(min(size-at, objects.ShardBytesMax)), Shards: make([]objects.Shard, 1)}
		binary.LittleEndian.PutUint64(stripe.ID[:], s.next)
		b.Stripes = append(b.Stripes, stripe)
	}
	s.blobs[b.Stripes[0].ID] = data
	return b, nil
}

func (s *memoryStore) ReadBlob(_ context.Context, b objects.Blob, p []byte, off int64) error {
	data := b.Inline
	if len(b.Stripes) > 0 {
		s.mu.Lock()
		if before := s.beforeRead; before != nil {
			s.beforeRead = nil
			s.mu.Unlock()
			before()
			s.mu.Lock()
		}
		data = s.blobs[b.Stripes[0].ID]
		s.mu.Unlock()
	}
	if off+int64(len(p)) > int64(len(data)) {
		return io.ErrUnexpectedEOF
	}
	copy(p, data[off:])
	return nil
}

// repair moves all stripes to other places, as repair of the object layer does, and
// gives up the old ones at once. It returns the number of values that it moved.
func (s *memoryStore) repair(t testing.TB) (moved int) {
	t.Helper()
	s.mu.Lock()
	for _, id := range s.moved {
		delete(s.blobs, id)
	}
	s.moved = nil
	s.mu.Unlock()
	for it, err := range s.ix.Scan(background, nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if blobs, payload, err := objects.DecodeValue(bytes.Clone(it.Value)); err == nil && len(blobs) > 0 {
			moved += s.move(t, it, blobs, payload)
		}
	}
	return moved
}

func (s *memoryStore) move(t testing.TB, it index.Item, blobs []objects.Blob, payload []byte) int {
	stripes, old := 0, [][16]byte{}
	for i := range blobs {
		if len(blobs[i].Stripes) == 0 {
			continue
		}
		s.mu.Lock()
		s.next++
		data := s.blobs[blobs[i].Stripes[0].ID]
		old = append(old, blobs[i].Stripes[0].ID)
		for j := range blobs[i].Stripes {
			binary.LittleEndian.PutUint64(blobs[i].Stripes[j].ID[:], s.next)
			stripes++
		}
		s.blobs[blobs[i].Stripes[0].ID] = data
		s.mu.Unlock()
	}
	if stripes == 0 {
		return 0
	}
	key := bytes.Clone(it.Key)
	_, err := s.ix.Commit(background, index.Txn{
		Conditions: []index.Condition{{Kind: index.KeyVersion, Key: key, Version: it.Version}},
		Mutations:  []index.Mutation{{Kind: index.Put, Key: key, Value: objects.EncodeValue(blobs, payload), Moved: true}},
	})
	var changed *index.ConditionError
	if errors.As(err, &changed) {
		return 0
	}
	if err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.patient {
		s.moved = append(s.moved, old...)
		return 1
	}
	for _, id := range old {
		delete(s.blobs, id)
	}
	return 1
}

// putObject makes version v the current one of an object; dropObject deletes it.
func (s *memoryStore) putObject(t testing.TB, key string, v objects.VersionID) {
	s.set(t, objects.ObjectKey(bucket, key), v[:])
}

func (s *memoryStore) dropObject(t testing.TB, key string, v objects.VersionID) {
	s.set(t, append(objects.SourceDeadPrefix(bucket), v.String()...), nil, index.Mutation{Kind: index.Delete, Key: objects.ObjectKey(bucket, key)})
}

// deadSources counts the entries that tell of dead sources.
func (s *memoryStore) deadSources(t testing.TB) int {
	t.Helper()
	list, err := readDeadSources(background, s.ix, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func (s *memoryStore) Begin() Tx { return &memoryTx{s: s} }

func (s *memoryStore) Commit(ctx context.Context, tx Tx) (index.Result, error) {
	return s.ix.Commit(ctx, tx.(*memoryTx).txn)
}

type memoryTx struct {
	s   *memoryStore
	txn index.Txn
}

func (x *memoryTx) Check(c index.Condition) { x.txn.Conditions = append(x.txn.Conditions, c) }
func (x *memoryTx) Mutate(m index.Mutation) { x.txn.Mutations = append(x.txn.Mutations, m) }

func (x *memoryTx) LinkSource(ctx context.Context, bucket, key string, v objects.VersionID) error {
	it, err := x.s.ix.Get(ctx, objects.ObjectKey(bucket, key))
	if errors.Is(err, index.ErrNotFound) || err == nil && !bytes.Equal(it.Value, v[:]) {
		return objects.ErrPrecondition
	}
	x.Check(index.Condition{Kind: index.KeyVersion, Key: objects.ObjectKey(bucket, key), Version: it.Version})
	return err
}

func openEngine(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// small makes neighbourhoods form early.
var small = Tuning{YoungRows: 60, FoldRows: 40, FoldRecords: 12, Target: 12}
