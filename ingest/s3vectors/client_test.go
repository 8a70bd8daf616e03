package s3vectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3vectors"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors/document"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors/types"
)

func TestBucketsAndIndexesLiveAndDieThroughTheSDK(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.sdkClient(fullKey), t.Context()
	made, err := c.CreateVectorBucket(ctx, &sdk.CreateVectorBucketInput{VectorBucketName: aws.String("docs"), EncryptionConfiguration: &types.EncryptionConfiguration{SseType: types.SseTypeAes256}})
	if err != nil || *made.VectorBucketArn != "arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs" {
		t.Fatal(made, err)
	}
	kept, err := w.store.Bucket(ctx, "docs")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*sdk.GetVectorBucketInput{{VectorBucketName: aws.String("docs")}, {VectorBucketArn: made.VectorBucketArn}} {
		got, err := c.GetVectorBucket(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		b := got.VectorBucket
		if *b.VectorBucketName != "docs" || *b.VectorBucketArn != *made.VectorBucketArn || !b.CreationTime.Equal(kept.Created.Truncate(time.Millisecond)) {
			t.Errorf("GetVectorBucket says %+v", b)
		}
	}
	index, err := c.CreateIndex(ctx, &sdk.CreateIndexInput{
		VectorBucketArn: made.VectorBucketArn, IndexName: aws.String("notes"), Dimension: aws.Int32(3),
		DataType: types.DataTypeFloat32, DistanceMetric: types.DistanceMetricEuclidean,
		MetadataConfiguration: &types.MetadataConfiguration{NonFilterableMetadataKeys: []string{"text"}},
	})
	if err != nil || *index.IndexArn != *made.VectorBucketArn+"/index/notes" {
		t.Fatal(index, err)
	}
	for _, in := range []*sdk.GetIndexInput{{VectorBucketName: aws.String("docs"), IndexName: aws.String("notes")}, {IndexArn: index.IndexArn}} {
		got, err := c.GetIndex(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		i := got.Index
		if *i.VectorBucketName != "docs" || *i.IndexName != "notes" || *i.IndexArn != *index.IndexArn || *i.Dimension != 3 || i.CreationTime.IsZero() ||
			i.DataType != types.DataTypeFloat32 || i.DistanceMetric != types.DistanceMetricEuclidean || !slices.Equal(i.MetadataConfiguration.NonFilterableMetadataKeys, []string{"text"}) {
			t.Errorf("GetIndex says %+v", i)
		}
	}
	var inUse *types.ConflictException
	if _, err := c.DeleteVectorBucket(ctx, &sdk.DeleteVectorBucketInput{VectorBucketName: aws.String("docs")}); !errors.As(err, &inUse) {
		t.Errorf("a bucket with an index was deleted: %v", err)
	}
	if _, err := c.DeleteIndex(ctx, &sdk.DeleteIndexInput{IndexArn: index.IndexArn}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteVectorBucket(ctx, &sdk.DeleteVectorBucketInput{VectorBucketArn: made.VectorBucketArn}); err != nil {
		t.Fatal(err)
	}
	var gone *types.NotFoundException
	if _, err := c.GetVectorBucket(ctx, &sdk.GetVectorBucketInput{VectorBucketName: aws.String("docs")}); !errors.As(err, &gone) {
		t.Errorf("a deleted bucket answers: %v", err)
	}
}

func TestTheSDKReadsRefusalsAsItsOwnErrors(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	_, err := w.sdkClient(fullKey).PutVectors(t.Context(), &sdk.PutVectorsInput{
		VectorBucketName: aws.String("docs"), IndexName: aws.String("notes"),
		Vectors: []types.PutInputVector{{Key: aws.String("c"), Data: vectorOf(1, 2)}},
	})
	var invalid *types.ValidationException
	if !errors.As(err, &invalid) || len(invalid.FieldList) != 1 || *invalid.FieldList[0].Path != "vectors[0].data" {
		t.Errorf("wrong dimension: %v", err)
	}
	_, err = w.sdkClient(narrowKey).DeleteIndex(t.Context(), &sdk.DeleteIndexInput{VectorBucketName: aws.String("docs"), IndexName: aws.String("notes")})
	var denied *types.AccessDeniedException
	if !errors.As(err, &denied) {
		t.Errorf("without the right: %v", err)
	}
	_, err = w.sdkClient(fullKey).GetVectorBucketPolicy(t.Context(), &sdk.GetVectorBucketPolicyInput{VectorBucketName: aws.String("docs")})
	var absent *types.NotFoundException
	if !errors.As(err, &absent) {
		t.Errorf("no policy: %v", err)
	}
}

func TestListingsOfBucketsAndIndexesPageWithoutLossOrRepeat(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.sdkClient(fullKey), t.Context()
	var want []string
	for i := range 7 {
		want = append(want, fmt.Sprintf("team-%d", i))
		w.do(t, "CreateVectorBucket", `{"vectorBucketName":"`+want[i]+`"}`)
		w.do(t, "CreateIndex", `{"vectorBucketName":"team-0","indexName":"`+want[i]+`",`+sound+`}`)
	}
	w.do(t, "CreateVectorBucket", `{"vectorBucketName":"other"}`)
	for size := int32(1); size <= 8; size++ {
		var buckets, indexes []string
		pages := 0
		for p := sdk.NewListVectorBucketsPaginator(c, &sdk.ListVectorBucketsInput{MaxResults: &size, Prefix: aws.String("team-")}); p.HasMorePages() && pages < 50; pages++ {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range page.VectorBuckets {
				buckets = append(buckets, *b.VectorBucketName)
			}
		}
		for p := sdk.NewListIndexesPaginator(c, &sdk.ListIndexesInput{VectorBucketName: aws.String("team-0"), MaxResults: &size, Prefix: aws.String("team")}); p.HasMorePages() && pages < 50; pages++ {
			page, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range page.Indexes {
				indexes = append(indexes, *i.IndexName)
			}
		}
		if !slices.Equal(buckets, want) || !slices.Equal(indexes, want) {
			t.Errorf("in pages of %d: buckets %v, indexes %v; want %v", size, buckets, indexes, want)
		}
		if each := (7 + int(size) - 1) / int(size); pages != 2*each {
			t.Errorf("in pages of %d: %d pages, want twice %d", size, pages, each)
		}
	}
}

func TestSegmentsTogetherListEachVectorOnce(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	c := w.sdkClient(fullKey)
	want := []string{"a"}
	var batch []types.PutInputVector
	for i := range 100 {
		key := fmt.Sprintf("key %03d/ü", i)
		want = append(want, key)
		batch = append(batch, types.PutInputVector{Key: aws.String(key), Data: vectorOf(float32(i), 1)})
	}
	slices.Sort(want)
	if _, err := c.PutVectors(t.Context(), &sdk.PutVectorsInput{VectorBucketName: aws.String("docs"), IndexName: aws.String("plain"), Vectors: batch}); err != nil {
		t.Fatal(err)
	}
	for _, segments := range []int32{0, 1, 3, 16} {
		var got []string
		for s := range max(segments, 1) {
			in := &sdk.ListVectorsInput{VectorBucketName: aws.String("docs"), IndexName: aws.String("plain"), MaxResults: aws.Int32(4)}
			if segments > 0 {
				in.SegmentCount, in.SegmentIndex = &segments, s
			}
			for p := sdk.NewListVectorsPaginator(c, in); p.HasMorePages() && len(got) <= len(want); {
				page, err := p.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Vectors) > 4 {
					t.Errorf("a page of at most 4 has %d", len(page.Vectors))
				}
				for _, v := range page.Vectors {
					got = append(got, *v.Key)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d segments list %v, want %v", segments, got, want)
		}
	}
}

func TestAPageOfVectorsEndsNearOneMebibyte(t *testing.T) {
	w := newWorld(t)
	c := w.sdkClient(fullKey)
	w.do(t, "CreateVectorBucket", `{"vectorBucketName":"docs"}`)
	w.do(t, "CreateIndex", `{`+docs+`,"indexName":"wide","dataType":"float32","dimension":4096,"distanceMetric":"euclidean"}`)
	var batch []types.PutInputVector
	for i := range 150 {
		batch = append(batch, types.PutInputVector{Key: aws.String(fmt.Sprintf("%03d", i)), Data: vectorOf(make([]float32, 4096)...)})
	}
	if _, err := c.PutVectors(t.Context(), &sdk.PutVectorsInput{VectorBucketName: aws.String("docs"), IndexName: aws.String("wide"), Vectors: batch}); err != nil {
		t.Fatal(err)
	}
	for _, values := range []bool{true, false} {
		var sizes []int
		next := 0
		for p := sdk.NewListVectorsPaginator(c, &sdk.ListVectorsInput{VectorBucketName: aws.String("docs"), IndexName: aws.String("wide"), ReturnData: values}); p.HasMorePages() && next <= len(batch); {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(page.Vectors))
			for _, v := range page.Vectors {
				if want := fmt.Sprintf("%03d", next); *v.Key != want {
					t.Fatalf("key %q where %q is next", *v.Key, want)
				}
				next++
			}
		}
		if want := map[bool][]int{true: {63, 63, 24}, false: {150}}[values]; !slices.Equal(sizes, want) {
			t.Errorf("with values %v: pages of %v, want %v", values, sizes, want)
		}
	}
}

func TestWhatWasNotAskedForIsAbsent(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	const whole = `{"key":"a","data":{"float32":[1,0,0]},"metadata":{"lang":"en","text":"first"}}`
	const bare = `{"key":"a"}`
	for _, c := range []struct{ op, body, want string }{
		{"GetVectors", `{` + notes + `"keys":["a","absent"]}`, `{"vectors":[` + bare + `]}`},
		{"GetVectors", `{` + notes + `"keys":["a"],"returnData":false,"returnMetadata":null}`, `{"vectors":[` + bare + `]}`},
		{"GetVectors", `{` + notes + `"keys":["a"],"returnData":true,"returnMetadata":true}`, `{"vectors":[` + whole + `]}`},
		{"GetVectors", `{` + notes + `"keys":["b"],"returnMetadata":true}`, `{"vectors":[{"key":"b"}]}`},
		{"GetVectors", `{` + notes + `"keys":["absent"]}`, `{"vectors":[]}`},
		{"GetVectors", `{"indexArn":"arn:aws:s3vectors:us-east-1:123456789012:bucket/docs/index/notes","keys":["a"]}`, `{"vectors":[` + bare + `]}`},
		{"ListVectors", `{` + notes + `"maxResults":2}`, `{"vectors":[` + bare + `,{"key":"b"}]}`},
		{"QueryVectors", ask(`"filter":null,"queryVector":{"float32":[1,0,0]}`), `{"distanceMetric":"cosine","vectors":[` + bare + `]}`},
		{"QueryVectors", ask(`"filter":{"lang":{"$eq":"en"}},"queryVector":{"float32":[0,1,0]},"returnDistance":true`), `{"distanceMetric":"cosine","vectors":[{"key":"a","distance":1}]}`},
		{"QueryVectors", ask(`"filter":{"lang":"fr"}`), `{"distanceMetric":"cosine","vectors":[]}`},
		{"QueryVectors", `{` + plain + `"topK":9,"queryVector":{"float32":[0,0]},"returnDistance":true,"returnMetadata":true}`, `{"distanceMetric":"euclidean","vectors":[{"key":"a","distance":0}]}`},
	} {
		got := strings.TrimSpace(string(w.do(t, c.op, c.body)))
		if got != c.want {
			t.Errorf("%s %s answers\n%s, want\n%s", c.op, c.body, got, c.want)
		}
	}
}

func TestMetadataComesBackAsItWasPut(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	c, ctx := w.sdkClient(fullKey), t.Context()
	put := map[string]any{"text": "<b>é😀</b>", "year": 2026.5, "open": true, "tags": []any{"x", "y"}}
	_, err := c.PutVectors(ctx, &sdk.PutVectorsInput{VectorBucketName: aws.String("docs"), IndexName: aws.String("notes"), Vectors: []types.PutInputVector{
		{Key: aws.String("😀 key"), Data: vectorOf(0, 0, 2), Metadata: document.NewLazyDocument(put)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.QueryVectors(ctx, &sdk.QueryVectorsInput{
		VectorBucketName: aws.String("docs"), IndexName: aws.String("notes"), TopK: aws.Int32(5), QueryVector: vectorOf(0, 0, 1),
		Filter: document.NewLazyDocument(map[string]any{"$and": []any{map[string]any{"tags": "y"}, map[string]any{"year": map[string]any{"$gt": 2026}}}}), ReturnMetadata: true, ReturnDistance: true,
	})
	if err != nil || len(answer.Vectors) != 1 || *answer.Vectors[0].Key != "😀 key" || answer.DistanceMetric != types.DistanceMetricCosine {
		t.Fatalf("%+v, %v", answer, err)
	}
	var got map[string]any
	if err := answer.Vectors[0].Metadata.UnmarshalSmithyDocument(&got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(put) {
		t.Errorf("metadata is %v, was put as %v", got, put)
	}
}

func TestNamesOfAbsentOperationsAreNotKept(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{"/Made/Up": " 404", "/ListVectorBuckets": "ListVectorBuckets 200", "/tags/arn": "TagResource 400"} {
		w.send(t, request{path: path, body: `{}`})
		if got := <-w.served; got != want {
			t.Errorf("%s is served as %q, want %q", path, got, want)
		}
	}
}

func vectorOf(numbers ...float32) types.VectorData {
	return &types.VectorDataMemberFloat32{Value: numbers}
}
