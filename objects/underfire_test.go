package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// siege is a store that lives through sessions while its drives suffer. At most two
// of them, which is m, lack anything at a time.
type siege struct {
	t     *rapid.T
	h     *host.Host
	s     *Store
	seed  int64
	old   *hosttest.Disk // what the drives were like at some time before
	hurt  map[int]bool   // drives that may lack something
	gone  map[int]bool   // of these: unplugged
	there map[string]bool
	maybe map[string]bool // a change of these was not answered
}

func (g *siege) disk() *hosttest.Disk { return hosttest.DiskOf(g.h) }

func (g *siege) options() Options {
	o := durableOptions(g.h)
	o.ExtentBytes = 1 << 20
	o.watchKept = 4 << 10
	return o
}

// open must succeed: of any drive that is not hurt all is there.
func (g *siege) open() {
	s, err := Open(context.Background(), g.options())
	if err != nil {
		g.t.Fatalf("open with drives %v hurt: %v", g.hurt, err)
	}
	g.s = s
	g.check()
}

// check compares the index with what was answered, and reads every byte.
func (g *siege) check() {
	found := map[string]bool{}
	for item, err := range g.s.idx.Scan(context.Background(), nil, nil, index.ScanOptions{}) {
		if err != nil {
			g.t.Fatalf("scan: %v", err)
		}
		found[string(item.Key)] = true
		g.readBack(string(item.Key), item.Value)
	}
	for key := range g.maybe {
		if delete(g.there, key); found[key] {
			g.there[key] = true
		}
	}
	clear(g.maybe)
	for key := range g.there {
		if !found[key] {
			g.t.Fatalf("%s was acknowledged and is lost", key)
		}
	}
	for key := range found {
		if !g.there[key] {
			g.t.Fatalf("%s was deleted and is back", key)
		}
	}
}

func (g *siege) readBack(key string, value []byte) {
	var n int
	var seed uint64
	blobs, _, err := DecodeValue(value)
	if _, scanErr := fmt.Sscanf(key, "%d/%d", &n, &seed); scanErr != nil || err != nil || len(blobs) != 1 {
		g.t.Fatalf("%s: %v", key, errors.Join(err, scanErr))
	}
	p := make([]byte, n)
	if _, err := g.s.OpenBlob(blobs[0]).ReadAt(context.Background(), p, 0); err != nil || !bytes.Equal(p, body(n, seed)) {
		g.t.Fatalf("%s does not read back with drives %v hurt: %v", key, g.hurt, err)
	}
}

func (g *siege) put() {
	g.seed++
	n := rapid.SampledFrom([]int{100, 900, 5000, 140_000}).Draw(g.t, "bytes")
	key := fmt.Sprintf("%d/%d", n, g.seed)
	b, err := g.s.WriteBlob(context.Background(), bytes.NewReader(body(n, uint64(g.seed))), int64(n))
	if err == nil {
		g.maybe[key] = true
		err = commit(context.Background(), g.s, key, b)
	}
	switch {
	case err == nil:
		g.there[key] = true
		delete(g.maybe, key)
	case errors.Is(err, index.ErrReadOnly):
		delete(g.maybe, key)
		fallthrough
	default:
		g.excused(err)
	}
}

// excused: only hurt drives, or a power cut, are a reason to refuse.
func (g *siege) excused(err error) {
	if len(g.hurt) == 0 && !g.disk().Cut() {
		g.t.Fatalf("refused with all drives well: %v", err)
	}
}

func (g *siege) remove() {
	for key := range g.there {
		g.maybe[key] = true
		_, err := g.s.idx.Commit(context.Background(), index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: []byte(key)}}})
		if err == nil {
			delete(g.there, key)
			delete(g.maybe, key)
		} else {
			g.excused(err)
		}
		return
	}
}

func (g *siege) hurtOne() {
	i := rapid.IntRange(0, 5).Draw(g.t, "drive")
	if g.gone[i] || !g.hurt[i] && len(g.hurt) == 2 {
		return
	}
	g.hurt[i] = true
	folder := sixFolders[i]
	switch rapid.SampledFrom([]string{"rot", "journal", "view", "wipe", "unplug", "back in time"}).Draw(g.t, "harm") {
	case "rot":
		g.rot(g.h.FS.PathJoin(folder, "extents"), 3)
	case "journal":
		g.rot(g.h.FS.PathJoin(folder, "extents"), 40)
	case "view":
		g.rot(g.h.FS.PathJoin(folder, viewFolder, "view-1"), 3)
	case "wipe":
		g.disk().Wipe(folder)
	case "unplug":
		g.gone[i] = true
		g.disk().Fail(folder, errors.New("unplugged"))
	case "back in time":
		g.rollBack(folder)
	}
}

// rot spoils some bytes in each file of a folder; few or many.
func (g *siege) rot(dir string, pieces int) {
	names, err := g.h.FS.List(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		path := g.h.FS.PathJoin(dir, name)
		info, err := g.h.FS.Stat(path)
		if err != nil || info.IsDir() || info.Size() == 0 {
			continue
		}
		for range pieces {
			off := rapid.Int64Range(0, info.Size()-1).Draw(g.t, "offset")
			g.disk().Corrupt(path, off, min(700, info.Size()-off))
		}
	}
}

// rollBack puts a drive in the state that it was in when g.old was taken.
func (g *siege) rollBack(folder string) {
	if g.old == nil {
		return
	}
	before := &host.Host{Clock: g.h.Clock, Entropy: g.h.Entropy, FS: g.old, Log: g.h.Log}
	then, errThen := drive.Identify(before, folder)
	now, errNow := drive.Identify(g.h, folder)
	if errThen != nil || errNow != nil || then.Drive != now.Drive {
		return // it was replaced meanwhile: that would be another drive's folder
	}
	g.close()
	g.disk().Wipe(folder)
	if _, err := vfs.Clone(g.old, g.disk(), folder, folder, vfs.CloneSync); err != nil {
		g.t.Fatalf("roll %s back: %v", folder, err)
	}
	g.open()
}

func (g *siege) close() {
	if err := g.s.Close(); err != nil {
		g.excused(err)
	}
}

// restart ends the session, in order or not, and begins another.
func (g *siege) restart() {
	how := rapid.SampledFrom([]string{"close", "power cut", "kill"}).Draw(g.t, "restart")
	if how == "power cut" {
		g.disk().CutAfter(rapid.Int64Range(0, 60).Draw(g.t, "operations"))
		for range 4 {
			g.put()
		}
		if rapid.Bool().Draw(g.t, "in a checkpoint") {
			_ = g.s.idx.(*index.Local).Checkpoint(context.Background())
		}
	}
	g.seed++
	switch how {
	case "close":
		g.close()
	case "kill":
		next := hosttest.Restart(g.h, g.seed)
		_ = g.s.Close()
		g.h = next
	default:
		next := hosttest.Reboot(g.h, g.seed)
		_ = g.s.Close()
		g.h = next
	}
	for i := range g.gone {
		if rapid.Bool().Draw(g.t, "plugged in again") {
			delete(g.gone, i)
			g.disk().Fail(sixFolders[i], nil)
		} else {
			g.disk().Fail(sixFolders[i], errors.New("unplugged"))
		}
	}
	g.open()
}

// heal plugs everything in again and repairs, after which nothing is lacking.
func (g *siege) heal() {
	g.close()
	for i := range 6 {
		g.disk().Fail(sixFolders[i], nil)
	}
	clear(g.gone)
	g.open()
	g.repair()
	if err := g.s.journal.Reconfigure(context.Background()); err != nil {
		g.t.Fatalf("with all drives well: %v", err)
	}
	clear(g.hurt)
	g.check()
}

func (g *siege) repair() {
	for try := range 2 {
		report, err := g.s.Repair(context.Background(), RepairOptions{Verify: true})
		if err != nil || try == 1 && report.Damaged > 0 {
			var drives []string
			for _, d := range g.s.Drives() {
				drives = append(drives, fmt.Sprintf("%s %v %s", d.Path, d.State, d.Reason))
			}
			g.t.Fatalf("repair with all drives plugged in: %+v, left %v, %v; drives %q", report, report.Left, err, drives)
		}
	}
}

// TestNothingAcknowledgedIsLostWhateverBefallsTwoDrives: their journals, shards, roots
// and views rot, vanish, are wiped, or are those of an earlier day; the power fails
// and the process is killed; checkpoints are taken and the journal is trimmed.
func TestNothingAcknowledgedIsLostWhateverBefallsTwoDrives(t *testing.T) {
	steps := 20
	if os.Getenv("TARN_SOAK") != "" {
		steps = 300
	}
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Int64Range(0, 1<<40).Draw(rt, "seed")
		g := &siege{t: rt, h: hosttest.New(seed), seed: seed, hurt: map[int]bool{}, gone: map[int]bool{}, there: map[string]bool{}, maybe: map[string]bool{}}
		g.open()
		for range rapid.IntRange(1, steps).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"put", "put", "put", "remove", "hurt", "hurt", "checkpoint", "remember", "restart", "restart", "heal", "check"}).Draw(rt, "do") {
			case "put":
				g.put()
			case "remove":
				g.remove()
			case "hurt":
				g.hurtOne()
			case "checkpoint":
				if err := g.s.idx.(*index.Local).Checkpoint(context.Background()); err != nil {
					g.excused(err)
				}
			case "remember":
				g.old = g.disk().CrashClone(g.seed)
			case "restart":
				g.restart()
			case "heal":
				g.heal()
			case "check":
				g.check()
			}
		}
		g.heal()
		g.close()
	})
}
