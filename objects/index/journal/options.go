package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// Limits.
const (
	EntryBytesMax  = 4 << 20 // of one entry
	recordBytesMax = 4 << 20 // of a record with several entries
	copiesMax      = 255     // drives of an epoch
)

var (
	// ErrNoState: no drive knows of a journal, and Options.New is not set.
	ErrNoState = errors.New("journal: no drive knows of an epoch")
	// ErrTooFewRoots: so many drives are missing that the newest epoch may be
	// unknown to those that are there. Bring drives back.
	ErrTooFewRoots = errors.New("journal: too few drives to know the newest epoch")
	// ErrLost: acknowledged entries are on none of the drives that are present.
	// Nothing was changed; bring drives back.
	ErrLost = errors.New("journal: acknowledged entries cannot be read from any drive")
	// ErrForked: drives contradict each other in a way that no crash explains.
	ErrForked = errors.New("journal: drives contradict each other")
	// ErrSlow: a drive did not answer within Options.DriveTimeout.
	ErrSlow = errors.New("journal: drive too slow")
)

// Drive is what the journal needs of one of the store's drives.
type Drive interface {
	Number() uint16
	Append(ctx context.Context, class drive.Class, records []drive.Record) ([]drive.Address, error)
	Read(ctx context.Context, a drive.Address, id drive.Identity, p []byte, off int64) error
	Scan(ctx context.Context, class drive.Class) iter.Seq2[drive.Found, error]
	Extents() []drive.ExtentInfo
	Remove(ctx context.Context, extent uint32) error
	Seal(ctx context.Context, class drive.Class) error
	Err() error // nil while the drive accepts writes
}

// Roots keeps a State on every drive of the store, beside what others keep there.
// Package objects implements it over the drives' root records.
type Roots interface {
	// Load gives the State of each present drive that has one. They may differ. A
	// drive whose roots are known to be outdated counts with an empty State.
	Load() []State
	// Save replaces the State of every well drive. It returns nil only when s is
	// durable on at least m+1 drives; it must end although a drive hangs.
	Save(ctx context.Context, s State) error
	// Past reports whether a present drive lacked, when the session began, what every
	// drive was told that was well: it was away, or was given back its contents of the past.
	// It is forgotten when a State is saved of an epoch that needs nothing of what the drive held.
	Past(drive uint16) bool
}

// Options of a journal. Host, Drives and Roots must be set.
type Options struct {
	Host   *host.Host
	Parity int // m: drives that may be lost; the journal keeps m+1 copies; default 0

	// Members is the number of drives in the store's layout. Open refuses where
	// fewer than all but m of them know of the journal. 0: that is not checked.
	Members int
	// New allows Open to begin a journal where no drive knows of one. The caller
	// knows that nothing was ever acknowledged in this store.
	New bool

	// Drives gives the drives that are present, well or not.
	Drives func() []Drive
	// Choose gives the drives that may hold a new epoch, none of exclude among
	// them, in order of preference: the first m+1 are taken. Default: those of
	// Drives whose Err is nil, in their order.
	Choose func(exclude map[uint16]bool) []Drive
	Roots  Roots
	// Leaves reports whether the journal shall leave a drive: its epoch is not gone
	// on with while others can hold the next one. nil: none.
	Leaves func(drive uint16) bool

	DriveTimeout time.Duration // after which a drive counts as failed; default 2 s
	SealBytes    int64         // written to an extent before a trim ends it; default 1 MiB
	Events       Events
}

// Events tell of what happens. Each may be nil; they must not call the journal.
type Events struct {
	// EpochSealed: from is history, and everything kept was copied to the drives of to.
	EpochSealed func(from, to uint64, drives []uint16)
	// DriveFailed: a drive failed or was too slow, and is avoided until Reconfigure.
	DriveFailed func(drive uint16, err error)
	// Repaired: records were unreadable on a drive; they now are on m+1 drives again.
	Repaired func(drive uint16, records int)
}

func (o *Options) complete() error {
	switch {
	case o.Host == nil || o.Drives == nil || o.Roots == nil:
		return errors.New("journal: options: Host, Drives and Roots must be set")
	case o.Parity < 0 || o.Parity >= copiesMax:
		return fmt.Errorf("journal: options: Parity is %d, of 0 to %d", o.Parity, copiesMax-1)
	}
	if o.Choose == nil {
		o.Choose = o.wellDrives
	}
	if o.Leaves == nil {
		o.Leaves = func(uint16) bool { return false }
	}
	if o.DriveTimeout <= 0 {
		o.DriveTimeout = 2 * time.Second
	}
	if o.SealBytes <= 0 {
		o.SealBytes = 1 << 20
	}
	return nil
}

func (o *Options) copies() int { return o.Parity + 1 }

func (o *Options) wellDrives(exclude map[uint16]bool) []Drive {
	var well []Drive
	for _, d := range o.Drives() {
		if d.Err() == nil && !exclude[d.Number()] {
			well = append(well, d)
		}
	}
	return well
}

func (e Events) epochSealed(from, to uint64, drives []uint16) {
	if e.EpochSealed != nil {
		e.EpochSealed(from, to, drives)
	}
}

func (e Events) driveFailed(drive uint16, err error) {
	if e.DriveFailed != nil {
		e.DriveFailed(drive, err)
	}
}

func (e Events) repaired(drive uint16, records int) {
	if e.Repaired != nil {
		e.Repaired(drive, records)
	}
}
