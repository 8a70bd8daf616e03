package durability

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Loss is an acknowledged stripe of which fewer than k shards could be read. It
// stands in the ledger until its bytes are proved to be back, or their user deleted
// or replaced them.
type Loss struct {
	Stripe [16]byte
	Owner  []byte // key of the index value that names it
	Bytes  uint64 // of users, in the stripe
	Since  time.Time
	Good   int // shards that could be read
	Needed int
	Cause  string
}

const (
	lossVersion  = 1
	lossFixed    = 1 + 16 + 8 + 8 + 1 + 1
	lossCauseMax = 512
	lossOwnerMax = 8 << 10
)

// Encode writes a loss, version 1, little endian:
//
//	 0   1  version     17  8  bytes                              33  1  good shards
//	 1  16  stripe      25  8  since, nanoseconds since 1970      34  1  shards needed
//	35   …  owner, then cause: each its length as a uvarint, and its bytes
func (l *Loss) Encode() []byte {
	b := append([]byte{lossVersion}, l.Stripe[:]...)
	b = binary.LittleEndian.AppendUint64(b, l.Bytes)
	b = binary.LittleEndian.AppendUint64(b, uint64(l.Since.UnixNano()))
	b = append(b, byte(l.Good), byte(l.Needed))
	for _, text := range [][]byte{l.Owner, []byte(l.Cause[:min(len(l.Cause), lossCauseMax)])} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// DecodeLoss undoes Encode.
func DecodeLoss(b []byte) (Loss, error) {
	bad := fmt.Errorf("%w: a loss of %d bytes", ErrEncoding, len(b))
	if len(b) < lossFixed || b[0] != lossVersion {
		return Loss{}, bad
	}
	l := Loss{
		Bytes: binary.LittleEndian.Uint64(b[17:]), Since: time.Unix(0, int64(binary.LittleEndian.Uint64(b[25:]))).UTC(),
		Good: int(b[33]), Needed: int(b[34]),
	}
	copy(l.Stripe[:], b[1:])
	r := reader{b: b[lossFixed:]}
	l.Owner = r.text(lossOwnerMax)
	l.Cause = string(r.text(lossCauseMax))
	if r.bad || len(r.b) > 0 {
		return Loss{}, bad
	}
	return l, nil
}

func (r *reader) text(most uint64) []byte {
	n := r.uvarint()
	if n > most {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}
