package s3

import (
	"bytes"
	"context"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestMultipartUploadsOfAnSDK(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	key := aws.String("big/naïve key")
	create, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: key,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, Metadata: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{body(5 << 20), body(5<<20 + 1), body(10)}
	var done []types.CompletedPart
	for i, b := range parts {
		n := aws.Int32(int32(i + 1))
		out, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: aws.String("bucket"), Key: key, UploadId: create.UploadId, PartNumber: n,
			Body: bytes.NewReader(b), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, types.CompletedPart{PartNumber: n, ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256})
	}
	ups, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: aws.String("bucket")})
	if err != nil || len(ups.Uploads) != 1 || *ups.Uploads[0].Key != *key {
		t.Fatalf("%+v, %v", ups, err)
	}
	listed, err := client.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String("bucket"), Key: key, UploadId: create.UploadId, MaxParts: aws.Int32(2)})
	if err != nil || len(listed.Parts) != 2 || !*listed.IsTruncated || *listed.NextPartNumberMarker != "2" {
		t.Fatalf("%+v, %v", listed, err)
	}
	complete := &s3.CompleteMultipartUploadInput{Bucket: aws.String("bucket"), Key: key, UploadId: create.UploadId, MpuObjectSize: aws.Int64(1),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}
	if _, err := client.CompleteMultipartUpload(ctx, complete); codeOf(err) != "InvalidRequest" {
		t.Errorf("another object size: %v", err)
	}
	complete.MpuObjectSize = aws.Int64(10<<20 + 11)
	out, err := client.CompleteMultipartUpload(ctx, complete)
	if err != nil || !strings.HasSuffix(*out.ETag, `-3"`) || !strings.HasSuffix(*out.ChecksumSHA256, "-3") || out.ChecksumType != types.ChecksumTypeComposite {
		t.Fatalf("%+v, %v", out, err)
	}
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(got.Body); !bytes.Equal(b, bytes.Join(parts, nil)) || got.Metadata["a"] != "b" {
		t.Fatalf("%d bytes, metadata %v", len(b), got.Metadata)
	}
	second, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: key, PartNumber: aws.Int32(2)})
	if err != nil || *second.PartsCount != 3 || *second.ContentRange != "bytes 5242880-10485760/10485771" {
		t.Fatalf("%+v, %v", second, err)
	}
	if b, _ := io.ReadAll(second.Body); !bytes.Equal(b, parts[1]) {
		t.Fatalf("part 2 has %d bytes", len(b))
	}
	_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: key, PartNumber: aws.Int32(4)})
	if err == nil || !strings.Contains(err.Error(), "416") {
		t.Errorf("part 4: %v", err)
	}
}

func TestPartsAreCopiedAndUploadsAborted(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	d.do(raw{method: "PUT", target: "/bucket/source%20key", body: "0123456789"})
	create, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	in := &s3.UploadPartCopyInput{Bucket: aws.String("bucket"), Key: aws.String("k"), UploadId: create.UploadId, PartNumber: aws.Int32(1),
		CopySource: aws.String("bucket/source%20key"), CopySourceRange: aws.String("bytes=2-4")}
	part, err := client.UploadPartCopy(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k"), UploadId: create.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.CopyPartResult.ETag}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.do(raw{method: "GET", target: "/bucket/k"}); got.body != "234" {
		t.Fatalf("%q", got.body)
	}
	for _, r := range []string{"bytes=2-", "bytes=-2", "bytes=4-2", "2-4", "bytes=1-2,4-5"} {
		in.CopySourceRange = &r
		if _, err := client.UploadPartCopy(ctx, in); codeOf(err) != "InvalidArgument" {
			t.Errorf("%q: %v", r, err)
		}
	}
	again, _ := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k2")})
	abort := &s3.AbortMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k2"), UploadId: again.UploadId}
	if _, err := client.AbortMultipartUpload(ctx, abort); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AbortMultipartUpload(ctx, abort); codeOf(err) != "NoSuchUpload" {
		t.Fatal(err)
	}
}

func TestCopiesKeepOrReplaceMetadata(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.sdk()
	put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("from +%"), Body: strings.NewReader("x"), Metadata: map[string]string{"a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	in := func() *s3.CopyObjectInput {
		return &s3.CopyObjectInput{Bucket: aws.String("bucket"), Key: aws.String("to"), CopySource: aws.String("/bucket/from%20%2B%25")}
	}
	meta := func() map[string]string {
		o, err := d.store.Head(ctx, "bucket", "to")
		if err != nil {
			t.Fatal(err)
		}
		return o.Metadata
	}
	if out, err := client.CopyObject(ctx, in()); err != nil || *out.CopyObjectResult.ETag != *put.ETag || meta()["a"] != "1" {
		t.Fatalf("%v", err)
	}
	replace := in()
	replace.MetadataDirective, replace.Metadata = types.MetadataDirectiveReplace, map[string]string{"b": "2"}
	if _, err := client.CopyObject(ctx, replace); err != nil || !maps.Equal(meta(), map[string]string{"b": "2"}) {
		t.Fatalf("%v %v", meta(), err)
	}
	for name, c := range map[string]struct {
		change func(*s3.CopyObjectInput)
		code   string
	}{
		"etag":       {func(i *s3.CopyObjectInput) { i.CopySourceIfMatch = aws.String("other") }, "PreconditionFailed"},
		"same etag":  {func(i *s3.CopyObjectInput) { i.CopySourceIfNoneMatch = put.ETag }, "PreconditionFailed"},
		"date":       {func(i *s3.CopyObjectInput) { i.CopySourceIfModifiedSince = aws.Time(time.Now().Add(time.Hour)) }, "PreconditionFailed"},
		"itself":     {func(i *s3.CopyObjectInput) { i.Key = aws.String("from +%") }, "InvalidRequest"},
		"no source":  {func(i *s3.CopyObjectInput) { i.CopySource = aws.String("bucket/none") }, "NoSuchKey"},
		"no key":     {func(i *s3.CopyObjectInput) { i.CopySource = aws.String("bucket/") }, "InvalidArgument"},
		"bad escape": {func(i *s3.CopyObjectInput) { i.CopySource = aws.String("bucket/%zz") }, "InvalidArgument"},
		"version":    {func(i *s3.CopyObjectInput) { i.CopySource = aws.String("bucket/from%20%2B%25?versionId=1") }, "NoSuchVersion"},
		"directive":  {func(i *s3.CopyObjectInput) { i.MetadataDirective = "MOVE" }, "InvalidArgument"},
	} {
		i := in()
		c.change(i)
		if _, err := client.CopyObject(ctx, i); codeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
