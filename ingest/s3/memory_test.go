package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects"
)

// memory is a store in memory: small, and plainly right. It counts what was put.
type memory struct {
	mu      sync.Mutex
	now     func() time.Time
	buckets map[string]*memoryBucket
	uploads int
	fail    error // what every call answers, where set
	torn    int   // bytes after which reads fail; 0: never
}

type memoryBucket struct {
	created time.Time
	objects map[string]*memoryObject
	uploads map[string]*memoryUpload
}

type memoryObject struct {
	objects.Object
	body []byte
}

type memoryUpload struct {
	objects.Upload
	parts map[int]*memoryPart
	done  *memoryObject
}

type memoryPart struct {
	objects.Part
	body []byte
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, buckets: map[string]*memoryBucket{}}
}

func (m *memory) bucket(name string) (*memoryBucket, error) {
	if m.fail != nil {
		return nil, m.fail
	}
	if b := m.buckets[name]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("%w: %q", objects.ErrNoBucket, name)
}

func (m *memory) CreateBucket(_ context.Context, name string) (objects.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return objects.Bucket{}, m.fail
	}
	if m.buckets[name] != nil {
		return objects.Bucket{}, objects.ErrBucketExists
	}
	m.buckets[name] = &memoryBucket{created: m.now(), objects: map[string]*memoryObject{}, uploads: map[string]*memoryUpload{}}
	return objects.Bucket{Name: name, Created: m.now()}, nil
}

func (m *memory) Bucket(_ context.Context, name string) (objects.Bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(name)
	if err != nil {
		return objects.Bucket{}, err
	}
	return objects.Bucket{Name: name, Created: b.created}, nil
}

func (m *memory) Buckets(context.Context) (all []objects.Bucket, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, b := range m.buckets {
		all = append(all, objects.Bucket{Name: name, Created: b.created})
	}
	slices.SortFunc(all, func(a, b objects.Bucket) int { return cmp.Compare(a.Name, b.Name) })
	return all, m.fail
}

func (m *memory) DeleteBucket(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(name)
	if err != nil {
		return err
	}
	if len(b.objects) > 0 {
		return objects.ErrBucketNotEmpty
	}
	delete(m.buckets, name)
	return nil
}

// receive reads a body and holds it against all that was said of it.
func receive(body io.Reader, size int64, sum []byte, want objects.Checksums, compute string, computed func(objects.Checksums) error, verify func() error) ([]byte, objects.Checksums, string, error) {
	var got objects.Checksums
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, got, "", fmt.Errorf("read the body: %w", err)
	}
	if size >= 0 && int64(len(b)) != size {
		return nil, got, "", objects.ErrIncompleteBody
	}
	hash := md5.Sum(b)
	if sum != nil && !bytes.Equal(sum, hash[:]) {
		return nil, got, "", objects.ErrDigest
	}
	for _, a := range algorithms {
		if a.name != compute && want.Get(a.name) == nil {
			continue
		}
		h := a.make()
		h.Write(b)
		got.Set(a.name, h.Sum(nil))
		if w := want.Get(a.name); w != nil && !bytes.Equal(w, got.Get(a.name)) {
			return nil, got, "", objects.ErrDigest
		}
	}
	if verify != nil {
		if err := verify(); err != nil {
			return nil, got, "", err
		}
	}
	if computed != nil {
		if err := computed(got); err != nil {
			return nil, got, "", err
		}
	}
	return b, got, hex.EncodeToString(hash[:]), nil
}

func (b *memoryBucket) check(key string, c objects.Conditions) error {
	o := b.objects[key]
	switch {
	case c.IfAbsent && o != nil, c.IfExists && o == nil, c.IfETag != "" && (o == nil || o.ETag != c.IfETag):
		return objects.ErrPrecondition
	}
	return nil
}

func (m *memory) Put(_ context.Context, r objects.PutRequest) (objects.Object, error) {
	m.mu.Lock()
	b, err := m.bucket(r.Bucket)
	m.mu.Unlock()
	if err != nil {
		return objects.Object{}, err
	}
	body, sums, etag, err := receive(r.Body, r.Bytes, r.MD5, r.Checksums, r.ComputeChecksum, r.Computed, r.Verify)
	if err != nil {
		return objects.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := b.check(r.Key, r.Conditions); err != nil {
		return objects.Object{}, err
	}
	o := &memoryObject{body: body, Object: objects.Object{Bucket: r.Bucket, Key: r.Key, Bytes: int64(len(body)), ETag: etag, Modified: m.now(),
		ContentType: r.ContentType, Headers: r.Headers, Metadata: r.Metadata, Checksums: sums}}
	b.objects[r.Key] = o
	return o.Object, nil
}

func (m *memory) find(bucket, key string) (*memoryObject, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(bucket)
	if err != nil {
		return nil, err
	}
	if o := b.objects[key]; o != nil {
		return o, nil
	}
	return nil, objects.ErrNoObject
}

func (m *memory) Head(_ context.Context, bucket, key string) (objects.Object, error) {
	o, err := m.find(bucket, key)
	if err != nil {
		return objects.Object{}, err
	}
	return o.Object, nil
}

type memoryContent struct {
	b    []byte
	torn int
}

func (c memoryContent) NewReader(_ context.Context, off, n int64) io.ReadCloser {
	r := io.Reader(bytes.NewReader(c.b[off : off+n]))
	if c.torn > 0 {
		r = io.MultiReader(io.LimitReader(r, int64(c.torn)), failing{objects.ErrUnavailable})
	}
	return io.NopCloser(r)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (m *memory) Open(_ context.Context, bucket, key string) (objects.Object, Content, error) {
	o, err := m.find(bucket, key)
	if err != nil {
		return objects.Object{}, nil, err
	}
	return o.Object, memoryContent{o.body, m.torn}, nil
}

func (m *memory) Delete(_ context.Context, r objects.DeleteRequest) (objects.DeleteResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(r.Bucket)
	if err != nil {
		return objects.DeleteResult{}, err
	}
	if err := b.check(r.Key, r.Conditions); err != nil {
		return objects.DeleteResult{}, err
	}
	_, existed := b.objects[r.Key]
	delete(b.objects, r.Key)
	return objects.DeleteResult{Existed: existed}, nil
}

func (m *memory) List(_ context.Context, r objects.ListRequest) (page objects.ListPage, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(r.Bucket)
	if err != nil {
		return page, err
	}
	keys := make([]string, 0, len(b.objects))
	for k := range b.objects {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	last := ""
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, r.Prefix)
		if !ok || k <= r.After {
			continue
		}
		prefix := ""
		if at := strings.Index(rest, r.Delimiter); r.Delimiter != "" && at >= 0 {
			prefix = r.Prefix + rest[:at+len(r.Delimiter)]
		}
		if prefix != "" && (prefix == last || prefix == r.After || strings.HasPrefix(r.After, prefix)) {
			continue
		}
		if len(page.Objects)+len(page.Prefixes) == r.Max {
			page.Next = last
			return page, nil
		}
		if prefix != "" {
			page.Prefixes = append(page.Prefixes, prefix)
			last = prefix
			continue
		}
		page.Objects = append(page.Objects, b.objects[k].Object)
		last = k
	}
	return page, nil
}

func (m *memory) Copy(_ context.Context, r objects.CopyRequest) (objects.Object, error) {
	o, err := m.find(r.SourceBucket, r.SourceKey)
	if err != nil {
		return objects.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(r.Bucket)
	if err != nil {
		return objects.Object{}, err
	}
	if err := b.check(r.Key, r.Conditions); err != nil {
		return objects.Object{}, err
	}
	c := *o
	c.Key, c.Bucket, c.Modified = r.Key, r.Bucket, m.now()
	if r.ReplaceMetadata {
		c.ContentType, c.Headers, c.Metadata = r.ContentType, r.Headers, r.Metadata
	}
	b.objects[r.Key] = &c
	return c.Object, nil
}

func (m *memory) CreateUpload(_ context.Context, r objects.UploadRequest) (objects.Upload, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(r.Bucket)
	if err != nil {
		return objects.Upload{}, err
	}
	m.uploads++
	u := &memoryUpload{parts: map[int]*memoryPart{}, Upload: objects.Upload{ID: fmt.Sprintf("upload-%04d", m.uploads), Bucket: r.Bucket, Key: r.Key,
		Created: m.now(), ContentType: r.ContentType, Headers: r.Headers, Metadata: r.Metadata,
		ChecksumAlgorithm: r.ChecksumAlgorithm, ChecksumType: r.ChecksumType}}
	if u.ChecksumAlgorithm != "" && u.ChecksumType == "" {
		u.ChecksumType = objects.ChecksumComposite
	}
	b.uploads[u.ID] = u
	return u.Upload, nil
}

func (m *memory) upload(bucket, key, id string) (*memoryBucket, *memoryUpload, error) {
	b, err := m.bucket(bucket)
	if err != nil {
		return nil, nil, err
	}
	if u := b.uploads[id]; u != nil && u.Key == key {
		return b, u, nil
	}
	return nil, nil, objects.ErrNoUpload
}

func (m *memory) UploadPart(_ context.Context, r objects.PartRequest) (objects.Part, error) {
	m.mu.Lock()
	_, u, err := m.upload(r.Bucket, r.Key, r.UploadID)
	m.mu.Unlock()
	if err != nil {
		return objects.Part{}, err
	}
	body, sums, etag, err := receive(r.Body, r.Bytes, r.MD5, r.Checksums, cmp.Or(r.ComputeChecksum, u.ChecksumAlgorithm), r.Computed, r.Verify)
	if err != nil {
		return objects.Part{}, err
	}
	return m.addPart(u, r.Number, body, sums, etag), nil
}

func (m *memory) addPart(u *memoryUpload, number int, body []byte, sums objects.Checksums, etag string) objects.Part {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := objects.Part{Number: number, ETag: etag, Bytes: int64(len(body)), Modified: m.now(), Checksums: sums}
	u.parts[number] = &memoryPart{p, body}
	return p
}

func (m *memory) UploadPartCopy(_ context.Context, r objects.PartCopyRequest) (objects.Part, error) {
	o, err := m.find(r.SourceBucket, r.SourceKey)
	if err != nil {
		return objects.Part{}, err
	}
	m.mu.Lock()
	_, u, err := m.upload(r.Bucket, r.Key, r.UploadID)
	m.mu.Unlock()
	if err != nil {
		return objects.Part{}, err
	}
	if r.Bytes < 0 {
		r.Bytes = o.Bytes - r.Offset
	}
	if r.Offset+r.Bytes > o.Bytes {
		return objects.Part{}, objects.ErrRange
	}
	body := o.body[r.Offset : r.Offset+r.Bytes]
	sum := md5.Sum(body)
	return m.addPart(u, r.Number, body, objects.Checksums{}, hex.EncodeToString(sum[:])), nil
}

func (m *memory) CompleteUpload(_ context.Context, r objects.CompleteRequest) (objects.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, u, err := m.upload(r.Bucket, r.Key, r.UploadID)
	if err != nil {
		return objects.Object{}, err
	}
	if u.done != nil {
		return u.done.Object, nil
	}
	if err := b.check(r.Key, r.Conditions); err != nil {
		return objects.Object{}, err
	}
	o := &memoryObject{Object: objects.Object{Bucket: r.Bucket, Key: r.Key, Modified: m.now(), ContentType: u.ContentType, Headers: u.Headers, Metadata: u.Metadata}}
	sums := md5.New()
	for i, cp := range r.Parts {
		p := u.parts[cp.Number]
		switch {
		case i > 0 && cp.Number <= r.Parts[i-1].Number:
			return objects.Object{}, objects.ErrPartOrder
		case p == nil || p.ETag != cp.ETag:
			return objects.Object{}, objects.ErrInvalidPart
		case i < len(r.Parts)-1 && p.Bytes < objects.PartBytesMin:
			return objects.Object{}, objects.ErrPartTooSmall
		}
		sum := md5.Sum(p.body)
		sums.Write(sum[:])
		o.body = append(o.body, p.body...)
		o.PartBytes = append(o.PartBytes, p.Bytes)
	}
	o.Bytes = int64(len(o.body))
	o.ETag = fmt.Sprintf("%x-%d", sums.Sum(nil), len(r.Parts))
	o.Checksums = u.composite(r.Parts)
	b.objects[r.Key], u.done = o, o
	return o.Object, nil
}

func (u *memoryUpload) composite(parts []objects.CompletePart) (sums objects.Checksums) {
	for _, a := range algorithms {
		if a.name != u.ChecksumAlgorithm || u.ChecksumType != objects.ChecksumComposite {
			continue
		}
		h := a.make()
		for _, p := range parts {
			h.Write(u.parts[p.Number].Checksums.Get(a.name))
		}
		sums.Set(a.name, h.Sum(nil))
		sums.Composite = true
	}
	return sums
}

func (m *memory) AbortUpload(_ context.Context, bucket, key, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, u, err := m.upload(bucket, key, id)
	if err == nil {
		delete(b.uploads, u.ID)
	}
	return err
}

func (m *memory) ListParts(_ context.Context, bucket, key, id string, after, most int) (page objects.PartPage, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, u, err := m.upload(bucket, key, id)
	if err != nil {
		return page, err
	}
	page.Upload = u.Upload
	for n := after + 1; n <= objects.PartsMax; n++ {
		p := u.parts[n]
		if p == nil {
			continue
		}
		if len(page.Parts) == most {
			page.Next = page.Parts[most-1].Number
			break
		}
		page.Parts = append(page.Parts, p.Part)
	}
	return page, nil
}

func (m *memory) ListUploads(_ context.Context, r objects.UploadsRequest) (page objects.UploadsPage, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.bucket(r.Bucket)
	if err != nil {
		return page, err
	}
	var all []objects.Upload
	for _, u := range b.uploads {
		after := u.Key > r.KeyMarker || u.Key == r.KeyMarker && r.UploadIDMarker != "" && u.ID > r.UploadIDMarker
		if u.done == nil && strings.HasPrefix(u.Key, r.Prefix) && after {
			all = append(all, u.Upload)
		}
	}
	slices.SortFunc(all, func(a, b objects.Upload) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID)) })
	if len(all) > r.Max {
		all = all[:r.Max]
		page.NextKeyMarker, page.NextUploadIDMarker = all[r.Max-1].Key, all[r.Max-1].ID
	}
	page.Uploads = all
	return page, nil
}

// objectCount is how much lies in the store, pending uploads' parts with it.
func (m *memory) objectCount() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.buckets {
		n += len(b.objects)
		for _, u := range b.uploads {
			n += len(u.parts)
		}
	}
	return n
}
