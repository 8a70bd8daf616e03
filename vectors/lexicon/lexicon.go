package lexicon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// A lexicon, little endian:
//
//	0   4  magic "TVLX"
//	4   2  version: 1
//	6   2  flags: 1 where fields were left out
//	8   4  rows
//	12  4  bytes of the head
//	16  4  sections
//	20  4  CRC-32C of the head, with this field zero
//	24  …  sections, by kind and name: 1 byte kind, 8 offset in the lexicon, 4 bytes, 4 CRC-32C,
//	       2 length of the name, the name
//	…   …  sections
//
// Kinds of sections:
//
//	1  ids      [rows] uint64
//	2  values   see Section; terms are values of metadata as filter.Span orders them
//	3  text     see Section; terms are words
const (
	magic        = "TVLX"
	version      = 1
	headFixed    = 24
	sectionFixed = 19
	flagLeftOut  = 1
	nameBytesMax = 4 << 10
	sectionsMax  = 1 << 12
	rowsMax      = 1 << 26
)

// Kind of a section.
type Kind byte

// The kinds, as they are kept.
const (
	IDs Kind = 1 + iota
	Values
	Text
)

// ErrCorrupt: bytes that are no lexicon.
var ErrCorrupt = errors.New("lexicon: corrupt")

// ErrVersion: a format that this release does not know.
var ErrVersion = errors.New("lexicon: unknown format version")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Lexicon is a head: what sections there are.
type Lexicon struct {
	rows     int
	leftOut  bool
	sections []place
}

// place is where a section lies.
type place struct {
	kind   Kind
	name   string
	offset int64
	bytes  int
	sum    uint32
}

func (p *place) compare(kind Kind, name string) int {
	if p.kind != kind {
		return int(p.kind) - int(kind)
	}
	return strings.Compare(p.name, name)
}

// Open verifies a head, which is the first bytes of a lexicon of whole bytes.
func Open(head []byte, whole int64) (*Lexicon, error) {
	if len(head) < headFixed || string(head[:4]) != magic {
		return nil, corrupt("no lexicon begins here")
	}
	if v := binary.LittleEndian.Uint16(head[4:]); v != version {
		return nil, fmt.Errorf("%w: lexicon of version %d, this release knows %d", ErrVersion, v, version)
	}
	if n := binary.LittleEndian.Uint32(head[12:]); int64(n) != int64(len(head)) {
		return nil, corrupt("head of %d bytes says %d", len(head), n)
	}
	if headSum(head) != binary.LittleEndian.Uint32(head[20:]) {
		return nil, corrupt("checksum of the head")
	}
	l := &Lexicon{rows: int(binary.LittleEndian.Uint32(head[8:])), leftOut: binary.LittleEndian.Uint16(head[6:])&flagLeftOut != 0}
	n := binary.LittleEndian.Uint32(head[16:])
	if l.rows > rowsMax || n > sectionsMax {
		return nil, corrupt("%d rows, %d sections", l.rows, n)
	}
	rest := head[headFixed:]
	for range n {
		p, size, err := parsePlace(rest, int64(len(head)), whole)
		if err != nil {
			return nil, err
		}
		if k := len(l.sections); k > 0 && l.sections[k-1].compare(p.kind, p.name) >= 0 {
			return nil, corrupt("sections do not rise at %q", p.name)
		}
		l.sections, rest = append(l.sections, p), rest[size:]
	}
	if len(rest) > 0 {
		return nil, corrupt("%d bytes behind the sections", len(rest))
	}
	return l, nil
}

func parsePlace(b []byte, head, whole int64) (p place, size int, err error) {
	if len(b) < sectionFixed {
		return p, 0, corrupt("head ends early")
	}
	p = place{kind: Kind(b[0]), offset: int64(binary.LittleEndian.Uint64(b[1:])), bytes: int(binary.LittleEndian.Uint32(b[9:])), sum: binary.LittleEndian.Uint32(b[13:])}
	n := int(binary.LittleEndian.Uint16(b[17:]))
	if n > nameBytesMax || n > len(b)-sectionFixed {
		return p, 0, corrupt("name of %d bytes", n)
	}
	p.name = string(b[sectionFixed : sectionFixed+n])
	if p.offset < head || p.offset > whole || int64(p.bytes) > whole-p.offset || p.kind < IDs || p.kind > Text {
		return p, 0, corrupt("section %q lies outside its lexicon", p.name)
	}
	return p, sectionFixed + n, nil
}

// headSum is the checksum of b with bytes 20 to 24 as zeros.
func headSum(b []byte) uint32 {
	sum := crc32.Checksum(b[:20], castagnoli)
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[24:])
}

// Rows that the lexicon is about.
func (l *Lexicon) Rows() int { return l.rows }

// Whole reports whether no field was left out.
func (l *Lexicon) Whole() bool { return !l.leftOut }

// Find tells where in the lexicon a section lies.
func (l *Lexicon) Find(kind Kind, name string) (offset int64, bytes int, ok bool) {
	p := l.find(kind, name)
	if p == nil {
		return 0, 0, false
	}
	return p.offset, p.bytes, true
}

func (l *Lexicon) find(kind Kind, name string) *place {
	i, ok := slices.BinarySearchFunc(l.sections, name, func(p place, name string) int { return p.compare(kind, name) })
	if !ok {
		return nil
	}
	return &l.sections[i]
}

// Fields are the names of the sections of a kind, rising.
func (l *Lexicon) Fields(kind Kind) (names []string) {
	for _, p := range l.sections {
		if p.kind == kind {
			names = append(names, p.name)
		}
	}
	return names
}

// Has reports whether there is a section.
func (l *Lexicon) Has(kind Kind, name string) bool { return l.find(kind, name) != nil }

// OpenSection verifies the bytes that Find told of, and takes them over.
func (l *Lexicon) OpenSection(kind Kind, name string, b []byte) (*Section, error) {
	p := l.find(kind, name)
	if p == nil || len(b) != p.bytes || crc32.Checksum(b, castagnoli) != p.sum {
		return nil, corrupt("checksum of the section %q", name)
	}
	if kind == IDs {
		if len(b) != 8*l.rows {
			return nil, corrupt("ids of %d bytes for %d rows", len(b), l.rows)
		}
		return &Section{rows: l.rows, bytes: len(b), ids: b}, nil
	}
	return openSection(kind, l.rows, b)
}
