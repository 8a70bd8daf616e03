package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// runSpace tells what small objects take: bytes written, bytes and inodes on disk.
func runSpace(out io.Writer, o options) (err error) {
	s, err := o.startStore("space")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	before, err := footprintOf(s.data())
	if err != nil {
		return err
	}
	begun, err := s.ledger()
	if err != nil {
		return err
	}
	b, n := newBodies(small, 4), float64(o.objects)
	m, err := s.measured(s.load(64, 0, o.objects, func(c *connection, i int64) error { return c.putObject(path("space/", i), b, i) }))
	if err != nil {
		return err
	}
	after, err := footprintOf(s.data())
	if err != nil {
		return err
	}
	put, err := s.ledger()
	if err != nil {
		return err
	}
	written, settled, err := s.settle(o.settle)
	if err != nil {
		return err
	}
	packed, err := s.ledger()
	if err != nil {
		return err
	}
	of := func(f footprint) float64 { return float64(f.bytes-before.bytes) / n / small }
	_, err = fmt.Fprintf(out, "| %d objects of 4 KiB, each | put | %v later |\n|---|---|---|\n| written to the disk in all | %.2f × | %.2f × |\n| on the disk | %.2f × | %.2f × |\n| inodes | %.4f | %.4f |\n| RSS of the server | %d MiB | |\n\n",
		o.objects, o.settle, m.written/small, m.written/small+float64(written)/n/small, of(after), of(settled),
		float64(after.inodes-before.inodes)/n, float64(settled.inodes-before.inodes)/n, m.rss>>20)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "| written to extents while they were put | of their bytes | bytes a record | records a sync |\n|---|---|---|---|\n%s| and %v later | | | |\n%s\n",
		begun.rows(put, n*small), o.settle, put.rows(packed, n*small))
	return err
}

// settle waits while the server packs and reclaims, and tells what it wrote meanwhile.
func (s *store) settle(d time.Duration) (written int64, f footprint, err error) {
	before, err := s.usage()
	if err != nil {
		return 0, f, err
	}
	time.Sleep(d)
	after, err := s.usage()
	if err != nil {
		return 0, f, err
	}
	f, err = footprintOf(s.data())
	return after.writtenBytes - before.writtenBytes, f, err
}
