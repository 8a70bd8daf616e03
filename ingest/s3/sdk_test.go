package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
)

// later is a clock that is ahead.
type later struct {
	host.Clock
	by time.Duration
}

func (l later) Now() time.Time { return l.Clock.Now().Add(l.by) }

func decoded(t *testing.T, key string) string {
	t.Helper()
	plain, err := url.PathUnescape(key)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// hostileKeys are legal keys that break careless paths.
var hostileKeys = []string{
	"plain.txt", "a/../b", "../../etc/passwd", "//x", "/leading", "trailing/", "a//b///c", ".", "..", "./a", "a/.",
	"a b+c%", "%2F", "%252e", "100%", "?query=1&x", "a#b", "a;b=c", "a&b", "a<b>\"'", "naïve/ключ/キー/🦆", "_x", "a\\b",
	"tab\there", "new\nline", " space ", "+", "~", "*", "a:b@c", "{}|^`[]", "uploads", "acl", strings.Repeat("k", 1024), strings.Repeat("é", 512),
}

func codeOf(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return fmt.Sprint(err)
}

func body(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

func TestHostileKeysComeBackAsTheyWere(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	for i, key := range hostileKeys {
		want := fmt.Sprint("body ", i)
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: strings.NewReader(want)}); err != nil {
			t.Errorf("put %q: %v", key, err)
			continue
		}
		if _, _, err := d.stored("bucket", key); err != nil {
			t.Errorf("%q lies under another key: %v", key, err)
		}
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key})
		if err != nil {
			t.Errorf("get %q: %v", key, err)
			continue
		}
		if got, _ := io.ReadAll(out.Body); string(got) != want {
			t.Errorf("get %q: %q, want %q", key, got, want)
		}
	}
	want := slices.Sorted(slices.Values(hostileKeys))
	if got := listAll(t, client, 7, "", types.EncodingTypeUrl); !slices.Equal(got, want) {
		t.Errorf("listed %q\nwant %q", got, want)
	}
	for _, key := range hostileKeys {
		if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: &key}); err != nil {
			t.Errorf("delete %q: %v", key, err)
		}
	}
	if n := d.things(); n != 0 {
		t.Errorf("%d objects left", n)
	}
}

// listAll pages through the bucket.
func listAll(t *testing.T, client *s3.Client, page int32, prefix string, encoding types.EncodingType) (keys []string) {
	t.Helper()
	p := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), MaxKeys: &page, Prefix: &prefix, EncodingType: encoding})
	for p.HasMorePages() {
		out, err := p.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if int32(len(out.Contents)) > page || int(*out.KeyCount) != len(out.Contents) {
			t.Fatalf("%d keys in a page of %d, counted %d", len(out.Contents), page, *out.KeyCount)
		}
		for _, o := range out.Contents {
			key := *o.Key
			if encoding == types.EncodingTypeUrl {
				key = decoded(t, key)
			}
			keys = append(keys, key)
		}
	}
	return keys
}

func TestAnSDKPutsGetsAndLists(t *testing.T) {
	d := newDoor(t)
	ctx, client := context.Background(), d.sdk()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 4096, 128<<10 + 1, 3 << 20} {
		want := body(size)
		put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), Body: bytes.NewReader(want),
			ContentType: aws.String("text/x-tarn"), CacheControl: aws.String("max-age=3"), ContentDisposition: aws.String("inline"),
			Metadata: map[string]string{"one": "1", "two-words": "naïve value"}})
		if err != nil {
			t.Fatal(err)
		}
		if put.ChecksumCRC32 == nil {
			t.Error("the checksum that the SDK sends by default did not come back")
		}
		got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(b, want) {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		if *got.ETag != *put.ETag || *got.ContentType != "text/x-tarn" || *got.CacheControl != "max-age=3" || *got.ContentDisposition != "inline" {
			t.Errorf("headers %+v", got)
		}
		if !maps.Equal(got.Metadata, map[string]string{"one": "1", "two-words": "naïve value"}) {
			t.Errorf("metadata %v", got.Metadata)
		}
		head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
		if err != nil || *head.ContentLength != int64(size) {
			t.Errorf("head: %v, %v", head, err)
		}
	}
}

func TestEachChecksumAlgorithmIsKeptAndShown(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	for _, algorithm := range types.ChecksumAlgorithm("").Values() {
		if !knownAlgorithm(strings.ToLower(string(algorithm))) {
			continue // newer than this door
		}
		key := aws.String(string(algorithm))
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: key, Body: strings.NewReader("body"), ChecksumAlgorithm: algorithm})
		if err != nil {
			t.Errorf("%s: %v", algorithm, err)
			continue
		}
		head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil || head.ChecksumType != types.ChecksumTypeFullObject {
			t.Errorf("%s: %+v, %v", algorithm, head, err)
		}
		at, err := client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: aws.String("bucket"), Key: key,
			ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesChecksum, types.ObjectAttributesObjectSize, types.ObjectAttributesEtag}})
		if err != nil || at.Checksum == nil || *at.ObjectSize != 4 || strings.Contains(*at.ETag, `"`) {
			t.Errorf("%s: attributes %+v, %v", algorithm, at, err)
		}
	}
}

// Over TLS the SDK sends checksums as trailers of unsigned chunks; a body that
// cannot seek leaves it no choice.
func TestTrailingChecksumsAreProved(t *testing.T) {
	d := newTLSDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	want := body(300_000)
	for name, b := range map[string]io.Reader{"seekable": bytes.NewReader(want), "stream": io.MultiReader(bytes.NewReader(want))} {
		in := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &name, Body: b, ContentLength: aws.Int64(int64(len(want))),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ContentEncoding: aws.String("x-own")}
		if _, err := client.PutObject(ctx, in); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		o, got, err := d.stored("bucket", name)
		if err != nil || !bytes.Equal(got, want) || o.Checksums.CRC64NVME == nil {
			t.Errorf("%s: %d bytes, %+v, %v", name, len(got), o.Checksums, err)
		}
		if enc := o.Headers["Content-Encoding"]; enc != "x-own" {
			t.Errorf("%s: the wire's encoding was kept: %q", name, enc)
		}
	}
	if last := d.entries[len(d.entries)-1]; last.BytesIn != int64(len(want)) || last.Operation != "PutObject" || last.AccessKey != testKey {
		t.Errorf("logged %+v", last)
	}
}

func TestRangesAreAnswered(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	all := body(1000)
	client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), Body: bytes.NewReader(all)})
	client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("empty"), Body: bytes.NewReader(nil)})
	for _, c := range []struct {
		key, header, content string
		status, from, to     int
	}{
		{"k", "bytes=0-0", "bytes 0-0/1000", 206, 0, 1},
		{"k", "bytes=10-19", "bytes 10-19/1000", 206, 10, 20},
		{"k", "bytes=990-", "bytes 990-999/1000", 206, 990, 1000},
		{"k", "bytes=-10", "bytes 990-999/1000", 206, 990, 1000},
		{"k", "bytes=-5000", "bytes 0-999/1000", 206, 0, 1000},
		{"k", "bytes=900-99999999999999999999999", "bytes 900-999/1000", 206, 900, 1000},
		{"k", "bytes=0-1,4-5", "", 200, 0, 1000},
		{"k", "bytes=9-3", "", 200, 0, 1000},
		{"k", "bytes=x-3", "", 200, 0, 1000},
		{"k", "bytes=--3", "", 200, 0, 1000},
		{"k", "items=0-3", "", 200, 0, 1000},
		{"k", "bytes=1000-", "bytes */1000", 416, 0, 0},
		{"k", "bytes=-0", "bytes */1000", 416, 0, 0},
		{"empty", "bytes=0-0", "bytes */0", 416, 0, 0},
		{"empty", "bytes=-1", "bytes */0", 416, 0, 0},
	} {
		got := d.do(raw{method: "GET", target: "/bucket/" + c.key, header: map[string]string{"Range": c.header}})
		if got.status != c.status || got.header.Get("Content-Range") != c.content {
			t.Errorf("%s %s: %d %q", c.key, c.header, got.status, got.header.Get("Content-Range"))
		}
		if c.status < 300 && got.body != string(all[c.from:c.to]) {
			t.Errorf("%s: %d bytes", c.header, len(got.body))
		}
		if c.status == 416 && got.code != "InvalidRange" {
			t.Errorf("%s: code %s", c.header, got.code)
		}
	}
}

func TestReadConditionsFollowTheirPrecedence(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	d.do(raw{method: "PUT", target: "/bucket/k", body: "body"})
	o, _ := d.store.Head(context.Background(), "bucket", "k")
	etag, past, future := `"`+o.ETag+`"`, o.Modified.Add(-time.Hour).Format(http.TimeFormat), o.Modified.Add(time.Hour).Format(http.TimeFormat)
	same := o.Modified.Format(http.TimeFormat)
	for _, c := range []struct {
		header map[string]string
		status int
	}{
		{map[string]string{"If-Match": etag}, 200},
		{map[string]string{"If-Match": o.ETag}, 200},
		{map[string]string{"If-Match": `"other", ` + etag}, 200},
		{map[string]string{"If-Match": "*"}, 200},
		{map[string]string{"If-Match": `"other"`}, 412},
		{map[string]string{"If-None-Match": etag}, 304},
		{map[string]string{"If-None-Match": "*"}, 304},
		{map[string]string{"If-None-Match": `"other"`}, 200},
		{map[string]string{"If-Modified-Since": past}, 200},
		{map[string]string{"If-Modified-Since": same}, 304},
		{map[string]string{"If-Modified-Since": future}, 304},
		{map[string]string{"If-Modified-Since": "nonsense"}, 200},
		{map[string]string{"If-Unmodified-Since": past}, 412},
		{map[string]string{"If-Unmodified-Since": same}, 200},
		{map[string]string{"If-Match": etag, "If-Unmodified-Since": past}, 200},
		{map[string]string{"If-None-Match": `"other"`, "If-Modified-Since": future}, 200},
		{map[string]string{"If-None-Match": etag, "If-Modified-Since": past}, 304},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			got := d.do(raw{method: method, target: "/bucket/k", header: c.header})
			if got.status != c.status {
				t.Errorf("%s %v: %d, want %d", method, c.header, got.status, c.status)
			}
			if got.status == 304 && (got.body != "" || got.header.Get("ETag") != etag) {
				t.Errorf("304 with body %q and ETag %q", got.body, got.header.Get("ETag"))
			}
			if method == "HEAD" && got.body != "" {
				t.Errorf("a HEAD was answered with a body")
			}
		}
	}
}

func TestConditionalWritesHold(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	put := func(match, none string) (*s3.PutObjectOutput, error) {
		in := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), Body: strings.NewReader("body" + match)}
		if match != "" {
			in.IfMatch = &match
		}
		if none != "" {
			in.IfNoneMatch = &none
		}
		return client.PutObject(ctx, in)
	}
	if _, err := put("*", ""); codeOf(err) != "NoSuchKey" {
		t.Errorf("If-Match: * of nothing: %v", err)
	}
	first, err := put("", "*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put("", "*"); codeOf(err) != "PreconditionFailed" {
		t.Errorf("a second If-None-Match: *: %v", err)
	}
	if _, err := put(*first.ETag, ""); err != nil {
		t.Errorf("If-Match of the present: %v", err)
	}
	if _, err := put(*first.ETag, ""); codeOf(err) != "PreconditionFailed" {
		t.Errorf("If-Match of the past: %v", err)
	}
	if _, err := put("", `"etag"`); codeOf(err) != "NotImplemented" {
		t.Errorf("If-None-Match of an ETag: %v", err)
	}
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"), IfMatch: first.ETag})
	if codeOf(err) != "PreconditionFailed" {
		t.Errorf("delete with If-Match of the past: %v", err)
	}
}

func TestListingsFollowS3sRules(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	for _, key := range []string{"a/1", "a/2", "b", "c/d/1", "c/d/2", "c/e", "z"} {
		d.do(raw{method: "PUT", target: "/bucket/" + key, body: key})
	}
	out, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), Delimiter: aws.String("/"), FetchOwner: aws.Bool(true)})
	if err != nil || len(out.Contents) != 2 || len(out.CommonPrefixes) != 2 || *out.KeyCount != 4 {
		t.Fatalf("%+v, %v", out, err)
	}
	if o := out.Contents[0]; *o.Key != "b" || *o.Size != 1 || o.Owner == nil || o.StorageClass != "STANDARD" || !strings.HasPrefix(*o.ETag, `"`) {
		t.Errorf("%+v", o)
	}
	out, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), StartAfter: aws.String("c/d/1"), MaxKeys: aws.Int32(2)})
	if err != nil || *out.Contents[0].Key != "c/d/2" || !*out.IsTruncated || out.Contents[0].Owner != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	out, err = client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), MaxKeys: aws.Int32(0)})
	if err != nil || len(out.Contents) != 0 || *out.IsTruncated {
		t.Fatalf("%+v, %v", out, err)
	}
	old, err := client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: aws.String("bucket"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(1)})
	if err != nil || *old.NextMarker != "a/" || len(old.CommonPrefixes) != 1 {
		t.Fatalf("%+v, %v", old, err)
	}
	old, err = client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: aws.String("bucket"), Delimiter: aws.String("/"), Marker: old.NextMarker})
	if err != nil || len(old.Contents) != 2 || len(old.CommonPrefixes) != 1 {
		t.Fatalf("%+v, %v", old, err)
	}
	if got := listAll(t, client, 2, "c/", ""); !slices.Equal(got, []string{"c/d/1", "c/d/2", "c/e"}) {
		t.Errorf("%q", got)
	}
}

func TestManyObjectsAreDeletedAtOnce(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	var ids []types.ObjectIdentifier
	for i := range 1000 {
		key := fmt.Sprintf("k/%d <&\n>", i)
		d.store.Put(ctx, putOf("bucket", key, "x"))
		ids = append(ids, types.ObjectIdentifier{Key: &key})
	}
	d.deny = func(_, resource string) bool { return strings.Contains(resource, "k/7 ") }
	out, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: ids}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Deleted) != 999 || len(out.Errors) != 1 || *out.Errors[0].Code != "AccessDenied" || d.things() != 1 {
		t.Fatalf("%d deleted, errors %+v, %d left", len(out.Deleted), out.Errors, d.things())
	}
	d.deny = nil
	out, err = client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)}})
	if err != nil || len(out.Deleted) != 0 || len(out.Errors) != 0 || d.things() != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	ids = append(ids, types.ObjectIdentifier{Key: aws.String("one too many")})
	if _, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: ids}}); codeOf(err) != "MalformedXML" {
		t.Fatal(err)
	}
}

func TestBucketsComeAndGo(t *testing.T) {
	d := newDoor(t)
	ctx, client := context.Background(), d.sdk()
	for _, name := range []string{"b-two", "a.one"} {
		if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("a.one")})
	if codeOf(err) != "BucketAlreadyOwnedByYou" {
		t.Error(err)
	}
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("elsewhere"),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "mars-1"}})
	if codeOf(err) != "InvalidLocationConstraint" {
		t.Error(err)
	}
	all, err := client.ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil || len(all.Buckets) != 2 || *all.Buckets[0].Name != "a.one" || all.Buckets[0].CreationDate == nil {
		t.Errorf("%+v, %v", all, err)
	}
	head, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("a.one")})
	if err != nil || *head.BucketRegion != "us-east-1" {
		t.Errorf("%+v, %v", head, err)
	}
	if loc, err := client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("a.one")}); err != nil || loc.LocationConstraint != "" {
		t.Errorf("%+v, %v", loc, err)
	}
	if v, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: aws.String("a.one")}); err != nil || v.Status != "" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("a.one")}); codeOf(err) != "NoSuchBucketPolicy" {
		t.Error(err)
	}
	d.store.Put(ctx, putOf("a.one", "k", "x"))
	if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("a.one")}); codeOf(err) != "BucketNotEmpty" {
		t.Error(err)
	}
	if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("b-two")}); err != nil {
		t.Error(err)
	}
	if _, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("b-two")}); err == nil {
		t.Error("a deleted bucket is there")
	}
}

func TestPresignedURLsWorkUntilTheyExpire(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx := context.Background()
	p := s3.NewPresignClient(d.sdk())
	key := aws.String("a b/ü+%")
	put, err := p.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: key, Metadata: map[string]string{"who": "me"}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(method, url, body string, header http.Header) reply {
		r, _ := http.NewRequest(method, url, strings.NewReader(body))
		if body == "" {
			r.Body = nil
		}
		for name, values := range header {
			if name != "Host" {
				r.Header[name] = values
			}
		}
		return d.send(r)
	}
	put.SignedHeader.Del("Content-Length")
	if got := send("PUT", put.URL, "presigned body", put.SignedHeader); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	get, err := p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: key,
		ResponseContentType: aws.String("text/html"), ResponseContentDisposition: aws.String(`attachment; filename="x"`)})
	if err != nil {
		t.Fatal(err)
	}
	got := send("GET", get.URL, "", nil)
	if got.body != "presigned body" || got.header.Get("Content-Type") != "text/html" || got.header.Get("Content-Disposition") != `attachment; filename="x"` || got.header.Get("X-Amz-Meta-Who") != "me" {
		t.Fatalf("%+v", got)
	}
	if got := send("GET", strings.Replace(get.URL, "text%2Fhtml", "text%2Fplain", 1), "", nil); got.code != "SignatureDoesNotMatch" {
		t.Errorf("another override: %d %s", got.status, got.code)
	}
	if got := send("DELETE", get.URL, "", nil); got.code != "SignatureDoesNotMatch" {
		t.Errorf("another method: %d %s", got.status, got.code)
	}
	old, err := p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: key}, func(o *s3.PresignOptions) { o.Expires = time.Second })
	if err != nil {
		t.Fatal(err)
	}
	d.handler.verifier = sigv4.New(sigv4.Options{Secrets: secrets{testKey: testSecret}, Clock: later{d.handler.Host.Clock, time.Minute}, Service: "s3"})
	if got := send("GET", old.URL, "", nil); got.status != 403 || !strings.Contains(got.body, "Request has expired") {
		t.Errorf("replayed after its time: %d %s", got.status, got.body)
	}
}

func putOf(bucket, key, body string) objects.PutRequest {
	return objects.PutRequest{Bucket: bucket, Key: key, Body: strings.NewReader(body), Bytes: int64(len(body))}
}
