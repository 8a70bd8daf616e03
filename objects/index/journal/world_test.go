package journal

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

var (
	errPower  = errors.New("the power is cut")
	errPulled = errors.New("the drive was pulled out")
	errGone   = errors.New("no such record")
	errRot    = errors.New("wrong checksum")
)

// world is a machine with fake drives. What a power cut leaves of the writes
// under way depends on seed, the drive and the bytes alone, not on the scheduler.
type world struct {
	mu       sync.Mutex
	seed     uint64
	media    []*medium
	parity   int
	rounds   map[uint64]int // by the bytes written: drives that write the same are in one round
	cutAt    int            // round at which the power is cut; 0: never
	dead     bool
	sessions int
}

// medium is what is on one drive, whoever reads it.
type medium struct {
	world   *world
	number  uint16
	extents []*fakeExtent // in order of number
	made    uint32
	state   *State
	err     error
	absent  bool
	hang    bool          // the next append hangs
	release chan struct{} // ends the hanging
	late    bool          // what hung is written when it is released
}

type fakeExtent struct {
	number  uint32
	sealed  bool
	records []fakeRecord
}

type fakeRecord struct {
	id      drive.Identity
	at      drive.Address
	payload []byte
	rotten  bool
	torn    bool // written when the power failed: a drive tells that from rot, and passes it over
}

func newWorld(seed uint64, drives, parity int) *world {
	w := &world{seed: seed, parity: parity, rounds: map[uint64]int{}}
	for i := range drives {
		w.media = append(w.media, &medium{world: w, number: uint16(i + 1), release: make(chan struct{})})
	}
	return w
}

// chance is the same for the same question.
func (w *world) chance(parts ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, w.seed, w.sessions)
	for _, x := range parts {
		if b, ok := x.([]byte); ok {
			_, _ = h.Write(b)
			continue
		}
		fmt.Fprint(h, x, " ")
	}
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

// round says whether a write meets the power cut. The caller holds mu.
func (w *world) round(what ...any) bool {
	h := fnv.New64a()
	for _, x := range what {
		if b, ok := x.([]byte); ok {
			_, _ = h.Write(b)
			continue
		}
		fmt.Fprint(h, x, " ")
	}
	n := w.rounds[h.Sum64()]
	if n == 0 {
		n = len(w.rounds) + 1
		w.rounds[h.Sum64()] = n
	}
	w.dead = w.dead || w.cutAt > 0 && n >= w.cutAt
	return w.cutAt > 0 && n >= w.cutAt
}

// restart ends the session: the power is back, hanging calls have failed.
func (w *world) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions++
	w.dead, w.cutAt, w.rounds = false, 0, map[uint64]int{}
	for _, m := range w.media {
		m.hang, m.late = false, false
		close(m.release)
		m.release = make(chan struct{})
		for _, x := range m.extents {
			x.sealed = true
		}
	}
}

func (w *world) isDead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// drives are handles of this session on all drives that are present.
func (w *world) drives() []Drive {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ds []Drive
	for _, m := range w.media {
		if !m.absent {
			ds = append(ds, fakeDrive{m, w.sessions})
		}
	}
	return ds
}

func (w *world) options(members int) Options {
	var key [32]byte
	key[0], key[1], key[2] = byte(w.seed), byte(w.seed>>8), byte(w.sessions)
	h := host.Real(nil)
	return Options{
		Host:   &host.Host{Clock: h.Clock, Entropy: rand.NewChaCha8(key), Log: slog.New(slog.DiscardHandler)},
		Parity: w.parity, Members: members, Drives: w.drives, Roots: fakeRoots{w}, SealBytes: 200,
		DriveTimeout: time.Hour, // passes only where all wait, or never
	}
}

// fakeRoots keeps the states on the media.
type fakeRoots struct{ w *world }

func (r fakeRoots) Load() []State {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var states []State
	for _, m := range r.w.media {
		if m.state != nil && !m.absent && m.err == nil {
			s, err := DecodeState(m.state.Encode())
			if err != nil {
				panic(err)
			}
			states = append(states, s)
		}
	}
	return states
}

func (r fakeRoots) Past(uint16) bool { return false }

func (r fakeRoots) Save(_ context.Context, s State) error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	saved := 0
	order := r.w.chance("roots", s).Perm(len(r.w.media))
	for _, i := range order {
		m := r.w.media[i]
		if m.absent || m.err != nil {
			continue
		}
		if r.w.round("root", m.number, s.Encode(), len(r.w.rounds)) {
			if r.w.chance("root", m.number).IntN(2) == 0 {
				m.state = &s
			}
			return errPower
		}
		m.state = &s
		saved++
	}
	if saved < r.w.parity+1 {
		return fmt.Errorf("only %d roots", saved)
	}
	return nil
}

// fakeDrive is a session's handle of a medium.
type fakeDrive struct {
	*medium
	session int
}

func (d fakeDrive) Number() uint16 { return d.number }

func (d fakeDrive) Err() error {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	return d.broken()
}

func (d fakeDrive) broken() error {
	switch {
	case d.world.dead || d.session != d.world.sessions:
		return errPower
	case d.absent:
		return errPulled
	}
	return d.err
}

func (d fakeDrive) Append(_ context.Context, class drive.Class, records []drive.Record) ([]drive.Address, error) {
	if err := d.wait(); err != nil {
		return nil, err
	}
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	if err := d.broken(); err != nil {
		// Drives of one round race to the cut: whoever comes second fares alike.
		if err == errPower && d.session == d.world.sessions && d.err == nil && !d.absent {
			d.torn(records)
		}
		return nil, err
	}
	var bytes []byte
	for _, r := range records {
		bytes = append(bytes, r.Payload...)
	}
	if d.world.round(bytes) {
		d.torn(records)
		return nil, errPower
	}
	return d.write(records), nil
}

// wait is where a call hangs.
func (d fakeDrive) wait() error {
	d.world.mu.Lock()
	hang, release := d.hang, d.release
	d.hang = false
	d.world.mu.Unlock()
	if !hang {
		return nil
	}
	<-release
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	if !d.late || d.session != d.world.sessions {
		return errors.New("hung, and failed in the end")
	}
	return nil
}

// torn leaves of records what a power cut leaves.
func (d fakeDrive) torn(records []drive.Record) {
	for _, r := range records {
		switch d.world.chance("torn", d.number, r.Payload).IntN(3) {
		case 0:
			d.write([]drive.Record{r})
		case 1:
			d.write([]drive.Record{r})
			x := d.extents[len(d.extents)-1]
			x.records[len(x.records)-1].torn = true
		}
	}
}

func (d fakeDrive) write(records []drive.Record) []drive.Address {
	var out []drive.Address
	for _, r := range records {
		if n := len(d.extents); n == 0 || d.extents[n-1].sealed {
			d.made++
			d.extents = append(d.extents, &fakeExtent{number: d.made})
		}
		x := d.extents[len(d.extents)-1]
		at := drive.Address{Extent: x.number, Generation: 1, Sector: uint32(len(x.records) + 1)}
		x.records = append(x.records, fakeRecord{id: r.Identity, at: at, payload: slices.Clone(r.Payload)})
		out = append(out, at)
	}
	return out
}

func (d fakeDrive) Read(_ context.Context, a drive.Address, id drive.Identity, p []byte, off int64) error {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	if err := d.broken(); err != nil {
		return err
	}
	for _, x := range d.extents {
		if x.number != a.Extent || int(a.Sector) > len(x.records) {
			continue
		}
		r := x.records[a.Sector-1]
		if r.rotten || r.torn || r.id != id || int(off)+len(p) > len(r.payload) {
			return errRot
		}
		copy(p, r.payload[off:])
		return nil
	}
	return errGone
}

func (d fakeDrive) Scan(_ context.Context, _ drive.Class) iter.Seq2[drive.Found, error] {
	return func(yield func(drive.Found, error) bool) {
		d.world.mu.Lock()
		err := d.broken()
		var all []drive.Found
		for _, x := range d.extents {
			for _, r := range x.records {
				if r.torn {
					continue
				}
				f := drive.Found{Address: r.at, Identity: r.id, Payload: slices.Clone(r.payload)}
				if r.rotten {
					f = drive.Found{Address: r.at, Err: errRot}
				}
				all = append(all, f)
			}
		}
		d.world.mu.Unlock()
		if err != nil {
			yield(drive.Found{}, err)
			return
		}
		for _, f := range all {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func (d fakeDrive) Extents() []drive.ExtentInfo {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	var out []drive.ExtentInfo
	for _, x := range d.extents {
		out = append(out, drive.ExtentInfo{Number: x.number, Class: drive.Journal, Sealed: x.sealed})
	}
	return out
}

func (d fakeDrive) Remove(_ context.Context, extent uint32) error {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	if err := d.broken(); err != nil {
		return err
	}
	if d.world.round("remove", d.number, extent) && d.world.chance("remove", d.number, extent).IntN(2) == 0 {
		return errPower
	}
	for i, x := range d.extents {
		if x.number == extent && x.sealed {
			d.extents = slices.Delete(d.extents, i, i+1)
			break
		}
	}
	if d.world.dead {
		return errPower
	}
	return nil
}

func (d fakeDrive) Seal(context.Context, drive.Class) error {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	if err := d.broken(); err != nil {
		return err
	}
	for _, x := range d.extents {
		x.sealed = true
	}
	return nil
}

// rot spoils one record, if there is one.
func (m *medium) rot(pick int) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	var all []*fakeRecord
	for _, x := range m.extents {
		for i := range x.records {
			all = append(all, &x.records[i])
		}
	}
	if len(all) > 0 {
		all[pick%len(all)].rotten = true
	}
}

// wipe empties the drive, as if another had been put in its place.
func (m *medium) wipe() {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	m.extents, m.state = nil, nil
}

func (m *medium) set(f func()) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	f()
}

var _ io.Reader = (*rand.ChaCha8)(nil)
