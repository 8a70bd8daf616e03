package objects_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/objectstest"
)

func putEmpty(key []byte) index.Mutation {
	return index.Mutation{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, nil)}
}

func deleteKey(key []byte) index.Mutation { return index.Mutation{Kind: index.Delete, Key: key} }

// unread fails the test when it is read: what is refused by its head alone must
// not cost its body.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func long(n int) string { return strings.Repeat("k", n) }

// badRequests are refused, each with its own error. want is a sentinel or the
// field of an *InvalidError.
func badRequests(t *testing.T, u objects.Upload) map[string]struct {
	want any
	do   func(ctx context.Context, s objectstest.Store) error
} {
	put := func(r objects.PutRequest) func(context.Context, objectstest.Store) error {
		return func(ctx context.Context, s objectstest.Store) error { _, err := s.Put(ctx, r); return err }
	}
	part := func(r objects.PartRequest) func(context.Context, objectstest.Store) error {
		return func(ctx context.Context, s objectstest.Store) error {
			r.Bucket, r.Key = "lake", "up"
			if r.UploadID == "" {
				r.UploadID = u.ID
			}
			_, err := s.UploadPart(ctx, r)
			return err
		}
	}
	complete := func(parts ...objects.CompletePart) func(context.Context, objectstest.Store) error {
		return func(ctx context.Context, s objectstest.Store) error {
			_, err := s.CompleteUpload(ctx, objects.CompleteRequest{Bucket: "lake", Key: "up", UploadID: u.ID, Parts: parts})
			return err
		}
	}
	type bad = struct {
		want any
		do   func(ctx context.Context, s objectstest.Store) error
	}
	return map[string]bad{
		"bucket name": {"bucket", func(ctx context.Context, s objectstest.Store) error {
			_, err := s.CreateBucket(ctx, "Lake")
			return err
		}},
		"bucket twice": {objects.ErrBucketExists, func(ctx context.Context, s objectstest.Store) error {
			_, err := s.CreateBucket(ctx, "lake")
			return err
		}},
		"bucket with an upload": {objects.ErrBucketNotEmpty, func(ctx context.Context, s objectstest.Store) error {
			return s.DeleteBucket(ctx, "lake")
		}},
		"bucket of a path":       {objects.ErrNoBucket, put(objects.PutRequest{Bucket: "../lake", Key: "a", Body: unread{t}})},
		"no bucket":              {objects.ErrNoBucket, put(objects.PutRequest{Bucket: "none", Key: "a", Body: unread{t}})},
		"empty key":              {"key", put(objects.PutRequest{Bucket: "lake", Body: unread{t}})},
		"long key":               {"key", put(objects.PutRequest{Bucket: "lake", Key: long(1025), Body: unread{t}})},
		"key not UTF-8":          {"key", put(objects.PutRequest{Bucket: "lake", Key: "a\xff", Body: unread{t}})},
		"long content type":      {"content type", put(objects.PutRequest{Bucket: "lake", Key: "a", ContentType: long(1025), Body: unread{t}})},
		"large metadata":         {"metadata", put(objects.PutRequest{Bucket: "lake", Key: "a", Metadata: map[string]string{"x": long(2048)}, Body: unread{t}})},
		"nameless metadata":      {"metadata", put(objects.PutRequest{Bucket: "lake", Key: "a", Metadata: map[string]string{"": "x"}, Body: unread{t}})},
		"large headers":          {"headers", put(objects.PutRequest{Bucket: "lake", Key: "a", Headers: map[string]string{"x": long(6144)}, Body: unread{t}})},
		"negative size":          {"bytes", put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: -2, Body: unread{t}})},
		"above 5 GiB":            {objects.ErrTooLarge, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: objects.PutBytesMax + 1, Body: unread{t}})},
		"short MD5":              {"MD5", put(objects.PutRequest{Bucket: "lake", Key: "a", MD5: []byte{1}, Body: unread{t}})},
		"short checksum":         {"checksum crc32", put(objects.PutRequest{Bucket: "lake", Key: "a", Checksums: objects.Checksums{CRC32: []byte{1}}, Body: unread{t}})},
		"unknown checksum":       {"checksum algorithm", put(objects.PutRequest{Bucket: "lake", Key: "a", ComputeChecksum: "crc16", Body: unread{t}})},
		"failing condition":      {objects.ErrPrecondition, put(objects.PutRequest{Bucket: "lake", Key: "there", Conditions: objects.Conditions{IfAbsent: true}, Bytes: -1})},
		"match without object":   {objects.ErrNoObject, put(objects.PutRequest{Bucket: "lake", Key: "absent", Conditions: objects.Conditions{IfExists: true}, Bytes: -1})},
		"short body":             {objects.ErrIncompleteBody, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: 4, Body: strings.NewReader("abc")})},
		"long body":              {"body", put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: 2, Body: strings.NewReader("abc")})},
		"broken body":            {objects.ErrIncompleteBody, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: -1, Body: io.MultiReader(strings.NewReader("abc"), cut{})})},
		"wrong MD5":              {objects.ErrDigest, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: 3, MD5: make([]byte, 16), Body: strings.NewReader("abc")})},
		"wrong sha256":           {objects.ErrDigest, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: 3, Checksums: objects.Checksums{SHA256: make([]byte, 32)}, Body: strings.NewReader("abc")})},
		"bad end of the body":    {errSignature, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: 3, Body: strings.NewReader("abc"), Verify: func() error { return errSignature }})},
		"bad trailer":            {errSignature, put(objects.PutRequest{Bucket: "lake", Key: "a", Bytes: 3, Body: strings.NewReader("abc"), ComputeChecksum: objects.CRC32, Computed: func(objects.Checksums) error { return errSignature }})},
		"part 0":                 {"part number", part(objects.PartRequest{Number: 0, Body: unread{t}})},
		"part 10001":             {"part number", part(objects.PartRequest{Number: 10001, Body: unread{t}})},
		"part of no upload":      {objects.ErrNoUpload, part(objects.PartRequest{Number: 1, UploadID: strings.Repeat("0", 32), Body: unread{t}})},
		"part of a strange id":   {objects.ErrNoUpload, part(objects.PartRequest{Number: 1, UploadID: "../../x", Body: unread{t}})},
		"part above 5 GiB":       {objects.ErrTooLarge, part(objects.PartRequest{Number: 1, Bytes: objects.PutBytesMax + 1, Body: unread{t}})},
		"part with a wrong MD5":  {objects.ErrDigest, part(objects.PartRequest{Number: 1, Bytes: 1, MD5: make([]byte, 16), Body: strings.NewReader("a")})},
		"no parts":               {"parts", complete()},
		"too many parts":         {"parts", complete(make([]objects.CompletePart, 10001)...)},
		"part number of a list":  {"part number", complete(objects.CompletePart{Number: -1})},
		"parts out of order":     {objects.ErrPartOrder, complete(objects.CompletePart{Number: 2}, objects.CompletePart{Number: 1})},
		"part twice":             {objects.ErrPartOrder, complete(objects.CompletePart{Number: 2}, objects.CompletePart{Number: 2})},
		"part that is not there": {objects.ErrInvalidPart, complete(objects.CompletePart{Number: 3})},
		"checksum type": {"checksum type", func(ctx context.Context, s objectstest.Store) error {
			_, err := s.CreateUpload(ctx, objects.UploadRequest{Bucket: "lake", Key: "a", ChecksumAlgorithm: objects.SHA256, ChecksumType: objects.ChecksumFullObject})
			return err
		}},
		"negative page": {"max", func(ctx context.Context, s objectstest.Store) error {
			_, err := s.List(ctx, objects.ListRequest{Bucket: "lake", Max: -1})
			return err
		}},
		"list of no bucket": {objects.ErrNoBucket, func(ctx context.Context, s objectstest.Store) error {
			_, err := s.List(ctx, objects.ListRequest{Bucket: "none", Max: 1})
			return err
		}},
		"range of a copied part": {objects.ErrRange, func(ctx context.Context, s objectstest.Store) error {
			_, err := s.UploadPartCopy(ctx, objects.PartCopyRequest{SourceBucket: "lake", SourceKey: "there", Offset: 3, Bytes: 9, Bucket: "lake", Key: "up", UploadID: u.ID, Number: 1})
			return err
		}},
		"copy of a changed source": {objects.ErrPrecondition, func(ctx context.Context, s objectstest.Store) error {
			_, err := s.Copy(ctx, objects.CopyRequest{SourceBucket: "lake", SourceKey: "there", SourceETag: "other", Bucket: "lake", Key: "a"})
			return err
		}},
		"read behind the end": {objects.ErrRange, func(ctx context.Context, s objectstest.Store) error {
			r, err := s.Open(ctx, "lake", "there")
			if err == nil {
				_, err = r.ReadAt(ctx, make([]byte, 1), 6)
			}
			return err
		}},
	}
}

var errSignature = errors.New("signature of the last chunk is wrong")

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBadRequestsAreRefusedByNameAndLeaveNothing(t *testing.T) {
	ctx, s := openBucket(t)
	m := objectstest.NewModel()
	if _, err := m.CreateBucket(ctx, "lake"); err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]objectstest.Store{"store": s, "model": m} {
		put := objects.PutRequest{Bucket: "lake", Key: "there", Body: strings.NewReader("hello"), Bytes: 5}
		if _, err := store.Put(ctx, put); err != nil {
			t.Fatal(err)
		}
		u, err := store.CreateUpload(ctx, objects.UploadRequest{Bucket: "lake", Key: "up"})
		if err != nil {
			t.Fatal(err)
		}
		before := keysBelow(t, s, "")
		for what, bad := range badRequests(t, u) {
			err := bad.do(ctx, store)
			var invalid *objects.InvalidError
			sentinel, _ := bad.want.(error)
			if errors.As(err, &invalid) && invalid.Field != bad.want || !errors.As(err, &invalid) && (err == nil || sentinel == nil || !errors.Is(err, sentinel)) {
				t.Errorf("%s, %s: got %v, want %v", name, what, err, bad.want)
			}
		}
		if after := keysBelow(t, s, ""); strings.Join(after, "\n") != strings.Join(before, "\n") {
			t.Errorf("%s: keys before %q, after %q", name, before, after)
		}
	}
}
