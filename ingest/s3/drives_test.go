package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"

	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
)

// overDrives is a door over a real store on six drives of a disk in memory. Its
// host is the real one but for the disk, for clients sign by the wall clock.
func overDrives(t testing.TB) *door {
	t.Helper()
	d, _, _ := overDisk(t)
	return d
}

// overDisk is overDrives with the store and the disk, which a test may hurt.
func overDisk(t testing.TB) (*door, *objects.Store, *hosttest.Disk) {
	t.Helper()
	h := host.Real(nil)
	disk := hosttest.DiskOf(hosttest.New(1))
	h.FS = disk
	var folders []string
	for i := range 6 {
		folders = append(folders, fmt.Sprintf("drive-%d", i+1))
	}
	store, err := objects.Open(context.Background(), objects.Options{Host: h, Drives: folders, AutoFormat: true, ExtentBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t}
	d.handler = New(Options{Store: store, Secrets: secrets{testKey: testSecret}, Host: h,
		Authority: judge(func(authority.Request) error { return nil }), Policies: authority.Policies{Store: store}})
	d.server = httptest.NewServer(d.handler)
	t.Cleanup(func() {
		d.server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, store, disk
}

func TestBothClientsOverRealDrives(t *testing.T) {
	d := overDrives(t)
	ctx, client, other := context.Background(), d.sdk(), d.minio()
	if err := other.MakeBucket(ctx, "bucket", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for i, size := range []int{0, 1, 1 << 10, 1<<10 + 1, 4096, 128 << 10, 128<<10 + 1, 5<<20 + 3} {
		want, key := body(size), fmt.Sprintf("size/%d", size)
		put := &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: bytes.NewReader(want), Metadata: map[string]string{"i": fmt.Sprint(i)}}
		if _, err := client.PutObject(ctx, put); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		o, err := other.GetObject(ctx, "bucket", key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	want := body(11 << 20)
	if _, err := other.PutObject(ctx, "bucket", "parts", bytes.NewReader(want), int64(len(want)), minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("parts"), Range: aws.String("bytes=5242870-10485770")})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(b, want[5242870:10485771]) {
		t.Errorf("a range over parts: %d bytes, %v", len(b), err)
	}
	if keys := listAll(t, client, 3, "", ""); len(keys) != 9 {
		t.Errorf("%q", keys)
	}
}

func TestHostileKeysOverRealDrives(t *testing.T) {
	d := overDrives(t)
	ctx, client := context.Background(), d.sdk()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	var ids []types.ObjectIdentifier
	for _, key := range hostileKeys {
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key, Body: strings.NewReader(key)}); err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		ids = append(ids, types.ObjectIdentifier{Key: &key})
	}
	want := slices.Sorted(slices.Values(hostileKeys))
	if keys := listAll(t, client, 7, "", types.EncodingTypeUrl); !slices.Equal(keys, want) {
		t.Errorf("listed %q\nwant %q", keys, want)
	}
	for _, key := range hostileKeys {
		got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key})
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		if b, _ := io.ReadAll(got.Body); string(b) != key {
			t.Errorf("%q holds %q", key, b)
		}
	}
	out, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: ids}})
	if err != nil || len(out.Errors) != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Error(err)
	}
}

// What a proof refuses at the very end of its body is not there afterwards.
func TestARefusedBodyLeavesNothingOnTheDrives(t *testing.T) {
	d := overDrives(t)
	ctx, client := context.Background(), d.sdk()
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Fatal(err)
	}
	payload := strings.Repeat("x", 300_000)
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(payload), payload)
	length := fmt.Sprint(len(payload))
	for code, q := range map[string]raw{
		"XAmzContentSHA256Mismatch": {method: "PUT", target: "/bucket/k", body: payload, payload: hashOf("another")},
		"BadDigest": {method: "PUT", target: "/bucket/k", body: chunk + "x-amz-checksum-crc32:AAAAAA==\r\n\r\n", payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			header: header("X-Amz-Decoded-Content-Length", length, "X-Amz-Trailer", "x-amz-checksum-crc32")},
		"IncompleteBody": {method: "PUT", target: "/bucket/k", body: chunk[:200_000], payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			header: header("X-Amz-Decoded-Content-Length", length)},
		"InvalidRequest": {method: "PUT", target: "/bucket/k", body: chunk + "\r\nand more", payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			header: header("X-Amz-Decoded-Content-Length", length)},
	} {
		if got := d.do(q); got.code != code {
			t.Errorf("%d %s, want %s", got.status, got.body, code)
		}
		if got := d.do(raw{method: "GET", target: "/bucket/k"}); got.code != "NoSuchKey" {
			t.Errorf("%s left something: %d", code, got.status)
		}
	}
	if got := d.do(raw{method: "DELETE", target: "/bucket"}); got.status != 204 {
		t.Errorf("%d %s", got.status, got.body)
	}
}
