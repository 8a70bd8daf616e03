package objects

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
)

// BenchmarkRebuildALostDrive counts the bytes that were made anew, each read back
// from the device. Four times as many are read to make them.
func BenchmarkRebuildALostDrive(b *testing.B) {
	for _, c := range []struct{ bytes, objects int }{{10 << 20, 150}, {8 << 10, 4000}} {
		b.Run(fmt.Sprintf("%dKiB", c.bytes>>10), func(b *testing.B) {
			s := sevenDrives(b, c.objects, c.bytes)
			var written int64
			began := time.Now()
			for i := range b.N {
				written += rebuildDrive(b, s, uint16(1+i%7))
			}
			b.ReportMetric(float64(written)/time.Since(began).Seconds()/1e6, "MB/s")
		})
	}
}

// BenchmarkDrainADrive counts the bytes that were copied off a drive, each read back from
// the device, beside a rebuild of the same drive in the same store.
func BenchmarkDrainADrive(b *testing.B) {
	for _, c := range []struct{ bytes, objects int }{{10 << 20, 100}, {300 << 10, 2000}} {
		b.Run(fmt.Sprintf("%dKiB", c.bytes>>10), func(b *testing.B) {
			s := sevenDrives(b, c.objects, c.bytes)
			var rebuilt, drained int64
			var rebuilding, draining time.Duration
			for i := range b.N {
				began := time.Now()
				rebuilt += rebuildDrive(b, s, uint16(1+2*i%7)) // the drive that was drained last is empty
				rebuilding += time.Since(began)
				began = time.Now()
				drained += drainDrive(b, s, uint16(1+(2*i+1)%7))
				draining += time.Since(began)
			}
			b.ReportMetric(float64(rebuilt)/rebuilding.Seconds()/1e6, "rebuilt-MB/s")
			b.ReportMetric(float64(drained)/draining.Seconds()/1e6, "drained-MB/s")
		})
	}
}

// drainDrive moves all shards off a drive, as a drain does.
func drainDrive(b *testing.B, s *Store, leaving uint16) int64 {
	r, err := s.Relocate(context.Background(), Relocation{
		Avoid: func(drive uint16) bool { return drive == leaving },
		Want: func(st *Stripe) (which []int) {
			for i, sh := range st.Shards {
				if sh.Drive == leaving {
					which = append(which, i)
				}
			}
			return which
		},
	})
	if err != nil || r.Damaged != r.Healed || r.Healed == 0 {
		b.Fatalf("%+v, %v", r, err)
	}
	return r.BytesWritten
}

// sevenDrives have so many objects of so many bytes.
func sevenDrives(b *testing.B, objects, bytesEach int) *Store {
	dir := b.TempDir()
	var folders []string
	for i := range 7 {
		folders = append(folders, filepath.Join(dir, fmt.Sprintf("drive-%d", i+1)))
	}
	s, err := Open(context.Background(), Options{Host: host.Real(nil), Drives: folders, AutoFormat: true, PackPause: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	p := body(bytesEach, 1)
	for i := range objects {
		blob, err := s.WriteBlob(context.Background(), bytes.NewReader(p), int64(len(p)))
		if err == nil {
			err = commit(context.Background(), s, fmt.Sprintf("%d", i), blob)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// rebuildDrive treats every shard on a drive as lost.
func rebuildDrive(b *testing.B, s *Store, lost uint16) int64 {
	m := s.newMover()
	defer m.end()
	m.avoid = func(drive uint16) bool { return drive == lost }
	m.want = func(_ context.Context, st *Stripe) (which []int) {
		for i, sh := range st.Shards {
			if sh.Drive == lost {
				which = append(which, i)
			}
		}
		return which
	}
	if err := (&walk{m: m, told: func() {}}).through(context.Background()); err != nil {
		b.Fatal(err)
	}
	var r RepairReport
	if m.sum(&r); r.Damaged != r.Healed || r.Healed == 0 {
		b.Fatalf("%+v", r)
	}
	return r.BytesWritten
}
