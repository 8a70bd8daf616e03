package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tarnlake/tarn/objects/index"
)

// Journal is an index.Log on m+1 drives.
type Journal struct {
	o       Options
	reading bool // opened by Read

	write struct { // the one who changes the log; taken before mu and held across I/O
		sync.Mutex
		state    State           // as it was last saved, or tried to
		drives   []Drive         // of the epoch
		chain    uint64          // value after last
		marked   uint64          // a mark on every drive says that entries through here are acknowledged
		pruned   uint64          // every drive of the epoch, or enough roots, say that entries through here are not needed
		excluded map[uint16]bool // drives that failed, until Reconfigure
	}

	mu struct { // never held across I/O
		sync.Mutex
		ledger  *ledger
		trimmed uint64         // entries through here are not needed
		last    uint64         // acknowledged
		sealed  error          // why nothing may be appended to this epoch
		doubt   bool           // the fate of an append is open
		damaged map[uint16]int // records that were unreadable on a drive of the epoch
		hung    map[uint16]int // calls that never answered, by drive
		closed  bool
	}
	tasks sync.WaitGroup // calls to drives; Close waits for those that end in time
}

var _ index.Log = (*Journal)(nil)

// Open recovers the journal, or begins it where Options.New is set. With fewer
// than m+1 well drives it is read-only until Reconfigure succeeds. Where it
// then holds entries that may never have been acknowledged (after a crash, never
// after Close), Replay yields them too but ends with index.ErrReadOnly: the
// drives that are missing could still return without them.
func Open(ctx context.Context, o Options) (*Journal, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	j := &Journal{o: o}
	j.write.excluded = map[uint16]bool{}
	j.mu.damaged, j.mu.hung = map[uint16]int{}, map[uint16]int{}
	j.write.Lock()
	defer j.write.Unlock()
	states := o.Roots.Load()
	state, err := newest(states)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j.write.state = state
	switch {
	case state.Epoch == 0 && !o.New:
		err = ErrNoState
	case state.Epoch == 0:
		err = j.begin(ctx)
	case !o.New && len(states) < o.Members-o.Parity:
		err = fmt.Errorf("%w: %d of %d drives", ErrTooFewRoots, len(states), o.Members)
	default:
		err = j.restore(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return j, nil
}

// begin makes the first epoch of an empty log.
func (j *Journal) begin(ctx context.Context) error {
	j.mu.ledger = newLedger(State{}, nil)
	return j.nextEpoch(ctx, nil)
}

// First is the first kept sequence, Last()+1 where none is kept.
func (j *Journal) First() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.trimmed + 1
}

// Last is the last acknowledged sequence.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.last
}

// Bytes is the size of the kept records on one drive.
func (j *Journal) Bytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.ledger.bytes
}

// Epoch is the present epoch's number and drives, and why it is sealed, if it is.
func (j *Journal) Epoch() (number uint64, drives []uint16, sealed error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mu.ledger.number, numbersOf(j.mu.ledger.drives()), j.mu.sealed
}

// Reconfigure is to be called when drives came, went, failed or were healed. It
// begins a new epoch where the present one is sealed or has lost a drive, and
// settles an append whose fate was open. With too few drives: index.ErrReadOnly.
func (j *Journal) Reconfigure(ctx context.Context) error {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.closed(); err != nil {
		return err
	}
	clear(j.write.excluded)
	if j.healthy() && !j.leaving() {
		return j.welcome(ctx)
	}
	return readOnly(j.nextEpoch(ctx, nil))
}

// welcome tells drives that came back of the epoch, and takes what they hold of
// older ones from them.
func (j *Journal) welcome(ctx context.Context) error {
	if err := j.o.Roots.Save(ctx, j.write.state); err != nil {
		return fmt.Errorf("save the state of epoch %d: %w", j.write.state.Epoch, err)
	}
	j.sweep(ctx)
	return nil
}

// healthy reports whether the epoch may be gone on with.
func (j *Journal) healthy() bool {
	j.mu.Lock()
	sealed, damaged := j.mu.sealed, len(j.mu.damaged) > 0
	j.mu.Unlock()
	if sealed != nil || damaged || len(j.write.drives) != j.o.copies() {
		return false
	}
	present := map[Drive]bool{}
	for _, d := range j.o.Drives() {
		present[d] = true
	}
	for _, d := range j.write.drives {
		if !present[d] || d.Err() != nil {
			return false
		}
	}
	return true
}

// leaving: a drive of the epoch is to be left, and there are others enough.
func (j *Journal) leaving() bool {
	left := slices.ContainsFunc(j.write.drives, func(d Drive) bool { return j.o.Leaves(d.Number()) })
	return left && len(j.choose()) == j.o.copies()
}

func (j *Journal) closed() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.closed {
		return index.ErrClosed
	}
	return nil
}

func (j *Journal) seal(why error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.mu.sealed = why
}

// readOnly is err as an append sees it of which nothing was written.
func readOnly(err error) error {
	if err == nil || errors.Is(err, index.ErrReadOnly) {
		return err
	}
	return fmt.Errorf("%w: %w", index.ErrReadOnly, err)
}

func numbersOf(drives []Drive) []uint16 {
	var ns []uint16
	for _, d := range drives {
		ns = append(ns, d.Number())
	}
	return ns
}

// Close tells the drives through where entries were acknowledged, and waits for
// calls to drives, at most Options.DriveTimeout for one that hangs.
func (j *Journal) Close() error {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.closed(); err != nil {
		return err
	}
	if j.healthy() && j.write.marked < j.Last() {
		_ = j.mark() // without it the next Open writes the last batch again
	}
	j.mu.Lock()
	j.mu.closed = true
	j.mu.Unlock()
	j.drain()
	return nil
}
