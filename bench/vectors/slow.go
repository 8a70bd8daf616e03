package main

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
)

// slowDrives is a file system on which reading an extent takes as long as it is told, and
// which remembers every such read.
type slowDrives struct {
	host.FS
	mu struct {
		sync.Mutex
		least, most time.Duration // both 0: as quick as the machine is
		reads       []slowRead
		rng         *rand.Rand
	}
}

// slowRead is one read of a drive.
type slowRead struct {
	began, ended time.Time
	delay        time.Duration
	bytes        int
}

func newSlowDrives(fs host.FS) *slowDrives {
	s := &slowDrives{FS: fs}
	s.mu.rng = rand.New(rand.NewPCG(1, 2))
	return s
}

// set begins to take so long, and forgets the reads so far.
func (s *slowDrives) set(least, most time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.least, s.mu.most, s.mu.reads = least, most, nil
}

// taken are the reads since set.
func (s *slowDrives) taken() []slowRead {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mu.reads)
}

func (s *slowDrives) Open(name string, o ...vfs.OpenOption) (host.File, error) {
	f, err := s.FS.Open(name, o...)
	if err != nil || !strings.Contains(name, "extents") {
		return f, err
	}
	return slowFile{f, s}, nil
}

type slowFile struct {
	host.File
	s *slowDrives
}

func (f slowFile) ReadAt(p []byte, off int64) (int, error) {
	s := f.s
	s.mu.Lock()
	delay, on := s.mu.least, s.mu.most > 0
	if spread := s.mu.most - s.mu.least; spread > 0 {
		delay += time.Duration(s.mu.rng.Int64N(int64(spread)))
	}
	s.mu.Unlock()
	if !on {
		return f.File.ReadAt(p, off)
	}
	began := time.Now()
	n, err := f.File.ReadAt(p, off)
	time.Sleep(delay)
	s.mu.Lock()
	s.mu.reads = append(s.mu.reads, slowRead{began, time.Now(), delay, n})
	s.mu.Unlock()
	return n, err
}

var _ io.ReaderAt = slowFile{}

// rounds is the longest chain of reads of which each began after the one before it had ended, on a busy machine
// longer than what depends on each other; the floor of so many rounds in which the slowest read
// was as slow as any; and what was read in all.
func rounds(reads []slowRead, depend int) (chain int, floor time.Duration, bytes int) {
	slices.SortFunc(reads, func(a, b slowRead) int { return a.ended.Compare(b.ended) })
	var last time.Time
	for _, r := range reads {
		bytes += r.bytes
		floor = max(floor, r.delay*time.Duration(depend))
		if chain == 0 || !r.began.Before(last) {
			chain, last = chain+1, r.ended
		}
	}
	return chain, floor, bytes
}
