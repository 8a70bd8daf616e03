package objects_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
)

// counted is a file system that counts what is written to its files.
type counted struct {
	host.FS
	bytes *atomic.Int64
}

type countedFile struct {
	host.File
	bytes *atomic.Int64
}

func (c counted) file(f host.File, err error) (host.File, error) {
	if err != nil {
		return nil, err
	}
	return countedFile{f, c.bytes}, nil
}

func (c counted) Create(name string, w vfs.DiskWriteCategory) (host.File, error) {
	return c.file(c.FS.Create(name, w))
}

func (c counted) OpenReadWrite(name string, w vfs.DiskWriteCategory, o ...vfs.OpenOption) (host.File, error) {
	return c.file(c.FS.OpenReadWrite(name, w, o...))
}

func (f countedFile) Write(p []byte) (int, error) {
	f.bytes.Add(int64(len(p)))
	return f.File.Write(p)
}

func (f countedFile) WriteAt(p []byte, off int64) (int, error) {
	f.bytes.Add(int64(len(p)))
	return f.File.WriteAt(p, off)
}

// Truncate is what vfs.File does not ask for, and drives use where it is there.
func (f countedFile) Truncate(size int64) error {
	return f.File.(interface{ Truncate(int64) error }).Truncate(size)
}

// spaceOn is a store on real folders, whose upkeep runs when it is told to.
func spaceOn(b *testing.B, drives []string, written *atomic.Int64) *objects.Store {
	h := host.Real(nil)
	h.FS = counted{h.FS, written}
	s, err := objects.Open(context.Background(), objects.Options{
		Host: h, Drives: drives, AutoFormat: true, TidyRate: 1 << 40, SweepPause: 9999 * time.Hour, PackPause: 9999 * time.Hour,
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// putEach writes n objects of 4 KiB from 16 clients.
func putEach(b *testing.B, s *objects.Store, n int, round uint64) {
	var group sync.WaitGroup
	for client := range 16 {
		group.Go(func() {
			source := rand.NewChaCha8([32]byte{byte(client), byte(round)})
			p := make([]byte, 4<<10)
			for i := client; i < n; i += 16 {
				_, _ = source.Read(p)
				r := objects.PutRequest{Bucket: "lake", Key: fmt.Sprintf("sensor/%07d", i), Body: bytes.NewReader(p), Bytes: int64(len(p))}
				if _, err := s.Put(context.Background(), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// settle packs, reclaims and sweeps as the background does.
func settle(b *testing.B, s *objects.Store) {
	ctx := context.Background()
	r, err := s.Pack(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("packed %+v", r)
	reclaimed, err := s.Reclaim(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("reclaimed %+v", reclaimed)
	swept, err := s.Sweep(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("swept %+v", swept)
}

// diskUse is the blocks and the files of folders.
func diskUse(b *testing.B, folders []string) (used, files int64) {
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			var st syscall.Stat_t
			if err == nil {
				err = syscall.Lstat(path, &st)
			}
			used, files = used+st.Blocks*512, files+1
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return used, files
}

// Space and written bytes of small objects, put, packed, overwritten and reclaimed:
// go test -run '^$' -bench SpaceOfSmallObjects -benchtime 1x -v ./objects
func BenchmarkSpaceOfSmallObjects(b *testing.B) {
	n := 50_000
	if v, err := strconv.Atoi(os.Getenv("TARN_SPACE_OBJECTS")); err == nil {
		n = v
	}
	payload := float64(n * 4 << 10)
	for b.Loop() {
		dir := b.TempDir()
		var drives []string
		for i := range 6 {
			drives = append(drives, filepath.Join(dir, fmt.Sprintf("drive-%d", i+1)))
		}
		var written atomic.Int64
		s := spaceOn(b, drives, &written)
		if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		putEach(b, s, n, 0)
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "puts/s")
		used, _ := diskUse(b, drives)
		b.ReportMetric(float64(used)/payload, "space-put")
		began = time.Now()
		settle(b, s)
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "packed/s")
		used, files := diskUse(b, drives)
		b.ReportMetric(float64(used)/payload, "space-packed")
		b.ReportMetric(float64(files), "files")
		for round := range uint64(2) { // of overwriting everything
			before := written.Load()
			putEach(b, s, n, round+1)
			b.Logf("put %.2f", float64(written.Load()-before)/payload)
			settle(b, s)
			b.Logf("settled %.2f", float64(written.Load()-before)/payload)
			settle(b, s)
			b.ReportMetric(float64(written.Load()-before)/payload, fmt.Sprintf("written-%d", round+1))
		}
		used, _ = diskUse(b, drives)
		b.ReportMetric(float64(used)/payload, "space-overwritten")
		b.Logf("%+v", s.Tidiness())
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
