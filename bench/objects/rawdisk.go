package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// rawDisk is the yardstick of the disk by itself: the bytes that a put makes the
// store write, to preallocated and zeroed files, by pwrite and fdatasync, whatever
// waits for a file sharing one sync. It is pinned.
type rawDisk struct{ files []*rawFile }

const rawFileBytes = 256 << 20 // written in a circle

type rawFile struct {
	file  *os.File
	at    int64
	queue chan rawWrite
	done  sync.WaitGroup
}

type rawWrite struct {
	bytes []byte
	done  chan<- error
}

func newRawDisk(dir string, files int) (*rawDisk, error) {
	d := &rawDisk{}
	for i := range files {
		f, err := zeroedFile(filepath.Join(dir, fmt.Sprintf("raw-%d", i+1)))
		if err != nil {
			d.close()
			return nil, err
		}
		r := &rawFile{file: f, queue: make(chan rawWrite, 1024)}
		r.done.Go(r.serve)
		d.files = append(d.files, r)
	}
	return d, nil
}

func zeroedFile(name string) (*os.File, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < rawFileBytes; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros, at); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, f.Sync()
}

func (d *rawDisk) close() {
	for _, f := range d.files {
		close(f.queue)
		f.done.Wait()
		_ = f.file.Close()
	}
}

func (f *rawFile) serve() {
	for first := range f.queue {
		group := []rawWrite{first}
		for bytes := len(first.bytes); len(f.queue) > 0 && bytes < 4<<20; {
			next, open := <-f.queue
			if !open {
				break
			}
			group, bytes = append(group, next), bytes+len(next.bytes)
		}
		err := f.write(group)
		for _, w := range group {
			w.done <- err
		}
	}
}

func (f *rawFile) write(group []rawWrite) error {
	for _, w := range group {
		if f.at+int64(len(w.bytes)) > rawFileBytes {
			f.at = 0
		}
		if _, err := f.file.WriteAt(w.bytes, f.at); err != nil {
			return err
		}
		f.at += int64(len(w.bytes))
	}
	return syscall.Fdatasync(int(f.file.Fd()))
}

// put writes each part to a file of its own and waits until all are synced.
func (d *rawDisk) put(parts [][]byte, done chan error) error {
	for i, p := range parts {
		d.files[i].queue <- rawWrite{p, done}
	}
	var err error
	for range parts {
		err = errors.Join(err, <-done)
	}
	return err
}
