package s3vectors

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3vectors"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors/document"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors/types"
)

// farness is the distance that S3 Vectors documents for cosine, and what its
// users find for euclidean: the square.
func farness(metric types.DistanceMetric, a, b []float32) float64 {
	var dot, aa, bb, square float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot, aa, bb, square = dot+x*y, aa+x*x, bb+y*y, square+(x-y)*(x-y)
	}
	if metric == types.DistanceMetricEuclidean {
		return square
	}
	return 1 - dot/math.Sqrt(aa*bb)
}

func TestQueriesAnswerWhatBruteForceDoes(t *testing.T) {
	const seed, dimension, rows, topK = 7, 24, 400, 25
	t.Logf("seed %d", seed)
	w := newWorld(t)
	c, ctx, draw := w.sdkClient(fullKey), t.Context(), rand.New(rand.NewPCG(seed, 0))
	w.do(t, "CreateVectorBucket", `{"vectorBucketName":"docs"}`)
	random := func() []float32 {
		v := make([]float32, dimension)
		for i := range v {
			v[i] = float32(draw.NormFloat64())
		}
		return v
	}
	for _, metric := range []types.DistanceMetric{types.DistanceMetricCosine, types.DistanceMetricEuclidean} {
		name := aws.String(string(metric))
		if _, err := c.CreateIndex(ctx, &sdk.CreateIndexInput{VectorBucketName: aws.String("docs"), IndexName: name, DataType: types.DataTypeFloat32, Dimension: aws.Int32(dimension), DistanceMetric: metric}); err != nil {
			t.Fatal(err)
		}
		stored := map[string][]float32{}
		var batch []types.PutInputVector
		for i := range rows {
			key := fmt.Sprintf("%d", i)
			stored[key] = random()
			batch = append(batch, types.PutInputVector{Key: aws.String(key), Data: vectorOf(stored[key]...), Metadata: document.NewLazyDocument(map[string]any{"odd": i%2 == 1})})
		}
		if _, err := c.PutVectors(ctx, &sdk.PutVectorsInput{VectorBucketName: aws.String("docs"), IndexName: name, Vectors: batch}); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			query := random()
			for _, odd := range []bool{false, true} {
				in := &sdk.QueryVectorsInput{VectorBucketName: aws.String("docs"), IndexName: name, TopK: aws.Int32(topK), QueryVector: vectorOf(query...), ReturnDistance: true}
				if odd {
					in.Filter = document.NewLazyDocument(map[string]any{"odd": true})
				}
				answer, err := c.QueryVectors(ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				agrees(t, metric, answer, stored, query, odd)
			}
		}
	}
}

func agrees(t *testing.T, metric types.DistanceMetric, answer *sdk.QueryVectorsOutput, stored map[string][]float32, query []float32, odd bool) {
	t.Helper()
	var want []float64
	for key, v := range stored {
		if !odd || strings.ContainsRune("13579", rune(key[len(key)-1])) {
			want = append(want, farness(metric, query, v))
		}
	}
	slices.Sort(want)
	if len(answer.Vectors) != 25 || answer.DistanceMetric != metric {
		t.Fatalf("%d vectors by %s", len(answer.Vectors), answer.DistanceMetric)
	}
	for i, v := range answer.Vectors {
		got := float64(*v.Distance)
		if math.Abs(got-want[i]) > 1e-5*(1+want[i]) || math.Abs(got-farness(metric, query, stored[*v.Key])) > 1e-5*(1+want[i]) {
			t.Errorf("%s: place %d is %q at %v, want the distance %v", metric, i, *v.Key, got, want[i])
		}
	}
}

// TestReadersSeeWhatWasAcknowledged: each writer owns a key, and asks for it after
// every put, overwrite and delete by each way of reading.
func TestReadersSeeWhatWasAcknowledged(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	var writers sync.WaitGroup
	for i := range 6 {
		writers.Go(func() {
			c := w.sdkClient(fullKey)
			for round := range 8 {
				if err := writeAndRead(t, c, fmt.Sprintf("writer-%d", i), float32(1+100*i+round)); err != nil {
					t.Errorf("writer %d, round %d: %v", i, round, err)
					return
				}
			}
		})
	}
	writers.Wait()
}

func writeAndRead(t *testing.T, c *sdk.Client, key string, x float32) error {
	ctx, bucket, index := t.Context(), aws.String("docs"), aws.String("plain")
	for _, y := range []float32{1000, 2000} { // a put, then an overwrite
		_, err := c.PutVectors(ctx, &sdk.PutVectorsInput{VectorBucketName: bucket, IndexName: index, Vectors: []types.PutInputVector{{Key: &key, Data: vectorOf(x, y)}}})
		if err != nil {
			return err
		}
		got, err := c.GetVectors(ctx, &sdk.GetVectorsInput{VectorBucketName: bucket, IndexName: index, Keys: []string{key}, ReturnData: true})
		if err != nil {
			return err
		}
		if len(got.Vectors) != 1 || !slices.Equal(got.Vectors[0].Data.(*types.VectorDataMemberFloat32).Value, []float32{x, y}) {
			return fmt.Errorf("GetVectors has not (%v, %v)", x, y)
		}
		if at, err := nearest(t, c, key, x, y); err != nil || at != 0 {
			return fmt.Errorf("QueryVectors finds it at %v: %w", at, err)
		}
	}
	if _, err := c.DeleteVectors(ctx, &sdk.DeleteVectorsInput{VectorBucketName: bucket, IndexName: index, Keys: []string{key}}); err != nil {
		return err
	}
	if at, err := nearest(t, c, key, x, 2000); err != nil || at >= 0 {
		return fmt.Errorf("QueryVectors finds what was deleted at %v: %w", at, err)
	}
	listed, err := c.ListVectors(ctx, &sdk.ListVectorsInput{VectorBucketName: bucket, IndexName: index})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(listed.Vectors, func(v types.ListOutputVector) bool { return *v.Key == key }) {
		return fmt.Errorf("ListVectors has what was deleted")
	}
	return nil
}

// nearest is the distance at which a query finds a key; -1: not at all.
func nearest(t *testing.T, c *sdk.Client, key string, x, y float32) (float32, error) {
	answer, err := c.QueryVectors(t.Context(), &sdk.QueryVectorsInput{
		VectorBucketName: aws.String("docs"), IndexName: aws.String("plain"), TopK: aws.Int32(10), QueryVector: vectorOf(x, y), ReturnDistance: true,
	})
	if err != nil {
		return -1, err
	}
	for _, v := range answer.Vectors {
		if *v.Key == key {
			return *v.Distance, nil
		}
	}
	return -1, nil
}
