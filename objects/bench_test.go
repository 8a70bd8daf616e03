package objects

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarnlake/tarn/host"
)

// benchStore lies on the real disk, six folders as drives.
func benchStore(b *testing.B) *Store {
	dir := b.TempDir()
	var folders []string
	for i := range 6 {
		folders = append(folders, filepath.Join(dir, fmt.Sprintf("drive-%d", i+1)))
	}
	s, err := Open(context.Background(), Options{Host: host.Real(nil), Drives: folders, AutoFormat: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

var benchShapes = []struct{ bytes, writers int }{{4 << 10, 1}, {4 << 10, 16}, {4 << 10, 64}, {10 << 20, 1}, {10 << 20, 4}}

// each runs b.N operations on so many goroutines.
func each(b *testing.B, goroutines int, f func(i int64) error) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkWriteBlob(b *testing.B) {
	s := benchStore(b)
	for _, c := range benchShapes {
		p := body(c.bytes, 1)
		b.Run(fmt.Sprintf("%dKiB×%d", c.bytes>>10, c.writers), func(b *testing.B) {
			b.SetBytes(int64(c.bytes))
			each(b, c.writers, func(int64) error {
				_, err := s.WriteBlob(context.Background(), bytes.NewReader(p), int64(len(p)))
				return err
			})
		})
	}
}

func BenchmarkWriteBlobAndCommit(b *testing.B) {
	s := benchStore(b)
	for _, writers := range []int{1, 16, 64} {
		p := body(4<<10, 1)
		b.Run(fmt.Sprintf("4KiB×%d", writers), func(b *testing.B) {
			each(b, writers, func(i int64) error {
				blob, err := s.WriteBlob(context.Background(), bytes.NewReader(p), int64(len(p)))
				if err != nil {
					return err
				}
				return commit(context.Background(), s, fmt.Sprintf("%d/%d", writers, i), blob)
			})
		})
	}
}

func BenchmarkReadBlob(b *testing.B) {
	s := benchStore(b)
	for _, c := range benchShapes {
		p := body(c.bytes, 1)
		var blobs []Blob
		for range 16 {
			blobs = append(blobs, mustWrite(b, s, p))
		}
		b.Run(fmt.Sprintf("%dKiB×%d", c.bytes>>10, c.writers), func(b *testing.B) {
			b.SetBytes(int64(c.bytes))
			each(b, c.writers, func(i int64) error {
				r := s.OpenBlob(blobs[i%16]).NewReader(context.Background(), 0, -1)
				defer r.Close()
				_, err := io.Copy(io.Discard, struct{ io.Reader }{r})
				return err
			})
		})
	}
}
