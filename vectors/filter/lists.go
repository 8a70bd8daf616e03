package filter

import (
	"encoding/binary"
	"math"
)

// Lists are inverted lists of documents: which rows have which values.
type Lists interface {
	Rows() int
	// Union adds to s the rows that have a value of a field in a span.
	Union(s Set, field string, span Span)
	// Entries is how many entries of lists a Union reads: no fewer than the rows that it adds.
	Entries(field string, span Span) int
}

// Span is the values from Lo to before Hi, as Value orders them.
type Span struct{ Lo, Hi string }

// Present is the span that finds the documents that have a field at all, be its array empty or not.
var Present = Span{"\x00", "\x01"}

// The order of values: a byte of kind, then the text, or 8 bytes of a number whose order as bytes
// is that of the numbers. Documents that have a field have "\x00" beside its values.
func (v value) ordered() string {
	switch v.kind {
	case kindString:
		return string(rune(kindString)) + v.text
	case kindNumber:
		b := math.Float64bits(v.number)
		if b>>63 != 0 {
			b = ^b
		} else {
			b |= 1 << 63
		}
		return string(binary.BigEndian.AppendUint64([]byte{byte(kindNumber)}, b))
	}
	return string(rune(v.kind))
}

// ValueOf is what a list is about, of which Keep told: a string, a float64 or a bool; nil where it is about
// a field at all.
func ValueOf(ordered string) any {
	if ordered == "" {
		return nil
	}
	switch rest := ordered[1:]; kind(ordered[0]) {
	case kindString:
		return rest
	case kindNumber:
		if len(rest) != 8 {
			return nil
		}
		b := binary.BigEndian.Uint64([]byte(rest))
		if b>>63 != 0 {
			b &^= 1 << 63
		} else {
			b = ^b
		}
		return math.Float64frombits(b)
	case kindFalse:
		return false
	case kindTrue:
		return true
	}
	return nil
}

// point is the span of one value.
func (v value) point() Span {
	at := v.ordered()
	return Span{at, at + "\x00"}
}

// least and past bound the values of v's kind.
func (v value) least() string { return string(rune(v.kind)) }
func (v value) past() string  { return string(rune(v.kind + 1)) }

// spanOf is what an ordering operator means.
func spanOf(op string, v value) Span {
	at := v.ordered()
	switch op {
	case "$gt":
		return Span{at + "\x00", v.past()}
	case "$gte":
		return Span{at, v.past()}
	case "$lt":
		return Span{v.least(), at}
	}
	return Span{v.least(), at + "\x00"}
}

// begins is the span of the texts that begin with v's.
func (v value) begins() Span {
	at := v.ordered()
	hi := []byte(at)
	for i := len(hi) - 1; ; i-- { // ends at the kind at the latest
		if hi[i] < 0xff {
			hi[i]++
			return Span{at, string(hi[:i+1])}
		}
	}
}

// Select finds the documents that are meant, all at once.
func (f *Filter) Select(l Lists) Set { return f.root.choose(l) }

// Entries is how many entries of lists Select reads.
func (f *Filter) Entries(l Lists) int { return f.root.entries(l) }

func (a all) choose(l Lists) Set {
	s := a[0].choose(l)
	for _, n := range a[1:] {
		s.And(n.choose(l))
	}
	return s
}

func (a all) entries(l Lists) (n int) {
	for _, part := range a {
		n += part.entries(l)
	}
	return n
}

func (s some) choose(l Lists) Set {
	set := s[0].choose(l)
	for _, n := range s[1:] {
		set.or(n.choose(l))
	}
	return set
}

func (s some) entries(l Lists) int { return all(s).entries(l) }

func (n not) choose(l Lists) Set {
	s := n.node.choose(l)
	s.invert(l.Rows())
	return s
}

func (n not) entries(l Lists) int { return n.node.entries(l) }

func (e exists) choose(l Lists) Set {
	s := NewSet(l.Rows())
	l.Union(s, e.name, Present)
	return s
}

func (e exists) entries(l Lists) int { return l.Entries(e.name, Present) }

func (q condition) choose(l Lists) Set {
	s := NewSet(l.Rows())
	for _, span := range q.spans {
		l.Union(s, q.name, span)
	}
	return s
}

func (q condition) entries(l Lists) (n int) {
	for _, span := range q.spans {
		n += l.Entries(q.name, span)
	}
	return n
}

// Keep calls yield with every field of a document, and what lists keep for it: Present's Lo, then its
// values as Span orders them.
func (d Document) Keep(yield func(field, value string)) {
	if len(d) == 0 {
		return
	}
	c := cursor{rest: d[1:]}
	for fields := c.varint(); fields > 0 && !c.bad; fields-- {
		name := c.text()
		n := c.varint() / 2
		if c.bad {
			return
		}
		yield(name, Present.Lo)
		for ; n > 0; n-- {
			v := c.value()
			if c.bad {
				return
			}
			yield(name, v.ordered())
		}
	}
}
