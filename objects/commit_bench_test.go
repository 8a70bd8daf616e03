package objects

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// BenchmarkCommit measures acknowledged transactions of one key and 256 bytes over six
// folders of the real disk, beside what the raw disk does with the same bytes.
func BenchmarkCommit(b *testing.B) {
	s := benchStore(b)
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("raw×%d", callers), func(b *testing.B) { benchRaw(b, callers) })
		b.Run(fmt.Sprintf("tarn×%d", callers), func(b *testing.B) {
			value := EncodeValue(nil, make([]byte, 256))
			each(b, callers, func(i int64) error {
				key := fmt.Appendf(nil, "b/bench/o/%d/%016x", callers, uint64(i)*0x9e3779b97f4a7c15)
				_, err := s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: key, Value: value}}})
				return err
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "txn/s")
		})
	}
}

// benchRaw syncs records of 512 bytes with group commit on three zeroed files.
func benchRaw(b *testing.B, callers int) {
	const fileBytes = 64 << 20
	dir := b.TempDir()
	var files [3]*os.File
	for i := range files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		if _, err := f.Write(make([]byte, fileBytes)); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		files[i] = f
	}
	queue, off := make(chan chan error, callers), int64(0)
	done := make(chan struct{})
	batches := int64(0)
	go func() {
		defer close(done)
		for first := range queue {
			waiting := []chan error{first}
			for len(queue) > 0 {
				waiting = append(waiting, <-queue)
			}
			record := make([]byte, 512*len(waiting))
			binary.LittleEndian.PutUint64(record, uint64(off)+1)
			if off+int64(len(record)) > fileBytes {
				off = 0
			}
			var failed atomic.Pointer[error]
			answers := make(chan error, 3)
			for _, f := range files {
				go func() {
					_, err := f.WriteAt(record, off)
					if err == nil {
						err = syscall.Fdatasync(int(f.Fd()))
					}
					answers <- err
				}()
			}
			for range files {
				if err := <-answers; err != nil {
					failed.Store(&err)
				}
			}
			off += int64(len(record))
			batches++
			for _, w := range waiting {
				if e := failed.Load(); e != nil {
					w <- *e
				} else {
					w <- nil
				}
			}
		}
	}()
	b.ResetTimer()
	each(b, callers, func(int64) error {
		answer := make(chan error, 1)
		queue <- answer
		return <-answer
	})
	b.StopTimer()
	close(queue)
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "txn/s")
	b.ReportMetric(float64(b.N)/float64(batches), "txn/sync")
}
