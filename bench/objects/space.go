package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
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
	_, err = fmt.Fprintf(out, "| %d objects of 4 KiB | each |\n|---|---|\n| written to the disk | %.2f × |\n| on the disk | %.2f × |\n| inodes | %.4f |\n| RSS of the server in the end | %d MiB |\n\n",
		spaceObjects, m.written/small, float64(after.bytes-before.bytes)/spaceObjects/small, float64(after.inodes-before.inodes)/spaceObjects, m.rss>>20)
	return err
}
