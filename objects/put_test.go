package objects_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/tarnlake/tarn/objects"
)

// Costs of the layer itself, over drives and an index in memory.
func BenchmarkPutAndGet(b *testing.B) {
	for _, size := range []int{500, 4 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			ctx, s := openBucket(b)
			body := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				put := objects.PutRequest{Bucket: "lake", Key: "k", Body: bytes.NewReader(body), Bytes: int64(size)}
				if _, err := s.Put(ctx, put); err != nil {
					b.Fatal(err)
				}
				r, err := s.Open(ctx, "lake", "k")
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r.NewReader(ctx, 0, -1)); n != int64(size) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkListPageOfThousand(b *testing.B) {
	ctx, s := context.Background(), openStore(b)
	if _, err := s.CreateBucket(ctx, "lake"); err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		mustPut(b, s, fmt.Sprintf("key/%05d", i), "x")
	}
	for b.Loop() {
		if p, err := s.List(ctx, objects.ListRequest{Bucket: "lake", Max: 1000}); err != nil || len(p.Objects) != 1000 {
			b.Fatal(len(p.Objects), err)
		}
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "keys/s")
}
