package objects

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/placement"
)

// The root record says what the store is made of. Every drive keeps a copy, and
// the newest one counts. Version 3; numbers are uvarints in their shortest form:
//
//	 0   4  magic "TSRT"
//	 4   4  version, little endian
//	 8  16  store
//	24   1  k
//	25   1  m
//	26   1  1 once the index was opened
//	27   …  next drive number; count of drives; the drives; journal; checkpoint;
//	     …  count of groups; the groups (since version 2)
//
// A drive: number, 16 bytes of id, bytes of path, path; since version 2, 1 byte: 1
// where it is drained, or, since version 3, 2 where it is of the past, 3 where both, then zone, rack and node, each with its bytes before it.
// The journal: bytes, then its State as package journal encodes it. The checkpoint:
// the sequence through which it covers the log, bytes, then an envelope of one blob;
// 0 bytes: none. A group: count of drives, their numbers.
type rootRecord struct {
	store      [16]byte
	k, m       int
	ready      bool   // the index was opened once: there may be acknowledged entries
	next       uint16 // number of the next drive; numbers are never used again
	drives     []rootDrive
	journal    []byte
	through    uint64 // of the checkpoint
	checkpoint []byte
	groups     []placement.Group // of drives that share stripes; none: stripes choose freely
}

// rootDrive is a drive that belongs to the store, wherever it may be.
type rootDrive struct {
	number uint16
	id     drive.ID
	path   string // where it lay last

	draining bool // it is to leave
	past     bool // the journal's present epoch is not to believe it: see journal.Roots
	labels   Labels
}

const (
	rootMagic      = "TSRT"
	rootVersion    = 3
	rootFixed      = 27
	rootDriveLeast = 1 + 16 + 1
	rootPathMax    = 4096
)

var errRoot = errors.New("objects: malformed root record")

func (r *rootRecord) encode() []byte {
	b := make([]byte, rootFixed, 512)
	copy(b, rootMagic)
	binary.LittleEndian.PutUint32(b[4:], rootVersion)
	copy(b[8:], r.store[:])
	b[24], b[25] = byte(r.k), byte(r.m)
	if r.ready {
		b[26] = 1
	}
	b = binary.AppendUvarint(b, uint64(r.next))
	b = binary.AppendUvarint(b, uint64(len(r.drives)))
	for _, d := range r.drives {
		b = binary.AppendUvarint(b, uint64(d.number))
		b = append(b, d.id[:]...)
		b = appendString(b, d.path)
		b = append(b, d.flags())
		for _, label := range []string{d.labels.Zone, d.labels.Rack, d.labels.Node} {
			b = appendString(b, label)
		}
	}
	b = appendString(b, string(r.journal))
	b = binary.AppendUvarint(b, r.through)
	b = appendString(b, string(r.checkpoint))
	b = binary.AppendUvarint(b, uint64(len(r.groups)))
	for _, g := range r.groups {
		b = binary.AppendUvarint(b, uint64(len(g)))
		for _, number := range g {
			b = binary.AppendUvarint(b, uint64(number))
		}
	}
	return b
}

// Flags of a drive.
const (
	flagDraining = 1 << iota
	flagPast
)

func (d *rootDrive) flags() (f byte) {
	if d.draining {
		f |= flagDraining
	}
	if d.past {
		f |= flagPast
	}
	return f
}

func decodeRoot(b []byte) (r rootRecord, err error) {
	if len(b) < rootFixed || string(b[:4]) != rootMagic {
		return r, fmt.Errorf("%w: no magic", errRoot)
	}
	v := binary.LittleEndian.Uint32(b[4:])
	if v < 1 || v > rootVersion {
		return r, &drive.FormatVersionError{File: "root record", Found: v, Understood: rootVersion}
	}
	copy(r.store[:], b[8:])
	r.k, r.m, r.ready = int(b[24]), int(b[25]), b[26] == 1
	if r.k < 1 || r.k+r.m > ShardsMax || b[26] > 1 {
		return r, fmt.Errorf("%w: %d+%d shards", errRoot, r.k, r.m)
	}
	e := envelope{rest: b[rootFixed:]}
	r.next = uint16(e.number(1<<16 - 1))
	r.drives = make([]rootDrive, e.count(rootDriveLeast))
	for i := range r.drives {
		e.rootDrive(&r.drives[i], v)
	}
	r.journal = e.bytes(drive.RootBytesMax)
	r.through = e.number(1<<64 - 1)
	r.checkpoint = e.bytes(drive.RootBytesMax)
	if v > 1 {
		r.groups = e.groups()
	}
	if e.err == nil && len(e.rest) > 0 {
		e.fail("%d bytes too many", len(e.rest))
	}
	if e.err != nil {
		return r, fmt.Errorf("%w: %w", errRoot, e.err)
	}
	return r, nil
}

func (e *envelope) rootDrive(d *rootDrive, version uint32) {
	d.number = uint16(e.number(1<<16 - 1))
	copy(d.id[:], e.take(len(d.id)))
	d.path = string(e.bytes(rootPathMax))
	if version < 2 {
		return
	}
	flags, known := e.byte(), byte(flagDraining)
	if version > 2 {
		known |= flagPast
	}
	if d.draining, d.past = flags&flagDraining > 0, flags&flagPast > 0; flags&^known > 0 {
		e.fail("drive %d: flags %#x", d.number, flags)
	}
	for _, label := range []*string{&d.labels.Zone, &d.labels.Rack, &d.labels.Node} {
		*label = string(e.bytes(LabelBytesMax))
	}
}

func (e *envelope) groups() []placement.Group {
	groups := make([]placement.Group, e.count(1))
	for i := range groups {
		groups[i] = make(placement.Group, e.count(1))
		for k := range groups[i] {
			groups[i][k] = uint16(e.number(1<<16 - 1))
		}
	}
	if len(groups) == 0 {
		return nil
	}
	return groups
}

// bytes are a count, at most most, and so many bytes.
func (e *envelope) bytes(most uint64) []byte {
	return e.take(int(e.number(most)))
}

func (r *rootRecord) clone() rootRecord {
	c := *r
	c.drives = slices.Clone(r.drives)
	return c
}

// drive finds a drive of the layout by its number.
func (r *rootRecord) drive(number uint16) *rootDrive {
	for i := range r.drives {
		if r.drives[i].number == number {
			return &r.drives[i]
		}
	}
	return nil
}

func (r *rootRecord) remove(number uint16) {
	r.drives = slices.DeleteFunc(r.drives, func(d rootDrive) bool { return d.number == number })
}

// inGroups puts a drive where another was.
func (r *rootRecord) inGroups(instead, number uint16) {
	groups := make([]placement.Group, len(r.groups))
	for i, g := range r.groups {
		groups[i] = slices.Clone(g)
		if k := slices.Index(groups[i], instead); k >= 0 {
			groups[i][k] = number
		}
	}
	r.groups = groups
}
