package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// State is what the drives' roots keep of the journal: which epoch is the
// newest, and what numbers were ever reserved.
type State struct {
	Epoch    uint64   // number of the newest epoch; 0: none yet
	ID       [16]byte // of the epoch; identity of its records
	Drives   []uint16 // that hold it, each everything
	Base     uint64   // entries through here were trimmed when the epoch began
	Start    uint64   // entries through here were copied to all its drives when it began
	Reserved uint64   // the highest number that an epoch may have been given
}

// A state's bytes, little endian, version 1:
//
//	 0  4  magic "TJST"          40  8  base
//	 4  4  version               48  8  start
//	 8  8  epoch's number        56  2  count of drives
//	16 16  epoch's id            58  2  zero
//	32  8  reserved              60  4  CRC-32C of [0,60) and [64,end)
//	                             64  …  count × 2 bytes: numbers of the drives
const (
	stateMagic       = "TJST"
	stateVersion     = 1
	stateHeaderBytes = 64
)

// ErrState: bytes that are no State.
var ErrState = errors.New("journal: malformed state")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode lays out the state.
func (s State) Encode() []byte {
	p := make([]byte, stateHeaderBytes, stateHeaderBytes+2*len(s.Drives))
	le := binary.LittleEndian
	copy(p, stateMagic)
	le.PutUint32(p[4:], stateVersion)
	le.PutUint64(p[8:], s.Epoch)
	copy(p[16:], s.ID[:])
	le.PutUint64(p[32:], s.Reserved)
	le.PutUint64(p[40:], s.Base)
	le.PutUint64(p[48:], s.Start)
	le.PutUint16(p[56:], uint16(len(s.Drives)))
	for _, d := range s.Drives {
		p = le.AppendUint16(p, d)
	}
	le.PutUint32(p[60:], stateSum(p))
	return p
}

func stateSum(p []byte) uint32 {
	return crc32.Update(crc32.Checksum(p[:60], castagnoli), castagnoli, p[stateHeaderBytes:])
}

// DecodeState reads what Encode laid out.
func DecodeState(p []byte) (State, error) {
	le := binary.LittleEndian
	if len(p) < stateHeaderBytes || string(p[:4]) != stateMagic {
		return State{}, fmt.Errorf("%w: no magic", ErrState)
	}
	if v := le.Uint32(p[4:]); v != stateVersion {
		return State{}, fmt.Errorf("%w: version %d, this program knows %d", ErrState, v, stateVersion)
	}
	if len(p) != stateHeaderBytes+2*int(le.Uint16(p[56:])) || stateSum(p) != le.Uint32(p[60:]) {
		return State{}, fmt.Errorf("%w: wrong length or checksum", ErrState)
	}
	s := State{Epoch: le.Uint64(p[8:]), ID: [16]byte(p[16:32]), Reserved: le.Uint64(p[32:]), Base: le.Uint64(p[40:]), Start: le.Uint64(p[48:])}
	for q := p[stateHeaderBytes:]; len(q) > 0; q = q[2:] {
		s.Drives = append(s.Drives, le.Uint16(q))
	}
	return s, nil
}

// resumable: nothing in the roots speaks against going on with the epoch.
func (s State) resumable(copies int) bool {
	return s.Reserved <= s.Epoch && len(s.Drives) == copies
}

// newest is what several drives' states say together: the highest epoch, and
// the highest number that any of them knows to be reserved.
func newest(states []State) (State, error) {
	var best State
	var reserved uint64
	for _, s := range states {
		if s.Epoch == best.Epoch && s.Epoch > 0 && (s.ID != best.ID || !slices.Equal(s.Drives, best.Drives)) {
			return State{}, fmt.Errorf("%w: epoch %d has two identities", ErrForked, s.Epoch)
		}
		reserved = max(reserved, s.Reserved, s.Epoch)
		if s.Epoch > best.Epoch {
			best = s
		}
	}
	best.Reserved = reserved
	return best, nil
}
