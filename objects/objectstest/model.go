package objectstest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects"
)

// Store is what the doors call: the real one and Model offer it alike.
type Store interface {
	CreateBucket(ctx context.Context, name string) (objects.Bucket, error)
	Bucket(ctx context.Context, name string) (objects.Bucket, error)
	Buckets(ctx context.Context) ([]objects.Bucket, error)
	DeleteBucket(ctx context.Context, name string) error

	Put(ctx context.Context, r objects.PutRequest) (objects.Object, error)
	Head(ctx context.Context, bucket, key string) (objects.Object, error)
	Open(ctx context.Context, bucket, key string) (*objects.ObjectReader, error)
	Delete(ctx context.Context, r objects.DeleteRequest) (objects.DeleteResult, error)
	DeleteMany(ctx context.Context, bucket string, rs []objects.DeleteRequest) ([]objects.DeleteOutcome, error)
	List(ctx context.Context, r objects.ListRequest) (objects.ListPage, error)
	Copy(ctx context.Context, r objects.CopyRequest) (objects.Object, error)

	CreateUpload(ctx context.Context, r objects.UploadRequest) (objects.Upload, error)
	UploadPart(ctx context.Context, r objects.PartRequest) (objects.Part, error)
	UploadPartCopy(ctx context.Context, r objects.PartCopyRequest) (objects.Part, error)
	CompleteUpload(ctx context.Context, r objects.CompleteRequest) (objects.Object, error)
	AbortUpload(ctx context.Context, bucket, key, id string) error
	ListParts(ctx context.Context, bucket, key, id string, after, most int) (objects.PartPage, error)
	ListUploads(ctx context.Context, r objects.UploadsRequest) (objects.UploadsPage, error)
}

// Model is a Store in memory.
type Model struct {
	Now          func() time.Time // time of changes; nil: a second later at each
	PartBytesMin int64            // of every part but the last; 0: objects.PartBytesMin

	mu      sync.Mutex
	buckets map[string]*bucket
	changes uint64
}

var (
	_ Store = (*Model)(nil)
	_ Store = (*objects.Store)(nil)
)

type bucket struct {
	objects.Bucket
	objects map[string]*object
	uploads map[string]*upload // by id
}

// object never changes; a new version is a new one.
type object struct {
	objects.Object
	bytes  []byte
	upload string // that it was made of
	parts  []objects.CompletePart
}

// NewModel is an empty store.
func NewModel() *Model { return &Model{buckets: map[string]*bucket{}} }

// tick is the number and the time of the next change.
func (m *Model) tick() (uint64, time.Time) {
	m.changes++
	if m.Now != nil {
		return m.changes, m.Now()
	}
	return m.changes, time.Unix(1_800_000_000+int64(m.changes), 0).UTC()
}

func id(n uint64) (v objects.VersionID) {
	binary.BigEndian.PutUint64(v[:], n)
	return v
}

func (m *Model) bucket(name string) (*bucket, error) {
	if b := m.buckets[name]; b != nil {
		return b, nil
	}
	return nil, objects.ErrNoBucket
}

// place finds a bucket and checks a key.
func (m *Model) place(name, key string) (*bucket, error) {
	if objects.CheckBucketName(name) != nil {
		return nil, objects.ErrNoBucket
	}
	if err := objects.CheckKey(key); err != nil {
		return nil, err
	}
	return m.bucket(name)
}

// CreateBucket makes a bucket.
func (m *Model) CreateBucket(_ context.Context, name string) (objects.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := objects.CheckBucketName(name); err != nil {
		return objects.Bucket{}, err
	}
	if m.buckets[name] != nil {
		return objects.Bucket{}, objects.ErrBucketExists
	}
	_, now := m.tick()
	b := &bucket{objects.Bucket{Name: name, Created: now}, map[string]*object{}, map[string]*upload{}}
	m.buckets[name] = b
	return b.Bucket, nil
}

// Bucket describes a bucket.
func (m *Model) Bucket(_ context.Context, name string) (objects.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(name)
	if err != nil {
		return objects.Bucket{}, err
	}
	return b.Bucket, nil
}

// Buckets lists the buckets by name.
func (m *Model) Buckets(context.Context) ([]objects.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []objects.Bucket
	for _, name := range slices.Sorted(maps.Keys(m.buckets)) {
		all = append(all, m.buckets[name].Bucket)
	}
	return all, nil
}

// DeleteBucket removes an empty bucket.
func (m *Model) DeleteBucket(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(name)
	if err != nil {
		return err
	}
	if len(b.objects)+len(b.uploads) > 0 {
		return objects.ErrBucketNotEmpty
	}
	delete(m.buckets, name)
	return nil
}

func hold(c objects.Conditions, o *object) error {
	switch {
	case c.IfAbsent && o != nil:
		return objects.ErrPrecondition
	case (c.IfExists || c.IfETag != "") && o == nil:
		return fmt.Errorf("%w: %w", objects.ErrPrecondition, objects.ErrNoObject)
	case c.IfETag != "" && c.IfETag != o.ETag:
		return objects.ErrPrecondition
	}
	return nil
}

// precheck refuses what needs no body to be wrong.
func (m *Model) precheck(r objects.PutRequest) error {
	if err := checkAbout(r.ContentType, r.Headers, r.Metadata); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.place(r.Bucket, r.Key)
	if err != nil {
		return err
	}
	return hold(r.Conditions, b.objects[r.Key])
}

// Put writes an object.
func (m *Model) Put(_ context.Context, r objects.PutRequest) (objects.Object, error) {
	if err := m.precheck(r); err != nil {
		return objects.Object{}, err
	}
	in := intake{r.Body, r.Bytes, r.MD5, r.Checksums, []string{r.ComputeChecksum}, r.Verify, r.Computed}
	got, bodyErr := in.take()
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.place(r.Bucket, r.Key)
	if err == nil {
		err = cmp.Or(hold(r.Conditions, b.objects[r.Key]), bodyErr)
	}
	if err != nil {
		return objects.Object{}, err
	}
	o := &object{bytes: got.bytes, Object: objects.Object{
		ETag: got.etag, Checksums: got.sums,
		ContentType: r.ContentType, Headers: maps.Clone(r.Headers), Metadata: maps.Clone(r.Metadata),
	}}
	return m.set(b, r.Key, o), nil
}

func (m *Model) set(b *bucket, key string, o *object) objects.Object {
	n, now := m.tick()
	o.Bucket, o.Key, o.Bytes = b.Name, key, int64(len(o.bytes))
	o.Version, o.Modified, o.Revision = id(n), now, n
	b.objects[key] = o
	return o.Object
}

func (m *Model) object(bucket, key string) (*object, error) {
	b, err := m.place(bucket, key)
	if err != nil {
		return nil, err
	}
	if o := b.objects[key]; o != nil {
		return o, nil
	}
	return nil, objects.ErrNoObject
}

// Head describes an object.
func (m *Model) Head(_ context.Context, bucket, key string) (objects.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.object(bucket, key)
	if err != nil {
		return objects.Object{}, err
	}
	return o.Object, nil
}

// Open reads an object.
func (m *Model) Open(_ context.Context, bucket, key string) (*objects.ObjectReader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.object(bucket, key)
	if err != nil {
		return nil, err
	}
	return objects.NewObjectReader(o.Object, body(o.bytes)), nil
}

type body []byte

func (b body) ReadAt(_ context.Context, p []byte, off int64) (int, error) {
	return bytes.NewReader(b).ReadAt(p, off)
}

func (b body) NewReader(_ context.Context, off, n int64) io.ReadCloser {
	return io.NopCloser(bytes.NewReader(b[off : off+n]))
}

// Delete ends an object.
func (m *Model) Delete(_ context.Context, r objects.DeleteRequest) (objects.DeleteResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.place(r.Bucket, r.Key)
	if err != nil {
		return objects.DeleteResult{}, err
	}
	o := b.objects[r.Key]
	if err := hold(r.Conditions, o); err != nil || o == nil {
		return objects.DeleteResult{}, err
	}
	delete(b.objects, r.Key)
	return objects.DeleteResult{Existed: true, Version: o.Version}, nil
}

// DeleteMany deletes one after the other.
func (m *Model) DeleteMany(ctx context.Context, bucket string, rs []objects.DeleteRequest) ([]objects.DeleteOutcome, error) {
	if _, err := m.Bucket(ctx, bucket); err != nil {
		return nil, err
	}
	out := make([]objects.DeleteOutcome, len(rs))
	for i, r := range rs {
		r.Bucket = bucket
		out[i].DeleteResult, out[i].Err = m.Delete(ctx, r)
	}
	return out, nil
}

// Clone is a copy that changes by itself: what a request would do can be tried on it.
func (m *Model) Clone() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := &Model{Now: m.Now, PartBytesMin: m.PartBytesMin, buckets: map[string]*bucket{}, changes: m.changes}
	for name, b := range m.buckets {
		c := &bucket{b.Bucket, maps.Clone(b.objects), map[string]*upload{}}
		for id, u := range b.uploads {
			c.uploads[id] = &upload{u.Upload, maps.Clone(u.parts)}
		}
		out.buckets[name] = c
	}
	return out
}
