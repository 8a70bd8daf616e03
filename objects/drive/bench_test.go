package drive_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// real is a drive on the machine's own disk.
func real(b *testing.B) *drive.Drive {
	b.Helper()
	h := host.Real(nil)
	dir := b.TempDir() + "/drive-1"
	must(b, drive.Format(h, dir, header()))
	d, err := drive.Open(h, dir, drive.Options{})
	must(b, err)
	b.Cleanup(func() { must(b, d.Close()) })
	return d
}

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}

// BenchmarkAppend measures durable appends on the disk of TMPDIR.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		class          drive.Class
		bytes, writers int
	}{{drive.Journal, 4096, 1}, {drive.Journal, 4096, 16}, {drive.Journal, 4096, 64}, {drive.Stripe, 1 << 20, 1}, {drive.Stripe, 1 << 20, 4}} {
		b.Run(fmt.Sprintf("%s/%dKiB/%dwriters", c.class, c.bytes>>10, c.writers), func(b *testing.B) {
			d, payload := real(b), random(c.bytes)
			b.SetBytes(int64(c.bytes))
			b.ReportAllocs()
			work(b, c.writers, func(int) error {
				_, err := d.Append(context.Background(), c.class, []drive.Record{{Identity: id(1), Payload: payload}})
				return err
			})
		})
	}
}

// work runs f b.N times from so many goroutines.
func work(b *testing.B, writers int, f func(i int) error) {
	var next atomic.Int64
	done := make(chan error)
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for range writers {
		go func() {
			var err error
			for i := next.Add(1); i <= int64(b.N) && err == nil; i = next.Add(1) {
				start := time.Now()
				err = f(int(i - 1))
				took[i-1] = time.Since(start)
			}
			done <- err
		}()
	}
	for range writers {
		must(b, <-done)
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkRead measures verified reads from the page cache.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct{ record, bytes int }{{4096, 4096}, {1 << 20, 4096}, {1 << 20, 64 << 10}, {1 << 20, 1 << 20}} {
		b.Run(fmt.Sprintf("%dKiBof%dKiB", c.bytes>>10, c.record>>10), func(b *testing.B) {
			d := real(b)
			var at []drive.Address
			for range 64 {
				at = append(at, add(b, d, drive.Stripe, drive.Record{Identity: id(1), Payload: random(c.record)})...)
			}
			b.SetBytes(int64(c.bytes))
			b.ReportAllocs()
			p := make([]byte, c.bytes)
			for i := range b.N {
				off := int64(i*c.bytes) % int64(c.record)
				must(b, d.Read(context.Background(), at[i%len(at)], id(1), p, off))
			}
		})
	}
}
