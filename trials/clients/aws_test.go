package clients

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors/document"
	vtypes "github.com/aws/aws-sdk-go-v2/service/s3vectors/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	mcredentials "github.com/minio/minio-go/v7/pkg/credentials"
)

func (s *server) s3() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.url), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.accessKey, s.secret, ""),
	})
}

func (s *server) s3vectors() *s3vectors.Client {
	return s3vectors.New(s3vectors.Options{
		BaseEndpoint: aws.String(s.url), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(s.accessKey, s.secret, ""),
	})
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// random bytes that every run makes alike.
func random(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

func TestAWSSDKPutsAndGetsObjects(t *testing.T) {
	c := start(t).s3()
	ctx := t.Context()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("docs")}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 1000, 5000, 200_000, 5_000_000} {
		key, body := fmt.Sprintf("a/%d", size), random(1, size)
		put, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("docs"), Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"colour": "blue"}})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("docs"), Key: &key})
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		back, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(back, body) || *got.ETag != *put.ETag || got.Metadata["colour"] != "blue" {
			t.Errorf("%d bytes come back as %d, %v, ETag %s after %s", size, len(back), err, *got.ETag, *put.ETag)
		}
	}
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("docs"), Key: aws.String("a/5000000"), Range: aws.String("bytes=4194300-4194310")})
	if err != nil {
		t.Fatal(err)
	}
	part, _ := io.ReadAll(got.Body)
	if !bytes.Equal(part, random(1, 5_000_000)[4194300:4194311]) {
		t.Errorf("a range over the border of two stripes comes back wrong")
	}
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("docs"), Key: aws.String("a/1"), IfNoneMatch: aws.String("*"), Body: bytes.NewReader(nil)})
	if code(err) != "PreconditionFailed" {
		t.Errorf("a conditional put over an object: %v", err)
	}
	if _, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("docs"), Key: aws.String("none")}); code(err) != "NoSuchKey" {
		t.Errorf("an absent key: %v", err)
	}
}

func TestAWSSDKUploadsInParts(t *testing.T) {
	c := start(t).s3()
	ctx := t.Context()
	if _, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("docs")}); err != nil {
		t.Fatal(err)
	}
	bucket, key := aws.String("docs"), aws.String("big")
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	whole := sha256.New()
	var done []types.CompletedPart
	for n := int32(1); n <= 3; n++ {
		body := random(uint64(n), 5<<20+int(n)*1000)
		whole.Write(body)
		p, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: &n, Body: bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, types.CompletedPart{ETag: p.ETag, PartNumber: aws.Int32(n), ChecksumCRC32: p.ChecksumCRC32})
	}
	if _, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done}}); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	back := sha256.New()
	if _, err := io.Copy(back, got.Body); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Sum(nil), whole.Sum(nil)) {
		t.Error("the parts come back as another object")
	}
}

func TestMinioGoListsAndRemoves(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c, err := minio.New(s.url[len("http://"):], &minio.Options{Creds: mcredentials.NewStaticV4(s.accessKey, s.secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(ctx, "docs", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 1203 {
		key := fmt.Sprintf("k/%04d ü+%%", i)
		want = append(want, key)
		if _, err := c.PutObject(ctx, "docs", key, bytes.NewReader([]byte(key)), int64(len(key)), minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for o := range c.ListObjectsIter(ctx, "docs", minio.ListObjectsOptions{Prefix: "k/", Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		got = append(got, o.Key)
	}
	sort.Strings(want)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %d of %d keys, or in another order", len(got), len(want))
	}
	objects := make(chan minio.ObjectInfo)
	go func() {
		defer close(objects)
		for _, key := range want {
			objects <- minio.ObjectInfo{Key: key}
		}
	}()
	for e := range c.RemoveObjects(ctx, "docs", objects, minio.RemoveObjectsOptions{}) {
		t.Errorf("remove %s: %v", e.ObjectName, e.Err)
	}
	if err := c.RemoveBucket(ctx, "docs"); err != nil {
		t.Errorf("the emptied bucket: %v", err)
	}
}

func TestAWSSDKFindsNeighbours(t *testing.T) {
	c := start(t).s3vectors()
	ctx := t.Context()
	bucket, name := aws.String("vec"), aws.String("points")
	if _, err := c.CreateVectorBucket(ctx, &s3vectors.CreateVectorBucketInput{VectorBucketName: bucket}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateIndex(ctx, &s3vectors.CreateIndexInput{VectorBucketName: bucket, IndexName: name, DataType: vtypes.DataTypeFloat32, Dimension: aws.Int32(8), DistanceMetric: vtypes.DistanceMetricEuclidean}); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	points := make([][]float32, 1000)
	for begin := 0; begin < len(points); begin += 250 {
		var batch []vtypes.PutInputVector
		for i := begin; i < begin+250; i++ {
			points[i] = make([]float32, 8)
			for j := range points[i] {
				points[i][j] = float32(r.NormFloat64())
			}
			batch = append(batch, vtypes.PutInputVector{Key: aws.String(fmt.Sprint(i)), Data: &vtypes.VectorDataMemberFloat32{Value: points[i]},
				Metadata: document.NewLazyDocument(map[string]any{"even": i%2 == 0, "n": i})})
		}
		if _, err := c.PutVectors(ctx, &s3vectors.PutVectorsInput{VectorBucketName: bucket, IndexName: name, Vectors: batch}); err != nil {
			t.Fatal(err)
		}
	}
	query := make([]float32, 8)
	got, err := c.QueryVectors(ctx, &s3vectors.QueryVectorsInput{VectorBucketName: bucket, IndexName: name, TopK: aws.Int32(5), ReturnDistance: true, ReturnMetadata: true,
		QueryVector: &vtypes.VectorDataMemberFloat32{Value: query}, Filter: document.NewLazyDocument(map[string]any{"even": true})})
	if err != nil {
		t.Fatal(err)
	}
	want := nearestEven(points, query, 5)
	for i, v := range got.Vectors {
		if *v.Key != fmt.Sprint(want[i]) {
			t.Errorf("hit %d is %s, want %d", i, *v.Key, want[i])
		}
	}
	if len(got.Vectors) != 5 {
		t.Errorf("%d hits", len(got.Vectors))
	}
	_, err = c.PutVectors(ctx, &s3vectors.PutVectorsInput{VectorBucketName: bucket, IndexName: name, Vectors: []vtypes.PutInputVector{{Key: aws.String("x"), Data: &vtypes.VectorDataMemberFloat32{Value: []float32{1}}}}})
	var bad *vtypes.ValidationException
	if !errors.As(err, &bad) || len(bad.FieldList) != 1 {
		t.Errorf("a vector of another dimension: %v", err)
	}
	if _, err = c.GetIndex(ctx, &s3vectors.GetIndexInput{VectorBucketName: bucket, IndexName: aws.String("absent")}); code(err) != "NotFoundException" {
		t.Errorf("an absent index: %v", err)
	}
}

// nearestEven is brute force that shares nothing with the engine.
func nearestEven(points [][]float32, query []float32, k int) []int {
	var order []int
	distance := func(i int) (d float64) {
		for j := range query {
			d += math.Pow(float64(points[i][j]-query[j]), 2)
		}
		return d
	}
	for i := range points {
		if i%2 == 0 {
			order = append(order, i)
		}
	}
	sort.Slice(order, func(a, b int) bool { return distance(order[a]) < distance(order[b]) })
	return order[:k]
}
