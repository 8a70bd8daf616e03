package journal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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
func benchmarked(b *testing.B) *Journal { return benchmarkedOn(b, 3, func(d Drive) Drive { return d }) }

func benchmarkedOn(b *testing.B, folders int, as func(Drive) Drive) *Journal {
	h, dir := host.Real(nil), b.TempDir()
	r := &rack{h: h, parity: 2}
	for i := range folders {
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
	var drives []Drive
	for _, d := range o.Drives() {
		drives = append(drives, as(d))
	}
	o.Drives = func() []Drive { return drives }
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

// BenchmarkALostDrive measures how long one append takes under which a drive fails:
// the 64 MiB that are kept, in records of 16 entries, are copied to other drives first.
func BenchmarkALostDrive(b *testing.B) {
	var lost atomic.Int32
	j := benchmarkedOn(b, 5, func(d Drive) Drive { return &losable{Drive: d, lost: &lost} })
	entries := make([][]byte, 16)
	for i := range entries {
		entries[i] = make([]byte, 300)
	}
	for range (64 << 20) / (16 * 304) {
		if _, err := j.Append(context.Background(), entries); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		_, numbers, _ := j.Epoch()
		lost.Store(int32(numbers[0]))
		if _, err := j.Append(context.Background(), entries); err != nil {
			b.Fatal(err)
		}
		lost.Store(0)
		b.StopTimer()
		if err := j.Reconfigure(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// losable refuses writes while it is lost.
type losable struct {
	Drive
	lost *atomic.Int32
}

func (d *losable) Append(ctx context.Context, class drive.Class, records []drive.Record) ([]drive.Address, error) {
	if uint16(d.lost.Load()) == d.Number() {
		return nil, errPulled
	}
	return d.Drive.Append(ctx, class, records)
}
