package objects

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// memDrive is a Drive in memory: ten records an extent. It can fail, hang and lie.
type memDrive struct {
	number uint16

	mu      sync.Mutex
	extents map[uint32][]drive.Record
	class   map[uint32]drive.Class
	active  map[drive.Class]uint32
	last    uint32
	root    drive.Root
	err     error                      // of every append
	readErr error                      // of every read
	hang    chan struct{}              // calls wait until it is closed
	hanging int                        // calls that ever waited
	appends int                        // that succeeded
	corrupt map[drive.Address]struct{} // reads of these fail
}

const memExtentRecords = 10

func newMemDrive(number uint16) *memDrive {
	return &memDrive{number: number, extents: map[uint32][]drive.Record{}, class: map[uint32]drive.Class{},
		active: map[drive.Class]uint32{}, corrupt: map[drive.Address]struct{}{}}
}

func (d *memDrive) with(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *memDrive) wait() {
	d.mu.Lock()
	hang := d.hang
	if hang != nil {
		d.hanging++
	}
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
}

func (d *memDrive) Header() drive.Header { return drive.Header{Number: d.number} }
func (d *memDrive) Number() uint16       { return d.number }
func (d *memDrive) Close() error         { return nil }

func (d *memDrive) Append(_ context.Context, class drive.Class, records []drive.Record) ([]drive.Address, error) {
	d.wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	var at []drive.Address
	for _, r := range records {
		e := d.active[class]
		if e == 0 || len(d.extents[e]) == memExtentRecords {
			d.last++
			e = d.last
			d.active[class], d.class[e] = e, class
		}
		at = append(at, drive.Address{Extent: e, Generation: 1, Sector: uint32(len(d.extents[e]))})
		d.extents[e] = append(d.extents[e], drive.Record{Identity: r.Identity, Payload: bytes.Clone(r.Payload)})
	}
	d.appends++
	return at, nil
}

func (d *memDrive) count(of *int) (n int) {
	d.with(func() { n = *of })
	return n
}

func (d *memDrive) record(a drive.Address, id drive.Identity) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readErr != nil {
		return nil, d.readErr
	}
	records, ok := d.extents[a.Extent]
	if !ok {
		return nil, drive.ErrGone
	}
	_, bad := d.corrupt[a]
	if bad || int(a.Sector) >= len(records) || records[a.Sector].Identity != id {
		return nil, drive.ErrCorrupt
	}
	return records[a.Sector].Payload, nil
}

func (d *memDrive) Read(_ context.Context, a drive.Address, id drive.Identity, p []byte, off int64) error {
	d.wait()
	b, err := d.record(a, id)
	if err == nil && int(off)+len(p) > len(b) {
		err = fmt.Errorf("range [%d,%d) of %d bytes", off, int(off)+len(p), len(b))
	}
	if err == nil {
		copy(p, b[off:])
	}
	return err
}

func (d *memDrive) Length(_ context.Context, a drive.Address, id drive.Identity) (int, error) {
	d.wait()
	b, err := d.record(a, id)
	return len(b), err
}

func (d *memDrive) Scan(context.Context, drive.Class) iter.Seq2[drive.Found, error] {
	return func(func(drive.Found, error) bool) {}
}

func (d *memDrive) CheckFiles() error { return nil }

func (d *memDrive) Audit(_ context.Context, extent uint32, _ int64) iter.Seq2[drive.Audited, error] {
	return func(yield func(drive.Audited, error) bool) {
		d.mu.Lock()
		records, ok := d.extents[extent]
		d.mu.Unlock()
		if !ok {
			yield(drive.Audited{}, drive.ErrGone)
			return
		}
		for i, r := range records {
			at := drive.Address{Extent: extent, Generation: 1, Sector: uint32(i)}
			f := drive.Found{Address: at, Identity: r.Identity, Payload: r.Payload}
			if _, err := d.record(at, r.Identity); err != nil {
				f.Err, f.Payload = err, nil
			}
			if !yield(drive.Audited{Found: f, Next: int64(i + 1)}, nil) {
				return
			}
		}
	}
}

func (d *memDrive) Extents() []drive.ExtentInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []drive.ExtentInfo
	for e := uint32(1); e <= d.last; e++ {
		if records, ok := d.extents[e]; ok {
			used := int64(drive.SectorBytes)
			for _, r := range records {
				used += drive.RecordBytes(len(r.Payload))
			}
			all = append(all, drive.ExtentInfo{Number: e, Generation: 1, Class: d.class[e], Bytes: used, Sealed: d.active[d.class[e]] != e})
		}
	}
	return all
}

func (d *memDrive) Remove(_ context.Context, e uint32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active[d.class[e]] == e {
		return drive.ErrActive
	}
	delete(d.extents, e)
	return nil
}

func (d *memDrive) Seal(_ context.Context, class drive.Class) error {
	d.with(func() { delete(d.active, class) })
	return nil
}

func (d *memDrive) Root() (r drive.Root) {
	d.with(func() { r = d.root })
	return r
}

func (d *memDrive) SetRoot(_ context.Context, r drive.Root) error {
	d.with(func() { d.root = r })
	return nil
}

func (d *memDrive) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// newTestStore is a Store over an index and six drives, all in memory, 4+2. It
// is closed with the test.
func newTestStore(t testing.TB) *Store {
	s, _ := newMemStore(t, Options{}, indextest.New(t), 6)
	return s
}

// newMemStore also gives the drives, to be tormented.
func newMemStore(t testing.TB, o Options, idx index.Index, n int) (*Store, []*memDrive) {
	t.Helper()
	if o.Host == nil {
		o.Host = host.Real(nil)
	}
	var members []*member
	var mem []*memDrive
	for i := range n {
		d := newMemDrive(uint16(i + 1))
		mem = append(mem, d)
		m := &member{Drive: d, number: d.number, path: fmt.Sprintf("drive-%d", d.number)}
		m.mu.space = &space{}
		m.mu.space.free.Store(1 << 30)
		members = append(members, m)
	}
	o.proveCounts = true
	s, err := newStore(o, idx, members)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s, mem
}
