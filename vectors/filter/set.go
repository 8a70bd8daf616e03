package filter

import "math/bits"

// Set is rows of one list of documents, a bit a row. It is as long as those who made it say.
type Set []uint64

// NewSet has room for rows.
func NewSet(rows int) Set { return make(Set, (rows+63)/64) }

// Add puts a row in.
func (s Set) Add(row int) { s[row>>6] |= 1 << (row & 63) }

// Remove takes a row out.
func (s Set) Remove(row int) { s[row>>6] &^= 1 << (row & 63) }

// Has reports whether a row is in.
func (s Set) Has(row int) bool { return s[row>>6]>>(row&63)&1 != 0 }

// Count is the number of rows from first to before end.
func (s Set) Count(first, end int) int {
	n := 0
	for at := first; at < end; at += 64 {
		n += bits.OnesCount64(s.Bits(at, min(64, end-at)))
	}
	return n
}

// Any reports whether a row from first to before end is in.
func (s Set) Any(first, end int) bool {
	for at := first; at < end; at += 64 {
		if s.Bits(at, min(64, end-at)) != 0 {
			return true
		}
	}
	return false
}

// Bits are n rows, at most 64, from first on: the first is the lowest bit.
func (s Set) Bits(first, n int) uint64 {
	word, shift := first>>6, first&63
	if word >= len(s) {
		return 0
	}
	b := s[word] >> shift
	if shift > 0 && word+1 < len(s) {
		b |= s[word+1] << (64 - shift)
	}
	if n < 64 {
		b &= 1<<n - 1
	}
	return b
}

// Each calls f with the rows from first to before end, rising, until it says false.
func (s Set) Each(first, end int, f func(row int) bool) {
	for at := first; at < end; at += 64 {
		for b := s.Bits(at, min(64, end-at)); b != 0; b &= b - 1 {
			if !f(at + bits.TrailingZeros64(b)) {
				return
			}
		}
	}
}

// And leaves the rows that are in both.
func (s Set) And(o Set) {
	for i := range s {
		s[i] &= o[i]
	}
}

func (s Set) or(o Set) {
	for i := range s {
		s[i] |= o[i]
	}
}

// invert turns the set of some rows into that of the others.
func (s Set) invert(rows int) {
	for i := range s {
		s[i] = ^s[i]
	}
	if rest := rows & 63; rest > 0 {
		s[len(s)-1] &= 1<<rest - 1
	}
}
