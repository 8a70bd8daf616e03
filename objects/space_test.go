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
	"syscall"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
)

// spaceOn is a store on real folders, whose upkeep runs when it is told to.
func spaceOn(b *testing.B, drives []string) *objects.Store {
	s, err := objects.Open(context.Background(), objects.Options{
		Host: host.Real(nil), Drives: drives, AutoFormat: true, TidyRate: 1 << 40, SweepPause: 9999 * time.Hour, PackPause: 9999 * time.Hour,
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

// writtenBytes is what this process had written to devices.
func writtenBytes(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip("this machine does not count what a process writes")
	}
	var n int64
	if _, err := fmt.Sscanf(string(text[bytes.Index(text, []byte("\nwrite_bytes:")):]), "\nwrite_bytes: %d", &n); err != nil {
		b.Fatal(err)
	}
	return n
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
		s := spaceOn(b, drives)
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
		for round := range uint64(3) { // of overwriting everything
			before := writtenBytes(b)
			putEach(b, s, n, round+1)
			settle(b, s)
			settle(b, s)
			b.ReportMetric(float64(writtenBytes(b)-before)/payload, fmt.Sprintf("written-%d", round+1))
		}
		used, _ = diskUse(b, drives)
		b.ReportMetric(float64(used)/payload, "space-overwritten")
		b.Logf("%+v", s.Tidiness())
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
