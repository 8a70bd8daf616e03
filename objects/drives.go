package objects

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/placement"
)

// Drive is what the store needs of one drive; *drive.Drive is one.
type Drive interface {
	Header() drive.Header
	Number() uint16
	Append(ctx context.Context, class drive.Class, records []drive.Record) ([]drive.Address, error)
	Read(ctx context.Context, a drive.Address, id drive.Identity, p []byte, off int64) error
	Length(ctx context.Context, a drive.Address, id drive.Identity) (int, error)
	Scan(ctx context.Context, class drive.Class) iter.Seq2[drive.Found, error]
	Audit(ctx context.Context, extent uint32, from int64) iter.Seq2[drive.Audited, error]
	CheckFiles() error
	Extents() []drive.ExtentInfo
	Remove(ctx context.Context, extent uint32) error
	Seal(ctx context.Context, class drive.Class) error
	Root() drive.Root
	SetRoot(ctx context.Context, r drive.Root) error
	Err() error
	Close() error
}

// DriveState says what a drive is good for.
type DriveState uint8

// The states. Of those after DriveFailed nothing is read.
const (
	DriveWell     DriveState = iota // reads and writes
	DriveDraining                   // reads; its shards are moved to other drives
	DriveFull                       // no room: reads only, until there is some again
	DriveFailed                     // its write side gave up: reads only
	DriveSlow                       // did not answer in time; skipped until it does
	DriveMissing                    // its folder is missing, empty or unreadable
	DriveForeign                    // its folder holds something else, or another store's drive
	DriveCorrupt                    // its header is unreadable
	DriveFormat                     // written by another format version
	DriveRetired                    // was replaced or removed, and has come back
)

// DriveStates are the states' names, in their order.
var DriveStates = []string{"well", "draining", "full", "failed", "slow", "missing", "foreign", "corrupt", "format", "retired"}

func (s DriveState) String() string { return DriveStates[s] }

func (s DriveState) readable() bool { return s <= DriveFailed }

// DriveStatus is one drive as status shows it.
type DriveStatus struct {
	Number     uint16 // 0: it has none yet
	ID         string // "" where it could not be opened
	Path       string // "" where no folder is known
	State      DriveState
	Reason     string    // why it is not well
	Since      time.Time // when it became so, or this process first saw it
	Labels     Labels
	Device     string // drives with one device are one failure domain
	BytesTotal int64  // of the device
	BytesFree  int64
	BytesUsed  int64 // by this drive's extents
	Journal    bool  // it holds a copy of the journal
	View       bool  // it holds the index's view
	Adoptable  bool  // AdoptDrive would make this folder a drive of the store
	Draining   bool  // it takes no new shards, and loses those that it has, whatever its state
	Drain      Drain // how far that is
}

// drives is the set of members; it changes when one is adopted.
type drives struct {
	mu  sync.RWMutex
	all []*member // by number; replaced, never changed in place
}

func (d *drives) replace(all []*member) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = all
}

func (d *drives) list() []*member {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.all
}

// find is the member with a number; nil where there is none.
func (d *drives) find(number uint16) *member {
	for _, m := range d.list() {
		if m.number == number {
			return m
		}
	}
	return nil
}

// layout is where shards may be placed. sparing: also into the space that is kept
// for what makes room or redundancy again.
func (d *drives) layout(sparing bool) placement.Layout {
	all := d.list()
	l := make(placement.Layout, 0, len(all))
	for _, m := range all {
		l = append(l, m.placed(sparing))
	}
	return l
}

// holding is the layout of what can be read, full and failed drives among it: what of
// that may yet be lost does not depend on who takes writes.
func (d *drives) holding() placement.Layout {
	l := d.layout(false)
	for i, m := range d.list() {
		if i < len(l) && l[i].Number == m.number {
			l[i].Well = m.readable()
		}
	}
	return l
}

// arrange tells the members what the root record says of them.
func (d *drives) arrange(r *rootRecord) {
	for _, m := range d.list() {
		known := r.drive(m.number)
		if known == nil {
			continue
		}
		var groups []int
		for n, g := range r.groups {
			if slices.Contains(g, m.number) {
				groups = append(groups, n)
			}
		}
		m.mu.Lock()
		m.mu.labels, m.mu.draining, m.mu.groups = known.labels, known.draining, groups
		m.mu.Unlock()
	}
}

// well counts the members that take new shards, and names those that only lack room.
func (d *drives) well(sparing bool) (well int, full []*member) {
	for _, m := range d.list() {
		if m.takes(sparing) {
			well++
		} else if s, _ := m.state(); s == DriveFull && !m.leaving() {
			full = append(full, m)
		}
	}
	return well, full
}

// needed drives for a durable write of k data and m parity shards.
func needed(k, m int) int { return k + min(m, 1) }

// writable says why a stripe of k+m shards cannot be written now; nil: it can.
func (d *drives) writable(k, m int, sparing bool) error {
	well, full := d.well(sparing)
	need := needed(k, m)
	switch {
	case well >= need:
		return nil
	case well+len(full) >= need:
		numbers, places := fullest(full)
		return &FullError{Fullest: numbers, text: fmt.Sprintf("%d of %d drives have room, %d are needed: %s", well, len(d.list()), need, places)}
	}
	return fmt.Errorf("%w: %d of %d drives take writes, %d are needed", ErrReadOnly, well, len(d.list()), need)
}

// namedFull bounds the drives that an error names.
const namedFull = 6

// fullest names full drives, those with the least room first: by their numbers, and with
// their places for operators.
func fullest(full []*member) (numbers, places string) {
	slices.SortFunc(full, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.room().left(), b.room().left()), cmp.Compare(a.number, b.number))
	})
	var short, names []string
	for _, m := range full[:min(len(full), namedFull)] {
		total, free := m.room().size()
		names = append(names, fmt.Sprintf("drive %d at %s has %s free of %s", m.number, m.path, inWords(free), inWords(total)))
		short = append(short, fmt.Sprintf("drive %d has %s free of %s", m.number, inWords(free), inWords(total)))
	}
	if more := len(full) - len(names); more > 0 {
		names, short = append(names, fmt.Sprintf("%d more are full", more)), append(short, fmt.Sprintf("%d more are full", more))
	}
	return strings.Join(short, ", "), strings.Join(names, ", ")
}

// sparing marks the context of work that may use the space that is kept for what
// makes room or redundancy again: checkpoints, repair, moves.
type sparing struct{}

func mayUseReserve(ctx context.Context) context.Context {
	return context.WithValue(ctx, sparing{}, true)
}

func usesReserve(ctx context.Context) bool { return ctx.Value(sparing{}) != nil }
