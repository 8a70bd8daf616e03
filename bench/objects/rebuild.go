package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// stillFor is how long a drive must not grow to count as rebuilt.
const stillFor = 6 * time.Second

// runRebuild loses a drive of a store, first an idle one and then one under load,
// and tells how fast it is filled again and what readers notice.
func runRebuild(out io.Writer, o options) error {
	s, err := o.startStore("rebuild")
	if err != nil {
		return err
	}
	r := &rebuild{store: s, lost: int64(o.lost), small: newBodies(small, 5)}
	defer func() { _ = r.kill() }()
	if err := r.fill(); err != nil {
		return err
	}
	before, err := r.reads()
	if err != nil {
		return err
	}
	idle, raw, err := r.idle(o.rounds)
	if err != nil {
		return err
	}
	loaded, p99, err := r.lose("drive-5", true)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "| rebuild of a lost drive | |\n|---|---|\n| idle, median of %d | %.0f MB/s |\n| the raw disk, the same reads and writes in turn with it | %.0f MB/s |\n| of the raw disk | %.2f |\n| under GET 4 KiB × 16 | %.0f MB/s |\n| their p99 before / meanwhile | %v / %v |\n\n", o.rounds, idle, raw, idle/raw, loaded, before, p99)
	return err
}

// idle are the medians of rebuilds with nothing else under way, and of the yardstick.
func (r *rebuild) idle(rounds int) (rebuilt, raw float64, err error) {
	yardstick, err := newRawRebuild(filepath.Join(r.data(), "..", "raw"), 4)
	if err != nil {
		return 0, 0, err
	}
	defer yardstick.close()
	var ours, theirs []float64
	for range rounds {
		other, err := yardstick.run()
		if err != nil {
			return 0, 0, err
		}
		own, _, err := r.lose("drive-6", false)
		if err != nil {
			return 0, 0, err
		}
		ours, theirs = append(ours, own), append(theirs, other/1e6)
	}
	return middle(ours), middle(theirs), nil
}

type rebuild struct {
	*store
	lost  int64 // large objects
	small *bodies
}

const rebuildSmall = 2000 // objects that are read meanwhile

func (r *rebuild) fill() error {
	b := newBodies(large, 6)
	_, err1 := r.load(4, 0, r.lost, func(c *connection, i int64) error { return c.putObject(path("large/", i), b, i) }).run()
	_, err2 := r.load(16, 0, rebuildSmall, func(c *connection, i int64) error { return c.putObject(path("small/", i), r.small, i) }).run()
	return errors.Join(err1, err2)
}

// reads is the p99 of a second of small gets.
func (r *rebuild) reads() (time.Duration, error) {
	took, err := r.load(16, time.Second, 0, func(c *connection, i int64) error {
		i = i * 7919 % rebuildSmall
		return c.getObject(path("small/", i), r.small, i)
	}).run()
	return took.quantile(0.99), err
}

// lose empties a drive's folder while the server is down, and waits until it is filled again.
func (r *rebuild) lose(name string, loaded bool) (perSecond float64, p99 time.Duration, err error) {
	folder := filepath.Join(r.data(), name)
	want, err := footprintOf(folder)
	if err != nil {
		return 0, 0, err
	}
	if err := errors.Join(r.stop(), os.RemoveAll(folder), r.restart()); err != nil {
		return 0, 0, err
	}
	began, grew, most := time.Now(), time.Now(), int64(0)
	var seen []float64
	for time.Since(grew) < stillFor {
		if loaded {
			p, err := r.reads()
			if err != nil {
				return 0, 0, err
			}
			seen = append(seen, float64(p))
		} else {
			time.Sleep(200 * time.Millisecond)
		}
		now, err := footprintOf(folder)
		if err != nil {
			return 0, 0, err
		}
		if now.bytes > most {
			most, grew = now.bytes, time.Now()
		}
	}
	if most < want.bytes*8/10 {
		return 0, 0, fmt.Errorf("%s has %d bytes again, of %d", name, most, want.bytes)
	}
	return float64(most) / grew.Sub(began).Seconds() / 1e6, time.Duration(middle(seen)), nil
}
