package lexicon

import (
	"bytes"
	"encoding/binary"
	"sort"

	"github.com/tarnlake/tarn/vectors/filter"
)

// A section of values or text, little endian:
//
//	0   4  terms
//	4   4  bytes of all terms
//	8   8  text: words of all rows; values: bytes of a row in the column, 0, 2 or 4
//	16  …  [terms+1] uint32 ends of terms, the first is 0
//	…   …  [terms+1] uint32 ends of lists, the first is 0
//	…   …  [terms+1] uint32 rows in the lists before
//	…   …  text: [rows] uint16 words of each row, at most 65,535 are counted; values: the column, which is
//	       for each row which term it has, or the largest number: none
//	…   …  terms, rising as bytes
//	…   …  lists
//
// A list of values is a byte 0 and the gaps between rows as uvarints, the first from -1, or a byte 1 and
// a bit a row. There is a column where values are many and no row has two of them: a long span is
// quicker found there than in many short lists. A list of text is for every row its gap and how often it has the word, as uvarints.
const sectionHead = 16

// Section is one opened section.
type Section struct {
	rows    int
	bytes   int
	ids     []byte // of kind IDs; nothing else then
	terms   int
	total   uint64
	ends    []byte
	lists   []byte
	counts  []byte
	lengths []byte
	column  []byte
	width   int // of the column
	names   []byte
	entries []byte
}

func openSection(kind Kind, rows int, b []byte) (*Section, error) {
	if len(b) < sectionHead {
		return nil, corrupt("section of %d bytes", len(b))
	}
	s := &Section{rows: rows, bytes: len(b), terms: int(binary.LittleEndian.Uint32(b)), total: binary.LittleEndian.Uint64(b[8:])}
	names := int64(binary.LittleEndian.Uint32(b[4:]))
	table := 4 * (int64(s.terms) + 1)
	lengths := 2 * int64(rows)
	if kind == Values {
		if s.width = int(min(s.total, 8)); s.width != 0 && s.width != 2 && s.width != 4 {
			return nil, corrupt("column of %d bytes a row", s.total)
		}
		lengths = int64(s.width) * int64(rows)
	}
	if sectionHead+3*table+lengths+names > int64(len(b)) {
		return nil, corrupt("section of %d terms in %d bytes", s.terms, len(b))
	}
	rest := b[sectionHead:]
	cut := func(n int64) (part []byte) {
		part, rest = rest[:n:n], rest[n:]
		return part
	}
	s.ends, s.lists, s.counts = cut(table), cut(table), cut(table)
	s.lengths, s.names, s.entries = cut(lengths), cut(names), rest
	if kind == Values {
		s.column, s.lengths = s.lengths, nil
	}
	return s, s.check()
}

func (s *Section) check() error {
	for i := range s.terms {
		if number(s.ends, i) > number(s.ends, i+1) || number(s.lists, i) > number(s.lists, i+1) || number(s.counts, i) > number(s.counts, i+1) {
			return corrupt("term %d ends before it begins", i)
		}
	}
	if number(s.ends, 0) != 0 || number(s.lists, 0) != 0 || number(s.ends, s.terms) != len(s.names) || number(s.lists, s.terms) != len(s.entries) {
		return corrupt("terms or lists do not fill their places")
	}
	for i := 1; i < s.terms; i++ {
		if bytes.Compare(s.term(i-1), s.term(i)) >= 0 {
			return corrupt("term %d does not rise", i)
		}
	}
	return nil
}

func number(b []byte, i int) int { return int(binary.LittleEndian.Uint32(b[4*i:])) }

// Bytes is the size of the section.
func (s *Section) Bytes() int { return s.bytes }

// ID of a row, in a section of kind IDs.
func (s *Section) ID(row int) uint64 { return binary.LittleEndian.Uint64(s.ids[8*row:]) }

// Terms is how many different terms there are.
func (s *Section) Terms() int { return s.terms }

func (s *Section) term(i int) []byte { return s.names[number(s.ends, i):number(s.ends, i+1)] }

// Term i.
func (s *Section) Term(i int) string { return string(s.term(i)) }

// at is the first term that is not below t.
func (s *Section) at(t string) int {
	return sort.Search(s.terms, func(i int) bool { return string(s.term(i)) >= t })
}

// Range are the terms of a span: from first to before end.
func (s *Section) Range(span filter.Span) (first, end int) {
	first = s.at(span.Lo)
	return first, max(first, s.at(span.Hi))
}

// Entries is how many entries the lists of terms have.
func (s *Section) Entries(first, end int) int { return number(s.counts, end) - number(s.counts, first) }

func (s *Section) list(i int) []byte { return s.entries[number(s.lists, i):number(s.lists, i+1)] }

// Union adds the rows of terms, of a section of values.
func (s *Section) Union(set filter.Set, first, end int) {
	if first < end && string(s.term(first)) == filter.Present.Lo {
		s.union(set, s.list(first))
		first++
	}
	// A list costs about 10 ns and an entry 1.5, a row of a column 0.8; November 2026.
	if n := end - first; s.width > 0 && n > 0 && 12*n+2*s.Entries(first, end) > s.rows {
		s.unionColumn(set, uint32(first), uint32(n))
		return
	}
	for i := first; i < end; i++ {
		s.union(set, s.list(i))
	}
}

// unionColumn adds the rows whose term is one of n from first on. It does not branch on a row: which
// ones are meant no one can foretell.
func (s *Section) unionColumn(set filter.Set, first, n uint32) {
	for at := 0; at < s.rows; at += 64 {
		some, bits := min(64, s.rows-at), uint64(0)
		if s.width == 2 {
			for i, c := 0, s.column[2*at:2*(at+some)]; len(c) >= 2; i, c = i+1, c[2:] {
				bits |= below(uint32(binary.LittleEndian.Uint16(c))-first, n) << i
			}
		} else {
			for i, c := 0, s.column[4*at:4*(at+some)]; len(c) >= 4; i, c = i+1, c[4:] {
				bits |= below(binary.LittleEndian.Uint32(c)-first, n) << i
			}
		}
		set[at>>6] |= bits
	}
}

// below is 1 where a < b, else 0.
func below(a, b uint32) uint64 { return (uint64(a) - uint64(b)) >> 63 }

func (s *Section) union(set filter.Set, b []byte) {
	switch {
	case len(b) == 0:
	case b[0] == dense:
		for row, bits := range b[1:] {
			if row>>3 < len(set) {
				set[row>>3] |= uint64(bits) << (8 * (row & 7))
			}
		}
	default:
		each(b[1:], s.rows, func(row int) { set.Add(row) })
	}
}

// each calls f with the rows of gaps, as far as they are sound.
func each(b []byte, rows int, f func(row int)) {
	row := -1
	for len(b) > 0 {
		gap := uint64(b[0])
		n := 1
		if gap >= 0x80 {
			gap, n = binary.Uvarint(b)
		}
		if n <= 0 || gap == 0 || gap > uint64(rows-1-row) {
			return
		}
		row += int(gap)
		b = b[n:]
		f(row)
	}
}

// Count is how many rows of set have term i, of a section of values.
func (s *Section) Count(set filter.Set, i int) (n int) {
	b := s.list(i)
	switch {
	case len(b) == 0:
	case b[0] == dense:
		own := make(filter.Set, len(set))
		s.union(own, b)
		own.And(set)
		n = own.Count(0, s.rows)
	default:
		each(b[1:], s.rows, func(row int) {
			if set.Has(row) {
				n++
			}
		})
	}
	return n
}

// Words of all rows together, in a section of text.
func (s *Section) Words() uint64 { return s.total }

// Length is how many words a row has, in a section of text.
func (s *Section) Length(row int) int { return int(binary.LittleEndian.Uint16(s.lengths[2*row:])) }

// Posting is a row that has a word, and how often.
type Posting struct{ Row, Times uint32 }

// Postings appends the rows that have a word, rising; in a section of text.
func (s *Section) Postings(word string, dst []Posting) []Posting {
	i := s.at(word)
	if i == s.terms || string(s.term(i)) != word {
		return dst
	}
	row, rows := -1, s.rows
	for b := s.list(i); len(b) > 0; {
		gap, times, n := uint64(b[0]), uint64(0), 2
		if len(b) > 1 && b[0] < 0x80 && b[1] < 0x80 {
			times = uint64(b[1])
		} else if gap, times, n = longPosting(b); n == 0 {
			return dst
		}
		if gap == 0 || gap > uint64(rows-1-row) {
			return dst
		}
		row += int(gap)
		dst = append(dst, Posting{uint32(row), uint32(times)})
		b = b[n:]
	}
	return dst
}

// longPosting reads a posting of more than two bytes; n is 0 where it is not sound.
func longPosting(b []byte) (gap, times uint64, n int) {
	gap, n = binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, 0
	}
	times, m := binary.Uvarint(b[n:])
	if m <= 0 || times > 1<<20 {
		return 0, 0, 0
	}
	return gap, times, n + m
}
