package objects

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/drive"
)

// checkpass is the check of one drive; nothing changes meanwhile.
type checkpass struct {
	c        *checking
	found    *DriveCheck
	m        *member // nil where the drive is not of the store
	suspects []audit.Record
}

var _ audit.World = (*checkpass)(nil)

// drive reads one folder whole.
func (c *checking) drive(ctx context.Context, i int) error {
	at, d := c.folders.all[i], &c.report.Drives[i]
	if at.drive == nil {
		d.problem("%v", at.err)
		return nil
	}
	if err := at.drive.CheckFiles(); err != nil {
		d.problem("%v", err)
	}
	if err := d.findStrays(at.drive); err != nil {
		d.problem("%v", err)
	}
	w := &checkpass{c: c, found: d}
	if c.s != nil && c.s.idx != nil {
		if w.m = c.s.drives.find(at.header.Number); w.m != nil && w.m.Drive != Drive(at.drive) {
			w.m = nil
		}
	}
	if w.m == nil && c.report.Refused == nil {
		d.problem("it is no drive of the store: %s", at.stray().Reason)
	}
	p := audit.Pass{Drive: at.drive, World: w}
	err := p.Run(ctx)
	d.Found = p.Found
	if err != nil {
		return fmt.Errorf("check %s: %w", at.path, err)
	}
	return w.name(ctx)
}

// tolerated are names in the root of a file system that are its own.
var tolerated = []string{viewFolder, "lost+found"}

func (d *DriveCheck) findStrays(at *drive.Drive) error {
	strays, err := at.Strays()
	d.Strays = slices.DeleteFunc(strays, func(name string) bool { return slices.Contains(tolerated, name) })
	return err
}

// Wanted is all that the index names in the extents; without an index nothing is, and
// nothing is superfluous.
func (w *checkpass) Wanted(ctx context.Context, extents []uint32) (audit.Wanted, error) {
	out := audit.Wanted{Through: extents[len(extents)-1], Records: map[uint32]map[drive.Address]drive.Identity{}, Strict: map[uint32]bool{}}
	if w.m == nil {
		return out, nil
	}
	g := wanting{drive: w.m.number, there: map[uint32]bool{}, highest: 1<<32 - 1, out: out}
	for _, e := range w.m.Extents() {
		g.there[e.Number] = true
		g.out.Strict[e.Number] = e.Class.Blobs()
	}
	g.first = slices.Min(extents) <= slices.MinFunc(w.m.Extents(), func(a, b drive.ExtentInfo) int { return int(a.Number) - int(b.Number) }).Number
	for _, n := range extents {
		g.out.Records[n] = map[drive.Address]drive.Identity{}
	}
	err := w.c.s.eachValue(ctx, func(_ []byte, blobs []Blob, _ error) { g.value(blobs) })
	return g.out, err
}

// Suspect keeps what is wrong, for one look at the index at the end.
func (w *checkpass) Suspect(_ context.Context, all []audit.Record) (int, error) {
	w.suspects = append(w.suspects, all...)
	return len(all), nil
}

// Damaged: what no value names. Rot among garbage harms nobody, yet it is said.
func (w *checkpass) Damaged(_ drive.ExtentInfo, _ drive.Address, cause error) {
	w.found.problem("%v", cause)
}

func (w *checkpass) Wait(ctx context.Context, _ *audit.Cursor, n int64) error {
	if w.c.o.Progress != nil {
		w.c.o.Progress(w.found.Number, n)
	}
	return ctx.Err()
}

func (w *checkpass) Keep(context.Context, audit.Cursor, bool) error { return nil }

func (w *checkpass) Now() time.Time { return w.c.o.Host.Clock.Now() }

// name finds whose the suspects are.
func (w *checkpass) name(ctx context.Context) error {
	if w.m == nil {
		return nil
	}
	suspects := map[Shard]audit.Record{}
	for _, r := range w.suspects {
		suspects[Shard{w.m.number, r.Address}] = r
	}
	if len(w.m.Extents()) > 0 && len(suspects) == 0 {
		return nil
	}
	return w.c.s.eachValue(ctx, func(key []byte, blobs []Blob, _ error) {
		eachShard(blobs, func(st *Stripe, k int) {
			if sh := st.Shards[k]; sh.Drive == w.m.number && !sh.Address.IsZero() {
				w.lacks(key, st, k, suspects, len(w.m.Extents()) == 0)
			}
		})
	})
}

// lacks notes a shard that is suspected; empty: the drive has no extent at all.
func (w *checkpass) lacks(key []byte, st *Stripe, shard int, suspects map[Shard]audit.Record, empty bool) {
	r, ok := suspects[st.Shards[shard]]
	if !ok && !empty {
		return
	}
	if empty {
		r.Cause = drive.ErrGone
	}
	w.found.Lacking++
	w.found.problem("shard %d of stripe %x, named by %q: %v", shard, st.ID, key, r.Cause)
	w.c.bad[shardID{st.ID, uint8(shard)}] = true
}

// eachShard visits every shard of every stripe.
func eachShard(blobs []Blob, visit func(st *Stripe, shard int)) {
	for i := range blobs {
		for j := range blobs[i].Stripes {
			for k := range blobs[i].Stripes[j].Shards {
				visit(&blobs[i].Stripes[j], k)
			}
		}
	}
}
