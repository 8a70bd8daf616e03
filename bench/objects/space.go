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
	r := spaceReport{objects: o.objects, settle: o.settle}
	if r.before, err = s.taken(); err != nil {
		return err
	}
	b := newBodies(small, 4)
	if _, err = s.load(64, 0, o.objects, func(c *connection, i int64) error { return c.putObject(path("space/", i), b, i) }).run(); err != nil {
		return err
	}
	if r.put, err = s.taken(); err != nil {
		return err
	}
	time.Sleep(o.settle) // while the server packs and reclaims
	if r.packed, err = s.taken(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, r)
	return err
}

// taken is what a store takes at one moment, and has written so far.
type taken struct {
	footprint
	ledger
	device int64 // bytes written to the device since the machine began, by whomsoever
	rss    int64
}

func (s *store) taken() (t taken, err error) {
	if t.footprint, err = footprintOf(s.data()); err != nil {
		return t, err
	}
	if t.ledger, err = s.ledger(); err != nil {
		return t, err
	}
	if t.device, err = deviceWritten(s.data()); err != nil {
		return t, err
	}
	u, err := s.usage()
	t.rss = u.rss
	return t, err
}

type spaceReport struct {
	objects             int64
	settle              time.Duration
	before, put, packed taken
}

func (r spaceReport) String() string {
	payload := float64(r.objects * small)
	of := func(a, b int64) float64 { return float64(b-a) / payload }
	zeros := func(t taken) int64 { return int64(t.written["zeros"]) }
	steady := func(a, b taken) float64 { return of(a.device-zeros(a), b.device-zeros(b)) }
	each := func(a, b taken) float64 { return float64(b.inodes-a.inodes) / float64(r.objects) }
	return fmt.Sprintf("| %d objects of 4 KiB, each | put | %v later |\n|---|---|---|\n", r.objects, r.settle) +
		fmt.Sprintf("| on the disk | %.2f × | %.2f × |\n", of(r.before.bytes, r.put.bytes), of(r.before.bytes, r.packed.bytes)) +
		fmt.Sprintf("| inodes | %.4f | %.4f |\n", each(r.before, r.put), each(r.before, r.packed)) +
		fmt.Sprintf("| written to the device, by whomsoever | %.2f × | %.2f × |\n", of(r.before.device, r.put.device), of(r.before.device, r.packed.device)) +
		fmt.Sprintf("| the same but for zeros, which recycled extents need once | %.2f × | %.2f × |\n", steady(r.before, r.put), steady(r.before, r.packed)) +
		fmt.Sprintf("| RSS of the server | %d MiB | %d MiB |\n\n", r.put.rss>>20, r.packed.rss>>20) +
		"| written to extents | of the objects' bytes | bytes a record | records a sync |\n|---|---|---|---|\n" + r.before.rows(r.packed.ledger, payload)
}
