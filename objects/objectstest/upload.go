package objectstest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

type upload struct {
	objects.Upload
	parts map[int]part
}

type part struct {
	objects.Part
	bytes []byte
}

// Copy reads one object and puts another.
func (m *Model) Copy(ctx context.Context, r objects.CopyRequest) (objects.Object, error) {
	if err := cmp.Or(objects.CheckKey(r.Key), objects.CheckKey(r.SourceKey)); err != nil {
		return objects.Object{}, err
	}
	src, err := m.source(r.SourceBucket, r.SourceKey, r.SourceVersion, r.SourceETag)
	if err != nil {
		return objects.Object{}, err
	}
	put := objects.PutRequest{
		Bucket: r.Bucket, Key: r.Key, Body: bytes.NewReader(src.bytes), Bytes: src.Bytes, Conditions: r.Conditions,
		ContentType: src.ContentType, Headers: src.Headers, Metadata: src.Metadata, ComputeChecksum: r.ComputeChecksum,
	}
	if r.ReplaceMetadata {
		put.ContentType, put.Headers, put.Metadata = r.ContentType, r.Headers, r.Metadata
	}
	for _, name := range []string{objects.SHA256, objects.SHA1, objects.CRC64NVME, objects.CRC32C, objects.CRC32} {
		switch has := src.Checksums.Get(name) != nil; {
		case has && !src.Checksums.Composite:
			put.Checksums.Set(name, sumOf(name, src.bytes))
		case has && r.ComputeChecksum == "":
			put.ComputeChecksum = name
		}
	}
	return m.Put(ctx, put)
}

func (m *Model) source(bucket, key string, v objects.VersionID, etag string) (*object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.object(bucket, key)
	if err != nil {
		return nil, err
	}
	if v != (objects.VersionID{}) && v != o.Version || etag != "" && etag != o.ETag {
		return nil, objects.ErrPrecondition
	}
	return o, nil
}

// CreateUpload begins an upload.
func (m *Model) CreateUpload(_ context.Context, r objects.UploadRequest) (objects.Upload, error) {
	if err := checkAbout(r.ContentType, r.Headers, r.Metadata); err != nil {
		return objects.Upload{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.place(r.Bucket, r.Key)
	if err != nil {
		return objects.Upload{}, err
	}
	kind, err := checksumType(r.ChecksumAlgorithm, r.ChecksumType)
	if err != nil {
		return objects.Upload{}, err
	}
	n, now := m.tick()
	u := &upload{parts: map[int]part{}, Upload: objects.Upload{
		ID: id(n).String(), Bucket: r.Bucket, Key: r.Key, Created: now,
		ContentType: r.ContentType, Headers: maps.Clone(r.Headers), Metadata: maps.Clone(r.Metadata),
		ChecksumAlgorithm: r.ChecksumAlgorithm, ChecksumType: kind,
	}}
	b.uploads[u.ID] = u
	return u.Upload, nil
}

// allowedTypes of checksums; the first is the default.
var allowedTypes = map[string][]string{
	"":                {""},
	objects.CRC32:     {objects.ChecksumComposite, objects.ChecksumFullObject},
	objects.CRC32C:    {objects.ChecksumComposite, objects.ChecksumFullObject},
	objects.CRC64NVME: {objects.ChecksumFullObject},
	objects.SHA1:      {objects.ChecksumComposite},
	objects.SHA256:    {objects.ChecksumComposite},
}

func checksumType(algorithm, kind string) (string, error) {
	allowed, known := allowedTypes[algorithm]
	if known && kind == "" {
		return allowed[0], nil
	}
	if !slices.Contains(allowed, kind) {
		return "", &objects.InvalidError{Field: "checksum type", Reason: "not one of its algorithm"}
	}
	return kind, nil
}

func (m *Model) upload(bucket, key, id string) (*bucket, *upload, error) {
	b, err := m.place(bucket, key)
	if err != nil {
		return nil, nil, err
	}
	if u := b.uploads[id]; u != nil && u.Key == key {
		return b, u, nil
	}
	return b, nil, objects.ErrNoUpload
}

func (m *Model) algorithm(r objects.PartRequest) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, u, err := m.upload(r.Bucket, r.Key, r.UploadID)
	if err != nil {
		return "", err
	}
	return u.ChecksumAlgorithm, nil
}

// UploadPart keeps a part.
func (m *Model) UploadPart(_ context.Context, r objects.PartRequest) (objects.Part, error) {
	if r.Number < 1 || r.Number > objects.PartsMax {
		return objects.Part{}, &objects.InvalidError{Field: "part number", Reason: "out of range"}
	}
	in := intake{r.Body, r.Bytes, r.MD5, r.Checksums, []string{r.ComputeChecksum}, r.Verify, r.Computed}
	if err := in.check(); err != nil {
		return objects.Part{}, err
	}
	name, err := m.algorithm(r)
	if err != nil {
		return objects.Part{}, err
	}
	in.compute = append(in.compute, name)
	got, err := in.take()
	if err != nil {
		return objects.Part{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, u, err := m.upload(r.Bucket, r.Key, r.UploadID)
	if err != nil {
		return objects.Part{}, err
	}
	_, now := m.tick()
	p := objects.Part{Number: r.Number, ETag: got.etag, Bytes: int64(len(got.bytes)), Modified: now, Checksums: got.sums}
	u.parts[r.Number] = part{p, got.bytes}
	return p, nil
}

// UploadPartCopy keeps a part of an object's bytes.
func (m *Model) UploadPartCopy(ctx context.Context, r objects.PartCopyRequest) (objects.Part, error) {
	src, err := m.source(r.SourceBucket, r.SourceKey, r.SourceVersion, r.SourceETag)
	if err != nil {
		return objects.Part{}, err
	}
	if r.Bytes < 0 {
		r.Bytes = src.Bytes - r.Offset
	}
	if r.Offset < 0 || r.Bytes < 0 || r.Offset+r.Bytes > src.Bytes {
		return objects.Part{}, objects.ErrRange
	}
	put := objects.PartRequest{Bucket: r.Bucket, Key: r.Key, UploadID: r.UploadID, Number: r.Number,
		Body: bytes.NewReader(src.bytes[r.Offset : r.Offset+r.Bytes]), Bytes: r.Bytes}
	if r.Bytes == src.Bytes && !src.Checksums.Composite {
		put.Checksums = src.Checksums
	}
	return m.UploadPart(ctx, put)
}

// CompleteUpload joins the bytes of the parts.
func (m *Model) CompleteUpload(_ context.Context, r objects.CompleteRequest) (objects.Object, error) {
	if err := checkParts(r.Parts); err != nil {
		return objects.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, u, err := m.upload(r.Bucket, r.Key, r.UploadID)
	if err == objects.ErrNoUpload {
		return completed(b, r)
	}
	if err != nil {
		return objects.Object{}, err
	}
	o, err := m.join(u, r)
	if err != nil {
		return objects.Object{}, err
	}
	if err := hold(r.Conditions, b.objects[r.Key]); err != nil {
		return objects.Object{}, err
	}
	delete(b.uploads, u.ID)
	return m.set(b, r.Key, o), nil
}

func completed(b *bucket, r objects.CompleteRequest) (objects.Object, error) {
	o := b.objects[r.Key]
	same := func(a, b objects.CompletePart) bool { return a.Number == b.Number && a.ETag == b.ETag }
	if o == nil || o.upload != r.UploadID || !slices.EqualFunc(o.parts, r.Parts, same) {
		return objects.Object{}, objects.ErrNoUpload
	}
	return o.Object, nil
}

func checkParts(parts []objects.CompletePart) error {
	if len(parts) == 0 || len(parts) > objects.PartsMax {
		return &objects.InvalidError{Field: "parts", Reason: "none, or too many"}
	}
	for i, p := range parts {
		if p.Number < 1 || p.Number > objects.PartsMax {
			return &objects.InvalidError{Field: "part number", Reason: "out of range"}
		}
		if i > 0 && p.Number <= parts[i-1].Number {
			return objects.ErrPartOrder
		}
	}
	return nil
}

func (m *Model) join(u *upload, r objects.CompleteRequest) (*object, error) {
	o := &object{upload: u.ID, parts: r.Parts, Object: objects.Object{
		ContentType: u.ContentType, Headers: u.Headers, Metadata: u.Metadata}}
	var md5s, sums []byte
	for i, want := range r.Parts {
		p, there := u.parts[want.Number]
		if !there || p.ETag != want.ETag || !agree(want.Checksums, p.Checksums) {
			return nil, objects.ErrInvalidPart
		}
		if p.Bytes < cmp.Or(m.PartBytesMin, objects.PartBytesMin) && i+1 < len(r.Parts) {
			return nil, objects.ErrPartTooSmall
		}
		sum, _ := hex.DecodeString(p.ETag)
		md5s, sums = append(md5s, sum...), append(sums, p.Checksums.Get(u.ChecksumAlgorithm)...)
		o.bytes, o.PartBytes = append(o.bytes, p.bytes...), append(o.PartBytes, p.Bytes)
	}
	o.ETag = fmt.Sprintf("%x-%d", md5.Sum(md5s), len(r.Parts))
	switch u.ChecksumType {
	case objects.ChecksumComposite:
		o.Checksums.Set(u.ChecksumAlgorithm, sumOf(u.ChecksumAlgorithm, sums))
		o.Checksums.Composite = true
	case objects.ChecksumFullObject:
		o.Checksums.Set(u.ChecksumAlgorithm, sumOf(u.ChecksumAlgorithm, o.bytes))
	}
	if !agree(r.Checksums, o.Checksums) {
		return nil, objects.ErrDigest
	}
	return o, nil
}

func agree(want, got objects.Checksums) bool {
	for name := range hashes {
		if w := want.Get(name); w != nil && !bytes.Equal(w, got.Get(name)) {
			return false
		}
	}
	return true
}

// AbortUpload forgets an upload.
func (m *Model) AbortUpload(_ context.Context, bucket, key, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, u, err := m.upload(bucket, key, id)
	if err == nil {
		delete(b.uploads, u.ID)
	}
	return err
}

// ListParts lists an upload's parts.
func (m *Model) ListParts(_ context.Context, bucket, key, id string, after, most int) (objects.PartPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if after < 0 || most < 0 {
		return objects.PartPage{}, &objects.InvalidError{Field: "max", Reason: "negative"}
	}
	_, u, err := m.upload(bucket, key, id)
	if err != nil {
		return objects.PartPage{}, err
	}
	page := objects.PartPage{Upload: u.Upload}
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		switch {
		case n <= after || most == 0:
		case len(page.Parts) == min(most, objects.ListMax):
			page.Next = page.Parts[len(page.Parts)-1].Number
			return page, nil
		default:
			page.Parts = append(page.Parts, u.parts[n].Part)
		}
	}
	return page, nil
}

// ListUploads lists a bucket's uploads.
func (m *Model) ListUploads(_ context.Context, r objects.UploadsRequest) (objects.UploadsPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page objects.UploadsPage
	if r.Max < 0 {
		return page, &objects.InvalidError{Field: "max", Reason: "negative"}
	}
	b, err := m.bucket(r.Bucket)
	if err != nil || r.Max == 0 {
		return page, err
	}
	var last uploadEntry
	for _, e := range b.uploadEntries(r) {
		if len(page.Uploads)+len(page.Prefixes) == min(r.Max, objects.ListMax) {
			page.NextKeyMarker, page.NextUploadIDMarker = last.name, last.id
			break
		}
		if last = e; e.common {
			page.Prefixes = append(page.Prefixes, e.name)
		} else {
			page.Uploads = append(page.Uploads, b.uploads[e.id].Upload)
		}
	}
	return page, nil
}

type uploadEntry struct {
	entry
	id string
}

func (b *bucket) uploadEntries(r objects.UploadsRequest) []uploadEntry {
	var all []*upload
	for _, u := range b.uploads {
		all = append(all, u)
	}
	slices.SortFunc(all, func(x, y *upload) int {
		return cmp.Or(strings.Compare(x.Key, y.Key), strings.Compare(x.ID, y.ID))
	})
	var out []uploadEntry
	for _, u := range all {
		shown := rolled([]string{u.Key}, r.Prefix, r.Delimiter, "")
		if len(shown) == 0 || !behind(u, shown[0], r) {
			continue
		}
		e := uploadEntry{shown[0], u.ID}
		if e.common {
			e.id = ""
		}
		if len(out) == 0 || !e.common || out[len(out)-1] != e {
			out = append(out, e)
		}
	}
	return out
}

// behind tells whether an upload, shown so, comes after the markers.
func behind(u *upload, shown entry, r objects.UploadsRequest) bool {
	switch {
	case r.KeyMarker == "":
		return true
	case shown.common && shown.name == r.KeyMarker:
		return false
	case u.Key == r.KeyMarker:
		return r.UploadIDMarker != "" && u.ID > r.UploadIDMarker
	}
	return u.Key > r.KeyMarker
}

// ReadAll is the bytes of an object.
func ReadAll(ctx context.Context, s Store, bucket, key string) (objects.Object, []byte, error) {
	r, err := s.Open(ctx, bucket, key)
	if err != nil {
		return objects.Object{}, nil, err
	}
	body := r.NewReader(ctx, 0, -1)
	defer body.Close()
	b, err := io.ReadAll(body)
	return r.Object, b, err
}
