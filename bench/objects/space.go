package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// spaceObjects is how many small objects the space is measured with.
const spaceObjects = 50_000

// runSpace tells what small objects take: bytes written, bytes and inodes on disk.
func runSpace(out io.Writer, o options) (err error) {
	dir, err := o.folder("space")
	if err != nil {
		return err
	}
	tarn, err := startTarn(o.binary, dir, benchKeys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tarn.stop()) }()
	t := &target{name: "tarn", child: tarn, keys: benchKeys}
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.makeBucket(); err != nil {
		return err
	}
	before, err := footprintOf(filepath.Join(dir, "tarn-data"))
	if err != nil {
		return err
	}
	b := newBodies(small, 4)
	m, err := t.measured(t.load(64, 0, spaceObjects, func(c *connection, i int64) error { return c.putObject(path("space/", i), b, i) }))
	if err != nil {
		return err
	}
	after, err := footprintOf(filepath.Join(dir, "tarn-data"))
	if err != nil {
		return err
	}
	written, settled, err := settle(t, filepath.Join(dir, "tarn-data"), o.settle)
	if err != nil {
		return err
	}
	of := func(f footprint) float64 { return float64(f.bytes-before.bytes) / spaceObjects / small }
	_, err = fmt.Fprintf(out, "| %d objects of 4 KiB, each | put | %v later |\n|---|---|---|\n| written to the disk in all | %.2f × | %.2f × |\n| on the disk | %.2f × | %.2f × |\n| inodes | %.4f | %.4f |\n| RSS of the server | %d MiB | |\n\n",
		spaceObjects, o.settle, m.written/small, m.written/small+float64(written)/spaceObjects/small, of(after), of(settled),
		float64(after.inodes-before.inodes)/spaceObjects, float64(settled.inodes-before.inodes)/spaceObjects, m.rss>>20)
	return err
}

// settle waits while the server packs and reclaims, and tells what it wrote meanwhile.
func settle(t *target, data string, d time.Duration) (written int64, f footprint, err error) {
	before, err := t.usage()
	if err != nil {
		return 0, f, err
	}
	time.Sleep(d)
	after, err := t.usage()
	if err != nil {
		return 0, f, err
	}
	f, err = footprintOf(data)
	return after.writtenBytes - before.writtenBytes, f, err
}
