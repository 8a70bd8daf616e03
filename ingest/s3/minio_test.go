package s3

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tarnlake/tarn/objects"
)

// minio-go signs its bodies chunk by chunk, with trailers, where the AWS SDK
// hashes them whole: together they meet every form of payload.
func TestMinioPutsInChunksAndParts(t *testing.T) {
	d := newDoor(t)
	ctx, client := context.Background(), d.minio()
	if err := client.MakeBucket(ctx, "bucket", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 200_000, 11 << 20} {
		want := body(size)
		info, err := client.PutObject(ctx, "bucket", "k", bytes.NewReader(want), int64(size), minio.PutObjectOptions{
			PartSize: 5 << 20, Checksum: minio.ChecksumCRC32C, UserMetadata: map[string]string{"size": "some"}})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		o, err := client.GetObject(ctx, "bucket", "k", minio.GetObjectOptions{Checksum: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(o)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
		}
		if stat, err := o.Stat(); err != nil || stat.ETag != info.ETag || stat.UserMetadata["Size"] != "some" {
			t.Errorf("%+v, %v", stat, err)
		}
	}
}

func TestMinioPutsAStreamOfUnknownLength(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.minio()
	want := body(12 << 20)
	if _, err := client.PutObject(ctx, "bucket", "k", io.MultiReader(bytes.NewReader(want)), -1, minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	if o, got, err := d.stored("bucket", "k"); err != nil || !bytes.Equal(got, want) || len(o.PartBytes) != 3 {
		t.Fatalf("%v", err)
	}
}

func TestMinioKeepsHostileKeys(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.minio()
	var put []string
	for _, key := range hostileKeys {
		// minio-go refuses keys with dot segments and leading slashes itself.
		if strings.HasPrefix(key, "/") || slices.ContainsFunc(strings.Split(key, "/"), func(s string) bool { return s == "." || s == ".." }) {
			continue
		}
		if _, err := client.PutObject(ctx, "bucket", key, strings.NewReader(key), int64(len(key)), minio.PutObjectOptions{}); err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		put = append(put, key)
	}
	slices.Sort(put)
	for _, v1 := range []bool{false, true} {
		var listed []string
		for o := range client.ListObjects(ctx, "bucket", minio.ListObjectsOptions{Recursive: true, MaxKeys: 5, UseV1: v1}) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
			listed = append(listed, o.Key)
		}
		if !slices.Equal(listed, put) {
			t.Errorf("version 1 %v: listed %q\nwant %q", v1, listed, put)
		}
	}
	gone := make(chan minio.ObjectInfo, len(put))
	for _, key := range put {
		gone <- minio.ObjectInfo{Key: key}
	}
	close(gone)
	for e := range client.RemoveObjects(ctx, "bucket", gone, minio.RemoveObjectsOptions{}) {
		t.Errorf("%q: %v", e.ObjectName, e.Err)
	}
	if n := d.things(); n != 0 {
		t.Errorf("%d objects left", n)
	}
}

func TestMinioComposesAndPresigns(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	ctx, client := context.Background(), d.minio()
	big := body(5 << 20)
	d.store.Put(ctx, objects.PutRequest{Bucket: "bucket", Key: "a", Body: bytes.NewReader(big), Bytes: int64(len(big))})
	d.store.Put(ctx, putOf("bucket", "b", "tail"))
	_, err := client.ComposeObject(ctx, minio.CopyDestOptions{Bucket: "bucket", Object: "whole"},
		minio.CopySrcOptions{Bucket: "bucket", Object: "a"}, minio.CopySrcOptions{Bucket: "bucket", Object: "b"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := client.PresignedGetObject(ctx, "bucket", "whole", time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.server.Client().Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != string(big)+"tail" {
		t.Fatalf("%d bytes, %s", len(got), resp.Status)
	}
}
