package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rawRebuild is the yardstick of a rebuild: the disk by itself moves the same bytes in the same pieces, past memory. For each
// piece it reads k from as many files, writes one to another file, syncs and reads it back; as many pieces at once
// as use the disk best. It decodes, verifies and names nothing. It is pinned.
type rawRebuild struct {
	sources []*os.File
	target  *os.File
}

const (
	rawPiece       = 1 << 20 // as large as a shard
	rawPieces      = rawFileBytes / rawPiece
	rawPiecesAt    = 8 // at once
	rawRebuildSpan = 3 * time.Second
)

func newRawRebuild(dir string, k int) (*rawRebuild, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := &rawRebuild{}
	for i := range k + 1 {
		name := filepath.Join(dir, fmt.Sprintf("raw-rebuild-%d", i))
		f, err := zeroedFile(name)
		if err == nil {
			err = f.Close()
		}
		if err == nil {
			f, err = os.OpenFile(name, os.O_RDWR|unix.O_DIRECT, 0)
		}
		if err != nil {
			r.close()
			return nil, fmt.Errorf("make the yardstick of a rebuild: %w", err)
		}
		if i < k {
			r.sources = append(r.sources, f)
		} else {
			r.target = f
		}
	}
	return r, nil
}

func (r *rawRebuild) close() {
	for _, f := range r.sources {
		_ = f.Close()
	}
	if r.target != nil {
		_ = r.target.Close()
	}
}

// run is the bytes written a second, of those that a rebuild would have made.
func (r *rawRebuild) run() (float64, error) {
	memory, err := unix.Mmap(-1, 0, rawPiecesAt*(len(r.sources)+1)*rawPiece, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Munmap(memory) }()
	var wg sync.WaitGroup
	var pieces, next atomic.Int64
	errs := make([]error, rawPiecesAt)
	began := time.Now()
	for w := range rawPiecesAt {
		own := memory[w*(len(r.sources)+1)*rawPiece:][:(len(r.sources)+1)*rawPiece]
		rng := rand.New(rand.NewPCG(uint64(w), 5))
		wg.Go(func() {
			for time.Since(began) < rawRebuildSpan && errs[w] == nil {
				errs[w] = r.piece(own, rng.Int64N(rawPieces), next.Add(1)%rawPieces)
				pieces.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(pieces.Load()) * rawPiece / time.Since(began).Seconds(), errors.Join(errs...)
}

func (r *rawRebuild) piece(memory []byte, from, to int64) error {
	errs := make([]error, len(r.sources))
	var wg sync.WaitGroup
	for i, f := range r.sources {
		wg.Go(func() {
			_, errs[i] = io.ReadFull(io.NewSectionReader(f, from*rawPiece, rawPiece), memory[i*rawPiece:][:rawPiece])
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p := memory[len(r.sources)*rawPiece:]
	if _, err := r.target.WriteAt(p, to*rawPiece); err != nil {
		return err
	}
	if err := syscall.Fdatasync(int(r.target.Fd())); err != nil {
		return err
	}
	_, err := r.target.ReadAt(p, to*rawPiece)
	return err
}
