package vectors

import (
	"context"
	"fmt"
	"io"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/segment"
)

// Store is what an engine needs of the object layer.
type Store interface {
	Host() *host.Host
	Index() index.Index
	// WriteBlob makes bytes durable; they have no name until an index entry holds the blob.
	WriteBlob(ctx context.Context, r io.Reader, size int64) (objects.Blob, error)
	// ReadBlob fills p from an offset on, verified.
	ReadBlob(ctx context.Context, b objects.Blob, p []byte, off int64) error
	Begin() Tx
	// Commit applies what was begun here: an *index.ConditionError where something
	// changed since it was read.
	Commit(ctx context.Context, tx Tx) (index.Result, error)
}

// Tx is a transaction that is being gathered; *objects.Tx is one.
type Tx interface {
	Check(c index.Condition)
	Mutate(m index.Mutation)
	// LinkSource makes what is gathered depend on an object's present version, and
	// its end told to us.
	LinkSource(ctx context.Context, bucket, key string, v objects.VersionID) error
}

// Over is the object layer as an engine sees it.
func Over(s *objects.Store) Store { return objectLayer{s} }

type objectLayer struct{ *objects.Store }

func (l objectLayer) Begin() Tx { return l.Store.Begin() }

func (l objectLayer) Commit(ctx context.Context, tx Tx) (index.Result, error) {
	return l.Store.Commit(ctx, tx.(*objects.Tx)) // made by Begin
}

func (l objectLayer) ReadBlob(ctx context.Context, b objects.Blob, p []byte, off int64) error {
	if n, err := l.OpenBlob(b).ReadAt(ctx, p, off); n < len(p) {
		return fmt.Errorf("read %d of %d bytes at %d: %w", n, len(p), off, err)
	}
	return nil
}

// Row is one stored vector as open row files keep it.
type Row struct {
	ID       uint64
	Key      string
	Vector   []float32
	Metadata []byte // JSON object, or nil
	Bucket   string // of the source
	Source   *segment.Source
}

// RowFile is one written file of rows, in rising order of their ids.
type RowFile struct {
	Blobs   []objects.Blob
	Rows    int
	FirstID uint64
	LastID  uint64
	Detail  []byte // the writer's own: what it needs to find a row
}

// RowFiles keeps rows where others can read them.
type RowFiles interface {
	// Write makes a file of rows, which rise by id, and reads it back before it answers.
	Write(ctx context.Context, bucket, name string, rows []Row) (RowFile, error)
	// Read returns the rows in the given places of the file, in that order.
	Read(ctx context.Context, f RowFile, places []int) ([]Row, error)
}

func readWhole(ctx context.Context, s Store, b objects.Blob) ([]byte, error) {
	p := make([]byte, b.Bytes)
	return p, s.ReadBlob(ctx, b, p, 0)
}
