package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Encoded transaction, little endian. A transaction has exactly one encoding:
// reserved bytes are zero, and nothing follows the checksum. Version 2 is that of
// a transaction with a mutation that is Moved, version 1 that of all others.
//
//	 0   1  version
//	 1   1  zero
//	 2   2  conditions
//	 4   2  mutations
//	 6   2  zero
//	 8   8  proposer's clock, nanoseconds since 1970
//	16  16  request id; zero for none
//	32   …  conditions, then mutations
//	 …   4  CRC-32C of all before
//
// A condition:                             A mutation:
//
//	 0  1  kind                              0  1  kind
//	 1  2  key bytes k                       1  1  flags: 1 a guard follows · 2 Moved
//	 3  2  end bytes e; RangeEmpty only      2  2  key bytes k
//	 5  8  version; KeyVersion only          4  2  end bytes e; DeleteRange only
//	13  k  key                               6  4  value bytes v; Put only
//	 …  e  end                              10  k  key, then e end, then v value,
//	                                         …     then the guard, as a condition
const (
	txnVersion      = 1
	txnVersionMoved = 2
	txnHeaderBytes  = 32
	conditionBytes  = 13
	mutationBytes   = 10
	txnTrailerBytes = 4
	hasGuard        = 1
	isMoved         = 2

	// EncodedBytesMax bounds one encoded transaction.
	EncodedBytesMax = EntryBytesMax + txnHeaderBytes + conditionsMax*(conditionBytes+mutationBytes) + txnTrailerBytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrEncoding: bytes that are no encoded transaction.
var ErrEncoding = errors.New("index: malformed encoded transaction")

// Proposal is a transaction as it travels in a log: with the clock of whoever
// proposed it, so that applying it depends on nothing else.
type Proposal struct {
	Txn
	Proposed time.Time
}

// Encode checks the transaction's limits and appends its encoding to b.
func (p Proposal) Encode(b []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	start := len(b)
	b = append(b, p.version(), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(p.Conditions)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(p.Mutations)))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Proposed.UnixNano()))
	b = append(b, p.RequestID[:]...)
	for i := range p.Conditions {
		b = appendCondition(b, &p.Conditions[i])
	}
	for i := range p.Mutations {
		b = appendMutation(b, &p.Mutations[i])
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

func (t *Txn) version() byte {
	for i := range t.Mutations {
		if t.Mutations[i].Moved {
			return txnVersionMoved
		}
	}
	return txnVersion
}

func appendCondition(b []byte, c *Condition) []byte {
	b = append(b, byte(c.Kind))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(c.Key)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(c.End)))
	b = binary.LittleEndian.AppendUint64(b, c.Version)
	b = append(b, c.Key...)
	return append(b, c.End...)
}

func appendMutation(b []byte, m *Mutation) []byte {
	b = append(b, byte(m.Kind), m.flags())
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.Key)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.End)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Value)))
	b = append(b, m.Key...)
	b = append(b, m.End...)
	b = append(b, m.Value...)
	if m.Guard != nil {
		b = appendCondition(b, m.Guard)
	}
	return b
}

func (m *Mutation) flags() (f byte) {
	if m.Guard != nil {
		f |= hasGuard
	}
	if m.Moved {
		f |= isMoved
	}
	return f
}

// DecodeProposal reads an encoded transaction. The result shares b's memory.
func DecodeProposal(b []byte) (Proposal, error) {
	var p Proposal
	if len(b) < txnHeaderBytes+txnTrailerBytes || len(b) > EncodedBytesMax {
		return p, fmt.Errorf("%w: %d bytes", ErrEncoding, len(b))
	}
	body := b[:len(b)-txnTrailerBytes]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return p, fmt.Errorf("%w: checksum", ErrEncoding)
	}
	if body[0] != txnVersion && body[0] != txnVersionMoved {
		return p, fmt.Errorf("%w: version %d, this knows %d and %d", ErrEncoding, body[0], txnVersion, txnVersionMoved)
	}
	d := decoder{rest: body[txnHeaderBytes:]}
	conditions := int(binary.LittleEndian.Uint16(body[2:]))
	mutations := int(binary.LittleEndian.Uint16(body[4:]))
	if body[1] != 0 || body[6] != 0 || body[7] != 0 || conditions+mutations > conditionsMax {
		return p, fmt.Errorf("%w: header", ErrEncoding)
	}
	p.Proposed = time.Unix(0, int64(binary.LittleEndian.Uint64(body[8:])))
	copy(p.RequestID[:], body[16:])
	p.Conditions = d.conditions(conditions)
	p.Mutations = d.mutations(mutations)
	if d.bad || len(d.rest) != 0 || p.version() != body[0] {
		return Proposal{}, fmt.Errorf("%w: body", ErrEncoding)
	}
	if err := p.check(); err != nil {
		return Proposal{}, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return p, nil
}

// decoder takes pieces off the front; once one was missing, all are empty.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if n == 0 {
		return nil
	}
	if d.bad || n > len(d.rest) {
		d.bad = true
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) conditions(n int) []Condition {
	if n == 0 || n*conditionBytes > len(d.rest) {
		d.bad = d.bad || n > 0
		return nil
	}
	cs := make([]Condition, n)
	for i := range cs {
		d.condition(&cs[i])
	}
	return cs
}

func (d *decoder) condition(c *Condition) {
	h := d.take(conditionBytes)
	if d.bad {
		return
	}
	c.Kind = ConditionKind(h[0])
	c.Version = binary.LittleEndian.Uint64(h[5:])
	c.Key = d.take(int(binary.LittleEndian.Uint16(h[1:])))
	c.End = d.take(int(binary.LittleEndian.Uint16(h[3:])))
}

func (d *decoder) mutations(n int) []Mutation {
	if n == 0 || n*mutationBytes > len(d.rest) {
		d.bad = d.bad || n > 0
		return nil
	}
	ms := make([]Mutation, n)
	for i := range ms {
		d.mutation(&ms[i])
	}
	return ms
}

func (d *decoder) mutation(m *Mutation) {
	h := d.take(mutationBytes)
	if d.bad {
		return
	}
	m.Kind = MutationKind(h[0])
	m.Key = d.take(int(binary.LittleEndian.Uint16(h[2:])))
	m.End = d.take(int(binary.LittleEndian.Uint16(h[4:])))
	value := binary.LittleEndian.Uint32(h[6:])
	if value > EntryBytesMax {
		d.bad = true
		return
	}
	m.Value = d.take(int(value))
	if h[1]&^(hasGuard|isMoved) != 0 {
		d.bad = true
		return
	}
	m.Moved = h[1]&isMoved != 0
	if h[1]&hasGuard != 0 {
		m.Guard = new(Condition)
		d.condition(m.Guard)
	}
}
