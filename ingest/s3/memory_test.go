package s3

import (
	"context"
	"io"
	"time"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// memory is the model of the store, with faults.
type memory struct {
	*objectstest.Model
	fail error // what a Put answers, where set
	torn int64 // bytes after which reads fail; 0: never
}

func newMemory() *memory {
	m := &memory{Model: objectstest.NewModel()}
	m.Now = func() time.Time { return time.Now().UTC() }
	return m
}

func (m *memory) Put(ctx context.Context, r objects.PutRequest) (objects.Object, error) {
	if m.fail != nil {
		return objects.Object{}, m.fail
	}
	return m.Model.Put(ctx, r)
}

func (m *memory) Open(ctx context.Context, bucket, key string) (*objects.ObjectReader, error) {
	r, err := m.Model.Open(ctx, bucket, key)
	if err != nil || m.torn == 0 {
		return r, err
	}
	return objects.NewObjectReader(r.Object, tornBody{r, m.torn}), nil
}

type tornBody struct {
	*objects.ObjectReader
	at int64
}

func (b tornBody) NewReader(ctx context.Context, off, n int64) io.ReadCloser {
	whole := b.ObjectReader.NewReader(ctx, off, n)
	return io.NopCloser(io.MultiReader(io.LimitReader(whole, b.at), failing{objects.ErrUnavailable}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// left is how many buckets, and objects and parts in a bucket, there are.
func (d *door) left() (buckets, things int) {
	d.t.Helper()
	ctx := context.Background()
	all, err := d.store.Buckets(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, b := range all {
		page, err := d.store.List(ctx, objects.ListRequest{Bucket: b.Name, Max: objects.ListMax})
		if err != nil {
			d.t.Fatal(err)
		}
		uploads, err := d.store.ListUploads(ctx, objects.UploadsRequest{Bucket: b.Name, Max: objects.ListMax})
		if err != nil {
			d.t.Fatal(err)
		}
		things += len(page.Objects) + len(uploads.Uploads)
	}
	return len(all), things
}

func (d *door) things() int {
	d.t.Helper()
	_, n := d.left()
	return n
}

// stored is an object as it lies in the store.
func (d *door) stored(bucket, key string) (objects.Object, []byte, error) {
	return objectstest.ReadAll(context.Background(), d.store, bucket, key)
}
