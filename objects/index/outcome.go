package index

import "fmt"

// Outcome of an entry, as bytes:
//
//	0  1  0 applied whole · 1 nothing applied · 2 in part
//	1  2  mutations n, little endian (of 0 and 2)
//	3  …  one bit a mutation, lowest first, 1 applied; spare bits zero (of 2)
const (
	outcomeWhole   = 0
	outcomeNothing = 1
	outcomePart    = 2
)

// outcomeKind tells which form applied takes. nil: the conditions failed.
func outcomeKind(applied []bool) byte {
	if applied == nil {
		return outcomeNothing
	}
	for _, ok := range applied {
		if !ok {
			return outcomePart
		}
	}
	return outcomeWhole
}

func appendOutcome(b []byte, applied []bool) []byte {
	kind := outcomeKind(applied)
	b = append(b, kind)
	if kind == outcomeNothing {
		return b
	}
	b = append(b, byte(len(applied)), byte(len(applied)>>8))
	if kind == outcomeWhole {
		return b
	}
	bits := make([]byte, (len(applied)+7)/8)
	for i, ok := range applied {
		if ok {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	return append(b, bits...)
}

func decodeOutcome(b []byte) ([]bool, error) {
	bad := fmt.Errorf("%w: outcome of %d bytes", errView, len(b))
	if len(b) == 1 && b[0] == outcomeNothing {
		return nil, nil
	}
	if len(b) < 3 || b[0] != outcomeWhole && b[0] != outcomePart {
		return nil, bad
	}
	n := int(b[1]) | int(b[2])<<8
	bits := b[3:]
	if n > MutationsMax || b[0] == outcomeWhole && len(bits) != 0 || b[0] == outcomePart && len(bits) != (n+7)/8 {
		return nil, bad
	}
	applied := make([]bool, n)
	for i := range applied {
		applied[i] = b[0] == outcomeWhole || bits[i/8]&(1<<(i%8)) != 0
	}
	if b[0] == outcomePart && string(appendOutcome(nil, applied)) != string(b) {
		return nil, bad
	}
	return applied, nil
}

// effects are the mutations that took effect, without their guards.
func effects(mutations []Mutation, applied []bool) []Mutation {
	var out []Mutation
	for i, m := range mutations {
		if i < len(applied) && applied[i] {
			m.Guard = nil
			out = append(out, m)
		}
	}
	return out
}
