package objects_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// kindsOfError on which callers branch.
var kindsOfError = []error{
	objects.ErrNoBucket, objects.ErrBucketExists, objects.ErrBucketNotEmpty, objects.ErrNoUpload,
	objects.ErrPrecondition, objects.ErrNoObject, objects.ErrInvalidPart, objects.ErrPartOrder, objects.ErrPartTooSmall,
	objects.ErrTooLarge, objects.ErrRange, objects.ErrIncompleteBody, objects.ErrDigest, objects.ErrConflict,
}

func kindOf(err error) error {
	var invalid *objects.InvalidError
	if errors.As(err, &invalid) {
		return fmt.Errorf("invalid %s", invalid.Field)
	}
	for _, k := range kindsOfError {
		if errors.Is(err, k) {
			return k
		}
	}
	return err
}

// same fails unless both stores gave the same kind of error; it tells whether
// there was none.
func same(t *rapid.T, what string, got, want error) bool {
	g, w := kindOf(got), kindOf(want)
	if (g == nil) != (w == nil) || g != nil && g.Error() != w.Error() {
		t.Fatalf("%s: got error %v, model %v", what, got, want)
	}
	return got == nil
}

// bare is an object without what no model can foretell.
func bare(o objects.Object) objects.Object {
	o.Version, o.Modified, o.Revision = objects.VersionID{}, time.Time{}, 0
	if len(o.Headers) == 0 {
		o.Headers = nil
	}
	if len(o.Metadata) == 0 {
		o.Metadata = nil
	}
	return o
}

func bareAll(all []objects.Object) []objects.Object {
	out := slices.Clone(all)
	for i := range out {
		out[i] = bare(out[i])
	}
	return out
}

// machine drives a store and its model with the same requests.
type machine struct {
	ctx     context.Context
	real    *objects.Store
	model   *objectstest.Model
	buckets []string
	uploads []twin // also those that have ended
}

// twin is an upload as the two stores know it.
type twin struct{ bucket, key, real, model string }

var (
	drawKey   = rapid.SampledFrom([]string{"a", "a/b", "a/b/c", "a/c", "ab", "b/", "é", "a\x00", "z/1", "z/2"})
	drawBytes = rapid.SampledFrom([]int{0, 1, 99, 100, 1000, 1024, 1025, 3000, 20000})
	drawSum   = rapid.SampledFrom([]string{"", "", objects.CRC32, objects.CRC32C, objects.CRC64NVME, objects.SHA1, objects.SHA256})
	drawMap   = rapid.MapOfN(rapid.SampledFrom([]string{"x", "y"}), rapid.StringN(0, 5, 10), 0, 2)
)

func drawBody(t *rapid.T) []byte {
	seed := rapid.Byte().Draw(t, "fill")
	b := make([]byte, drawBytes.Draw(t, "bytes"))
	for i := range b {
		b[i] = seed + byte(i*7)
	}
	return b
}

func (m *machine) bucket(t *rapid.T) string {
	return rapid.SampledFrom(m.buckets).Draw(t, "bucket")
}

// conditions are often ones that hold.
func (m *machine) conditions(t *rapid.T, bucket, key string) objects.Conditions {
	switch rapid.IntRange(0, 8).Draw(t, "conditions") {
	case 0:
		return objects.Conditions{IfAbsent: true}
	case 1:
		return objects.Conditions{IfExists: true}
	case 2:
		return objects.Conditions{IfETag: "0123"}
	case 3:
		if o, err := m.model.Head(m.ctx, bucket, key); err == nil {
			return objects.Conditions{IfETag: o.ETag}
		}
	}
	return objects.Conditions{}
}

func (m *machine) createBucket(t *rapid.T) {
	b := m.bucket(t)
	_, err := m.real.CreateBucket(m.ctx, b)
	_, want := m.model.CreateBucket(m.ctx, b)
	same(t, "create bucket", err, want)
}

func (m *machine) deleteBucket(t *rapid.T) {
	b := m.bucket(t)
	same(t, "delete bucket", m.real.DeleteBucket(m.ctx, b), m.model.DeleteBucket(m.ctx, b))
}

func (m *machine) put(t *rapid.T) {
	r := objects.PutRequest{Bucket: m.bucket(t), Key: drawKey.Draw(t, "key"), ContentType: "text/plain",
		Headers: drawMap.Draw(t, "headers"), Metadata: drawMap.Draw(t, "metadata"), ComputeChecksum: drawSum.Draw(t, "sum")}
	r.Conditions = m.conditions(t, r.Bucket, r.Key)
	b := drawBody(t)
	r.Bytes = int64(len(b))
	switch rapid.IntRange(0, 12).Draw(t, "fault") {
	case 0:
		r.Bytes = -1
	case 1:
		r.Bytes++
	case 2:
		r.MD5 = make([]byte, 16)
	case 3:
		r.Verify = func() error { return objects.ErrDigest }
	case 4:
		sum := md5.Sum(b)
		r.MD5 = sum[:]
	}
	r.Body = bytes.NewReader(b)
	got, err := m.real.Put(m.ctx, r)
	r.Body = bytes.NewReader(b)
	want, wantErr := m.model.Put(m.ctx, r)
	if same(t, "put", err, wantErr) && !reflect.DeepEqual(bare(got), bare(want)) {
		t.Fatalf("put %+v, model %+v", got, want)
	}
}

func (m *machine) get(t *rapid.T) {
	bucket, key := m.bucket(t), drawKey.Draw(t, "key")
	m.sameObject(t, bucket, key)
	r, err := m.real.Open(m.ctx, bucket, key)
	if err != nil {
		return
	}
	w, _ := m.model.Open(m.ctx, bucket, key)
	off := rapid.Int64Range(0, r.Bytes).Draw(t, "off")
	p, q := make([]byte, rapid.IntRange(0, 5000).Draw(t, "n")), make([]byte, 5000)
	n, err := r.ReadAt(m.ctx, p, off)
	wn, werr := w.ReadAt(m.ctx, q[:len(p)], off)
	if n != wn || err != werr || !bytes.Equal(p[:n], q[:wn]) {
		t.Fatalf("read %d bytes at %d: %d, %v; model %d, %v", len(p), off, n, err, wn, werr)
	}
	part := r.NewReader(m.ctx, off, int64(len(p)))
	defer part.Close()
	if b, err := io.ReadAll(part); err != nil || !bytes.Equal(b, p[:n]) {
		t.Fatalf("stream %d bytes at %d: %d bytes, %v", len(p), off, len(b), err)
	}
}

func (m *machine) sameObject(t *rapid.T, bucket, key string) {
	got, body, err := objectstest.ReadAll(m.ctx, m.real, bucket, key)
	want, wantBody, wantErr := objectstest.ReadAll(m.ctx, m.model, bucket, key)
	if !same(t, "get", err, wantErr) {
		return
	}
	if !reflect.DeepEqual(bare(got), bare(want)) || !bytes.Equal(body, wantBody) {
		t.Fatalf("got %+v\nmodel %+v\nbodies equal: %v", got, want, bytes.Equal(body, wantBody))
	}
	head, err := m.real.Head(m.ctx, bucket, key)
	if err != nil || !reflect.DeepEqual(head, got) {
		t.Fatalf("head %+v, %v; open %+v", head, err, got)
	}
}

func (m *machine) delete(t *rapid.T) {
	r := objects.DeleteRequest{Bucket: m.bucket(t), Key: drawKey.Draw(t, "key")}
	r.Conditions = m.conditions(t, r.Bucket, r.Key)
	got, err := m.real.Delete(m.ctx, r)
	want, wantErr := m.model.Delete(m.ctx, r)
	same(t, "delete", err, wantErr)
	if got.Existed != want.Existed {
		t.Fatalf("existed: %v, model %v", got.Existed, want.Existed)
	}
}

func (m *machine) deleteMany(t *rapid.T) {
	bucket := m.bucket(t)
	var rs []objects.DeleteRequest
	for _, k := range rapid.SliceOfN(drawKey, 0, 6).Draw(t, "keys") {
		rs = append(rs, objects.DeleteRequest{Key: k, Conditions: m.conditions(t, bucket, k)})
	}
	got, err := m.real.DeleteMany(m.ctx, bucket, rs)
	want, wantErr := m.model.DeleteMany(m.ctx, bucket, rs)
	if !same(t, "delete many", err, wantErr) {
		return
	}
	for i := range rs {
		same(t, "delete many", got[i].Err, want[i].Err)
		if got[i].Existed != want[i].Existed {
			t.Fatalf("%d existed: %v, model %v", i, got[i].Existed, want[i].Existed)
		}
	}
}

func (m *machine) copy(t *rapid.T) {
	r := objects.CopyRequest{SourceBucket: m.bucket(t), SourceKey: drawKey.Draw(t, "source"),
		Bucket: m.bucket(t), Key: drawKey.Draw(t, "key"), ReplaceMetadata: rapid.Bool().Draw(t, "replace"),
		ContentType: "new", Metadata: drawMap.Draw(t, "metadata"), ComputeChecksum: drawSum.Draw(t, "sum")}
	r.Conditions = m.conditions(t, r.Bucket, r.Key)
	r.SourceETag = m.conditions(t, r.SourceBucket, r.SourceKey).IfETag
	got, err := m.real.Copy(m.ctx, r)
	want, wantErr := m.model.Copy(m.ctx, r)
	if same(t, "copy", err, wantErr) && !reflect.DeepEqual(bare(got), bare(want)) {
		t.Fatalf("copied %+v, model %+v", got, want)
	}
}

func (m *machine) list(t *rapid.T) {
	r := objects.ListRequest{Bucket: m.bucket(t), Max: rapid.IntRange(0, 4).Draw(t, "max"),
		Prefix:    rapid.SampledFrom([]string{"", "", "a", "a/", "b", "q"}).Draw(t, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "/", "b", "a/"}).Draw(t, "delimiter")}
	for range 8 {
		got, err := m.real.List(m.ctx, r)
		want, wantErr := m.model.List(m.ctx, r)
		if !same(t, "list", err, wantErr) {
			return
		}
		if !reflect.DeepEqual(bareAll(got.Objects), bareAll(want.Objects)) || !slices.Equal(got.Prefixes, want.Prefixes) || got.Next != want.Next {
			t.Fatalf("list %+v:\ngot   %+v\nmodel %+v", r, got, want)
		}
		if r.After = got.Next; r.After == "" {
			return
		}
	}
}

func (m *machine) createUpload(t *rapid.T) {
	r := objects.UploadRequest{Bucket: m.bucket(t), Key: drawKey.Draw(t, "key"), Metadata: drawMap.Draw(t, "metadata"),
		ChecksumAlgorithm: drawSum.Draw(t, "sum"),
		ChecksumType:      rapid.SampledFrom([]string{"", "", objects.ChecksumFullObject, objects.ChecksumComposite}).Draw(t, "type")}
	m.real.Host().Clock.(*hosttest.Clock).Advance(time.Millisecond) // uploads of one moment have no order
	got, err := m.real.CreateUpload(m.ctx, r)
	want, wantErr := m.model.CreateUpload(m.ctx, r)
	if err != nil && strings.HasPrefix(kindOf(err).Error(), "invalid checksum") && wantErr != nil {
		return
	}
	if !same(t, "create upload", err, wantErr) {
		return
	}
	if got.ChecksumType != want.ChecksumType {
		t.Fatalf("checksum type %s, model %s", got.ChecksumType, want.ChecksumType)
	}
	m.uploads = append(m.uploads, twin{r.Bucket, r.Key, got.ID, want.ID})
}

func (m *machine) upload(t *rapid.T) twin {
	if len(m.uploads) == 0 {
		t.Skip("no upload yet")
	}
	return m.uploads[len(m.uploads)-1-rapid.IntRange(0, min(3, len(m.uploads)-1)).Draw(t, "upload")]
}

func (m *machine) uploadPart(t *rapid.T) {
	u := m.upload(t)
	b := drawBody(t)
	r := objects.PartRequest{Bucket: u.bucket, Key: u.key, Number: rapid.IntRange(1, 5).Draw(t, "number"), Bytes: int64(len(b))}
	r.UploadID, r.Body = u.real, bytes.NewReader(b)
	got, err := m.real.UploadPart(m.ctx, r)
	r.UploadID, r.Body = u.model, bytes.NewReader(b)
	want, wantErr := m.model.UploadPart(m.ctx, r)
	got.Modified = want.Modified
	if same(t, "part", err, wantErr) && !reflect.DeepEqual(got, want) {
		t.Fatalf("part %+v, model %+v", got, want)
	}
}

func (m *machine) uploadPartCopy(t *rapid.T) {
	u := m.upload(t)
	r := objects.PartCopyRequest{SourceBucket: m.bucket(t), SourceKey: drawKey.Draw(t, "source"), Bucket: u.bucket, Key: u.key,
		Number: rapid.IntRange(1, 5).Draw(t, "number"), Offset: rapid.Int64Range(0, 2000).Draw(t, "offset"), Bytes: rapid.Int64Range(-1, 2000).Draw(t, "bytes")}
	r.UploadID = u.real
	got, err := m.real.UploadPartCopy(m.ctx, r)
	r.UploadID = u.model
	want, wantErr := m.model.UploadPartCopy(m.ctx, r)
	got.Modified = want.Modified
	if same(t, "part copy", err, wantErr) && !reflect.DeepEqual(got, want) {
		t.Fatalf("part %+v, model %+v", got, want)
	}
}

func (m *machine) completeUpload(t *rapid.T) {
	u := m.upload(t)
	r := objects.CompleteRequest{Bucket: u.bucket, Key: u.key, Conditions: m.conditions(t, u.bucket, u.key)}
	page, _ := m.model.ListParts(m.ctx, u.bucket, u.key, u.model, 0, 10)
	for _, p := range page.Parts {
		if rapid.IntRange(0, 5).Draw(t, "leave out") > 0 {
			r.Parts = append(r.Parts, objects.CompletePart{Number: p.Number, ETag: p.ETag, Checksums: p.Checksums})
		}
	}
	if rapid.IntRange(0, 8).Draw(t, "wrong part") == 0 {
		r.Parts = append(r.Parts, objects.CompletePart{Number: rapid.IntRange(1, 6).Draw(t, "number"), ETag: "00000000000000000000000000000000"})
	}
	for range 2 { // the second one finds it done
		r.UploadID = u.real
		got, err := m.real.CompleteUpload(m.ctx, r)
		r.UploadID = u.model
		want, wantErr := m.model.CompleteUpload(m.ctx, r)
		if same(t, "complete", err, wantErr) && !reflect.DeepEqual(bare(got), bare(want)) {
			t.Fatalf("completed %+v, model %+v", got, want)
		}
	}
	m.sameObject(t, u.bucket, u.key)
}

func (m *machine) abortUpload(t *rapid.T) {
	u := m.upload(t)
	same(t, "abort", m.real.AbortUpload(m.ctx, u.bucket, u.key, u.real), m.model.AbortUpload(m.ctx, u.bucket, u.key, u.model))
}

func (m *machine) listParts(t *rapid.T) {
	u := m.upload(t)
	after, most := rapid.IntRange(0, 6).Draw(t, "after"), rapid.IntRange(0, 3).Draw(t, "max")
	got, err := m.real.ListParts(m.ctx, u.bucket, u.key, u.real, after, most)
	want, wantErr := m.model.ListParts(m.ctx, u.bucket, u.key, u.model, after, most)
	if !same(t, "list parts", err, wantErr) {
		return
	}
	for i := range got.Parts {
		got.Parts[i].Modified = want.Parts[i].Modified
	}
	if !reflect.DeepEqual(got.Parts, want.Parts) || got.Next != want.Next {
		t.Fatalf("parts %+v\nmodel %+v", got, want)
	}
}

// twinOf finds the model's name of an upload.
func (m *machine) twinOf(real string) string {
	for _, u := range m.uploads {
		if u.real == real {
			return u.model
		}
	}
	return real
}

func (m *machine) listUploads(t *rapid.T) {
	r := objects.UploadsRequest{Bucket: m.bucket(t), Max: rapid.IntRange(0, 3).Draw(t, "max"),
		Prefix:    rapid.SampledFrom([]string{"", "", "a", "a/"}).Draw(t, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/"}).Draw(t, "delimiter"),
		KeyMarker: rapid.SampledFrom([]string{"", "", "a", "a/", "a\x00"}).Draw(t, "marker")}
	for range 8 {
		got, err := m.real.ListUploads(m.ctx, r)
		w := r
		w.UploadIDMarker = m.twinOf(r.UploadIDMarker)
		want, wantErr := m.model.ListUploads(m.ctx, w)
		if !same(t, "list uploads", err, wantErr) {
			return
		}
		var gotIDs, wantIDs []string
		for _, u := range got.Uploads {
			gotIDs = append(gotIDs, u.Key+" "+m.twinOf(u.ID))
		}
		for _, u := range want.Uploads {
			wantIDs = append(wantIDs, u.Key+" "+u.ID)
		}
		if !slices.Equal(gotIDs, wantIDs) || !slices.Equal(got.Prefixes, want.Prefixes) ||
			got.NextKeyMarker != want.NextKeyMarker || m.twinOf(got.NextUploadIDMarker) != want.NextUploadIDMarker {
			t.Fatalf("uploads %+v:\ngot   %+v\nmodel %+v", r, got, want)
		}
		r.KeyMarker, r.UploadIDMarker = got.NextKeyMarker, got.NextUploadIDMarker
		if r.KeyMarker == "" {
			return
		}
	}
}

// empty deletes everything by the store's own means; then no key may be left.
func (m *machine) empty(t *rapid.T) {
	for _, b := range m.buckets {
		for _, u := range m.uploads {
			_ = m.real.AbortUpload(m.ctx, u.bucket, u.key, u.real)
		}
		page, err := m.real.List(m.ctx, objects.ListRequest{Bucket: b, Max: 1000})
		if errors.Is(err, objects.ErrNoBucket) {
			continue
		}
		for _, o := range page.Objects {
			if _, err := m.real.Delete(m.ctx, objects.DeleteRequest{Bucket: b, Key: o.Key}); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range keysBelow(t, m.real, "b/"+b+"/") {
			t.Fatalf("left behind: %q", k)
		}
		if err := m.real.DeleteBucket(m.ctx, b); err != nil {
			t.Fatal(err)
		}
	}
}

func keysBelow(t interface{ Fatal(...any) }, s *objects.Store, prefix string) []string {
	var keys []string
	for item, err := range s.Index().Scan(context.Background(), []byte(prefix), objects.PrefixEnd([]byte(prefix)), index.ScanOptions{KeysOnly: true}) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, string(item.Key))
	}
	return keys
}

func TestTheStoreBehavesLikeItsModel(t *testing.T) {
	s := openStore(t)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &machine{ctx: context.Background(), real: s, model: objectstest.NewModel(),
			buckets: []string{fmt.Sprintf("one.%d", run), fmt.Sprintf("two.%d", run)}}
		m.model.PartBytesMin = partMin
		_, _ = m.real.CreateBucket(m.ctx, m.buckets[0])
		_, _ = m.model.CreateBucket(m.ctx, m.buckets[0])
		t.Repeat(map[string]func(*rapid.T){
			"create bucket": m.createBucket, "delete bucket": m.deleteBucket,
			"put": m.put, "put again": m.put, "get": m.get, "delete": m.delete, "delete many": m.deleteMany,
			"copy": m.copy, "list": m.list,
			"create upload": m.createUpload, "part": m.uploadPart, "another part": m.uploadPart, "part copy": m.uploadPartCopy,
			"complete": m.completeUpload, "abort": m.abortUpload, "list parts": m.listParts, "list uploads": m.listUploads,
		})
		m.empty(t)
	})
}
