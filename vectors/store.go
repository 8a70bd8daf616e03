package vectors

import (
	"context"
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
	// LinkSource is what a transaction must add so that it holds only while the
	// object's version is current, and so that the version's end is told to us.
	LinkSource(ctx context.Context, bucket, key string, v objects.VersionID) ([]index.Condition, []index.Mutation, error)
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
