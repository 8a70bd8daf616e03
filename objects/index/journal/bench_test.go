package journal

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// BenchmarkAppend measures acknowledged entries of 256 bytes on m+1 = 3 folders of
// the real disk, with callers that each wait for their entry. A loop gathers what
// waits into one append, as the index does.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := benchmarked(b)
			queue := make(chan chan error, callers)
			entry := make([]byte, 256)
			done := make(chan struct{})
			batches := 0
			go func() {
				defer close(done)
				for first := range queue {
					waiting := []chan error{first}
					for len(queue) > 0 {
						waiting = append(waiting, <-queue)
					}
					entries := make([][]byte, len(waiting))
					for i := range entries {
						entries[i] = entry
					}
					_, err := j.Append(context.Background(), entries)
					batches++
					for _, w := range waiting {
						w <- err
					}
				}
			}()
			b.ResetTimer()
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					answer := make(chan error)
					for i := c; i < b.N; i += callers {
						queue <- answer
						if err := <-answer; err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			close(queue)
			<-done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(b.N)/float64(batches), "entries/batch")
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// benchmarked is a journal over three folders of a temporary directory.
func benchmarked(b *testing.B) *Journal {
	h, dir := host.Real(nil), b.TempDir()
	r := &rack{h: h, parity: 2}
	for i := range 3 {
		path := h.FS.PathJoin(dir, folder(i))
		hd := drive.Header{Drive: drive.ID{byte(i + 1)}, Number: uint16(i + 1), Created: h.Clock.Now()}
		if err := drive.Format(h, path, hd); err != nil {
			b.Fatal(err)
		}
		d, err := drive.Open(h, path, drive.Options{})
		if err != nil {
			b.Fatal(err)
		}
		r.drives = append(r.drives, d)
	}
	b.Cleanup(r.close)
	o := r.options()
	o.New = true
	j, err := Open(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	return j
}

// BenchmarkReopen measures recovery of 64 MiB in records of 64 entries of 256
// bytes: after a crash that left one drive behind, everything is replicated anew.
func BenchmarkReopen(b *testing.B) {
	for _, whole := range []bool{true, false} {
		b.Run(fmt.Sprintf("whole=%v", whole), func(b *testing.B) {
			j := benchmarked(b)
			entries := make([][]byte, 64)
			for i := range entries {
				entries[i] = make([]byte, 256)
			}
			for range (64 << 20) / (64 * 260) {
				if _, err := j.Append(context.Background(), entries); err != nil {
					b.Fatal(err)
				}
			}
			if err := j.Close(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				o := j.o
				drives := o.Drives()
				if !whole {
					o.Parity, o.Drives = 1, func() []Drive { return drives[:2] }
				}
				again, err := Open(context.Background(), o)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = again.Close()
				b.StartTimer()
				if !whole {
					break
				}
			}
		})
	}
}
