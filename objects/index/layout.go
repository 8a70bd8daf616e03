package index

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Keys of the view, format 1. The first byte names the section; numbers in keys
// are big endian, so that they sort.
//
//	'k' user key              → 8 version LE, value
//	'o' 8 sequence            → outcome, where it is not "every mutation applied"
//	'q' 16 request id         → remembered result (see requests.go)
//	'r' 8 time 8 sequence     → 16 request id: the remembered, oldest first
//	's'                       → state
//
// State, little endian. It is written with every batch, so that it tells what
// the view holds; a view without it was never finished.
//
//	 0   4  format
//	 4  16  identity of the store
//	20   8  applied: sequence of the last entry in the view
//	28   8  known after: outcomes are kept for every later entry
//	36   8  log time: the latest clock of any proposer, nanoseconds since 1970
//	44   8  swept: the log time's second at which requests were last forgotten
//	52   8  requests remembered
const (
	viewFormat    = 1
	stateBytes    = 60
	versionBytes  = 8
	sectionKey    = 'k'
	sectionOutput = 'o'
	sectionByID   = 'q'
	sectionByTime = 'r'
	sectionState  = 's'
)

var stateKey = []byte{sectionState}

type state struct {
	identity   [16]byte
	applied    uint64
	knownAfter uint64
	logTime    int64
	swept      int64
	requests   uint64
}

func (s *state) encode() []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, stateBytes), viewFormat)
	b = append(b, s.identity[:]...)
	for _, v := range []uint64{s.applied, s.knownAfter, uint64(s.logTime), uint64(s.swept), s.requests} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func decodeState(b []byte) (state, error) {
	var s state
	if len(b) != stateBytes {
		return s, fmt.Errorf("state of %d bytes, want %d", len(b), stateBytes)
	}
	if f := binary.LittleEndian.Uint32(b); f != viewFormat {
		return s, fmt.Errorf("format %d, this is format %d", f, viewFormat)
	}
	copy(s.identity[:], b[4:])
	s.applied = binary.LittleEndian.Uint64(b[20:])
	s.knownAfter = binary.LittleEndian.Uint64(b[28:])
	s.logTime = int64(binary.LittleEndian.Uint64(b[36:]))
	s.swept = int64(binary.LittleEndian.Uint64(b[44:]))
	s.requests = binary.LittleEndian.Uint64(b[52:])
	return s, nil
}

func viewKey(key []byte) []byte {
	return append(append(make([]byte, 0, 1+len(key)), sectionKey), key...)
}

// viewEnd is the exclusive bound for an end in user keys; empty is the last.
func viewEnd(end []byte) []byte {
	if len(end) == 0 {
		return []byte{sectionKey + 1}
	}
	return viewKey(end)
}

func outcomeKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{sectionOutput}, sequence)
}

func requestKey(id RequestID) []byte {
	return append([]byte{sectionByID}, id[:]...)
}

// requestTimeKey: times before 1970 do not occur; the log time starts there.
func requestTimeKey(at int64, sequence uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{sectionByTime}, uint64(at))
	return binary.BigEndian.AppendUint64(b, sequence)
}

func second(nanoseconds int64) int64 { return nanoseconds / int64(time.Second) }
