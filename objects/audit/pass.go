package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tarnlake/tarn/objects/drive"
)

// Drive is what a pass reads of one drive.
type Drive interface {
	Header() drive.Header
	Extents() []drive.ExtentInfo
	Audit(ctx context.Context, extent uint32, from int64) iter.Seq2[drive.Audited, error]
}

// Record is one that the index names.
type Record struct {
	Identity drive.Identity
	Address  drive.Address
	Cause    error // why it is suspected
}

// Wanted is what the index names in some extents of a drive.
type Wanted struct {
	Through uint32                                      // all extents up to this one are covered
	Records map[uint32]map[drive.Address]drive.Identity // by extent
	Strict  map[uint32]bool                             // extents of which a record that is not named is nobody's for ever
	Absent  []Record                                    // named in extents that are not on the drive at all
}

// World is what a pass needs besides the drive.
type World interface {
	// Wanted tells what shall lie in the drive's extents, from the first on, until
	// there is enough to be held in memory.
	Wanted(ctx context.Context, extents []uint32) (Wanted, error)
	// Suspect takes a second look at records that were found bad or not at all, and
	// has those repaired that are still named and still bad. It counts them.
	Suspect(ctx context.Context, all []Record) (bad int, err error)
	// Damaged notes what no value of the index names and yet matters: the journal's
	// rot, an extent's header.
	Damaged(extent drive.ExtentInfo, at drive.Address, cause error)
	// Wait lets others go first, and keeps the pace, before so many bytes are read on.
	Wait(ctx context.Context, c *Cursor, bytes int64) error
	// Keep makes a cursor last, where it is time.
	Keep(ctx context.Context, c Cursor, ended bool) error
	Now() time.Time
}

// Found counts what a pass met.
type Found struct {
	Bytes       int64
	Shards      int64 // named, and whole
	Bad         int64 // named, and not
	Orphans     int64 // whole, and nobody's
	OrphanBytes int64
	Rot         int64 // stretches that do not verify and that nobody names
	Journal     int64 // records of the journal that are whole
}

// Pass audits a drive from where the cursor stands to the end.
type Pass struct {
	Drive  Drive
	World  World
	Cursor Cursor
	Found  Found
}

// Run reads on until the drive's end. Cut off anywhere it can be begun again with
// the last cursor kept.
func (p *Pass) Run(ctx context.Context) error {
	p.begin()
	for {
		infos := p.rest()
		if len(infos) == 0 {
			return p.end(ctx)
		}
		numbers := make([]uint32, len(infos))
		for i, e := range infos {
			numbers[i] = e.Number
		}
		wanted, err := p.World.Wanted(ctx, numbers)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		if err := p.group(ctx, infos, &wanted); err != nil {
			return err
		}
	}
}

func (p *Pass) begin() {
	id := [16]byte(p.Drive.Header().Drive)
	if p.Cursor.Drive != id {
		p.Cursor = Cursor{Drive: id}
	}
	if p.Cursor.Began.IsZero() {
		c := &p.Cursor
		c.Began, c.Extent, c.Offset, c.Bytes, c.Shards, c.Orphans = p.World.Now(), 0, 0, 0, 0, 0
	}
	// An extent is read in one go, for what it lacks shows only at its end.
	p.Cursor.Bytes, p.Cursor.Offset = max(p.Cursor.Bytes-p.Cursor.Offset, 0), 0
}

func (p *Pass) end(ctx context.Context) error {
	c := &p.Cursor
	c.LastBegan, c.LastEnded, c.LastBytes = c.Began, p.World.Now(), c.Bytes
	c.Passes++
	c.Began = time.Time{}
	return p.World.Keep(ctx, *c, true)
}

// rest are the extents that this pass has still to read.
func (p *Pass) rest() []drive.ExtentInfo {
	return slices.DeleteFunc(p.Drive.Extents(), func(e drive.ExtentInfo) bool {
		return e.Number < p.Cursor.Extent
	})
}

// group reads the extents that wanted covers.
func (p *Pass) group(ctx context.Context, infos []drive.ExtentInfo, wanted *Wanted) error {
	if err := p.suspect(ctx, wanted.Absent); err != nil {
		return err
	}
	for _, e := range infos {
		if e.Number > wanted.Through {
			break
		}
		p.Cursor.Extent, p.Cursor.Offset = e.Number, 0
		if err := p.extent(ctx, e, wanted); err != nil {
			return err
		}
	}
	p.Cursor.Extent, p.Cursor.Offset = max(p.Cursor.Extent, wanted.Through)+1, 0
	return nil
}

// extent reads one extent, and then suspects whatever should have been there.
func (p *Pass) extent(ctx context.Context, e drive.ExtentInfo, wanted *Wanted) error {
	records := wanted.Records[e.Number]
	met := make(map[drive.Address]bool, len(records))
	var cause error
	for a, err := range p.Drive.Audit(ctx, e.Number, 0) {
		switch {
		case errors.Is(err, drive.ErrGone):
			return nil // given back meanwhile
		case err != nil:
			return fmt.Errorf("audit: %w", err)
		}
		if a.Err != nil {
			cause = a.Err
		}
		if p.take(e, &a, records, wanted.Strict[e.Number]) {
			met[a.Address] = true
		}
		if err := p.went(ctx, a.Next); err != nil {
			return err
		}
	}
	if cause == nil {
		cause = fmt.Errorf("no such record in extent %d: %w", e.Number, drive.ErrCorrupt)
	}
	var suspects []Record
	for at, id := range records {
		if !met[at] {
			suspects = append(suspects, Record{Identity: id, Address: at, Cause: cause})
		}
	}
	return p.suspect(ctx, suspects)
}

// take judges a step, and reports whether it is a record that shall be there.
func (p *Pass) take(e drive.ExtentInfo, a *drive.Audited, records map[drive.Address]drive.Identity, strict bool) bool {
	if a.Err != nil {
		if a.Trimmed {
			return false
		}
		if _, named := records[a.Address]; !named {
			p.Found.Rot++
			p.World.Damaged(e, a.Address, a.Err)
		}
		return false
	}
	if e.Class == drive.Journal {
		p.Found.Journal++
		return false
	}
	if id, named := records[a.Address]; named {
		if id == a.Identity {
			p.Found.Shards++
			p.Cursor.Shards++
			return true
		}
		return false
	}
	if strict {
		p.Found.Orphans++
		p.Found.OrphanBytes += int64(len(a.Payload))
		p.Cursor.Orphans++
	}
	return false
}

// went moves the cursor on, and may have it kept.
func (p *Pass) went(ctx context.Context, next int64) error {
	n := max(next-p.Cursor.Offset, 0)
	p.Cursor.Offset = max(next, p.Cursor.Offset)
	p.Cursor.Bytes += n
	p.Found.Bytes += n
	if err := p.World.Wait(ctx, &p.Cursor, n); err != nil {
		return err
	}
	return p.World.Keep(ctx, p.Cursor, false)
}

func (p *Pass) suspect(ctx context.Context, all []Record) error {
	if len(all) == 0 {
		return nil
	}
	bad, err := p.World.Suspect(ctx, all)
	p.Found.Bad += int64(bad)
	return err
}

// Plus adds another's counts.
func (f Found) Plus(o Found) Found {
	return Found{
		f.Bytes + o.Bytes, f.Shards + o.Shards, f.Bad + o.Bad, f.Orphans + o.Orphans,
		f.OrphanBytes + o.OrphanBytes, f.Rot + o.Rot, f.Journal + o.Journal,
	}
}

// Minus takes what was counted before off.
func (f Found) Minus(o Found) Found {
	return f.Plus(Found{-o.Bytes, -o.Shards, -o.Bad, -o.Orphans, -o.OrphanBytes, -o.Rot, -o.Journal})
}
