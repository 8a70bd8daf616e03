package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Cursor is how far the audit of one drive has come. The zero Cursor: it was never
// audited.
type Cursor struct {
	Drive     [16]byte  // whose it is; another drive in its place begins anew
	Began     time.Time // of the pass under way; zero where none is
	Extent    uint32    // the present one
	Offset    int64     // in it, of what comes next
	Bytes     int64     // read in this pass
	Shards    int64     // verified in this pass
	Orphans   int64     // records met in this pass that nobody names and nobody will
	Passes    uint64    // that came to their end
	LastBegan time.Time // of the last of them
	LastEnded time.Time
	LastBytes int64
}

const (
	cursorVersion = 1
	cursorBytes   = 1 + 16 + 4 + 9*8
)

// ErrCursor: bytes that are no cursor.
var ErrCursor = errors.New("audit: malformed cursor")

// Encode appends the cursor, version 1, little endian; times are nanoseconds since
// 1970, 0 for none:
//
//	 0   1  version       29  8  offset       53  8  orphans           77  8  last ended
//	 1  16  drive         37  8  bytes        61  8  passes            85  8  last bytes
//	17   4  extent        45  8  shards       69  8  last began
//	21   8  began
func (c Cursor) Encode(b []byte) []byte {
	b = append(b, cursorVersion)
	b = append(b, c.Drive[:]...)
	b = binary.LittleEndian.AppendUint32(b, c.Extent)
	for _, v := range []uint64{
		nanos(c.Began), uint64(c.Offset), uint64(c.Bytes), uint64(c.Shards), uint64(c.Orphans),
		c.Passes, nanos(c.LastBegan), nanos(c.LastEnded), uint64(c.LastBytes),
	} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

func instant(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(v)).UTC()
}

// DecodeCursor undoes Encode.
func DecodeCursor(b []byte) (Cursor, error) {
	if len(b) != cursorBytes || b[0] != cursorVersion {
		return Cursor{}, fmt.Errorf("%w: %d bytes", ErrCursor, len(b))
	}
	var v [9]uint64
	for i := range v {
		v[i] = binary.LittleEndian.Uint64(b[21+8*i:])
	}
	c := Cursor{
		Extent: binary.LittleEndian.Uint32(b[17:]),
		Began:  instant(v[0]), Offset: int64(v[1]), Bytes: int64(v[2]), Shards: int64(v[3]), Orphans: int64(v[4]),
		Passes: v[5], LastBegan: instant(v[6]), LastEnded: instant(v[7]), LastBytes: int64(v[8]),
	}
	copy(c.Drive[:], b[1:])
	if c.Offset < 0 || c.Bytes < 0 || c.Shards < 0 || c.Orphans < 0 || c.LastBytes < 0 {
		return Cursor{}, fmt.Errorf("%w: a negative count", ErrCursor)
	}
	return c, nil
}

// Ages of a drive's bytes since they were last read and verified, as far as the
// cursor tells: the half of them are younger than half, none is older than oldest.
// Bytes that no pass has reached yet count from since, when the drive was taken in.
// total is what the drive holds.
func (c Cursor) Ages(now, since time.Time, total int64) (half, oldest time.Duration) {
	fresh := 0.0 // part of the bytes that the present pass has read
	if !c.Began.IsZero() && total > 0 {
		fresh = min(1, float64(c.Bytes)/float64(total))
	}
	at := func(part float64) time.Duration { // age at a place in the order of reading
		if part < fresh {
			return now.Sub(between(c.Began, now, part/fresh))
		}
		if c.LastEnded.IsZero() {
			return now.Sub(since)
		}
		return now.Sub(between(c.LastBegan, c.LastEnded, part))
	}
	oldest = max(at(0), at(fresh))
	return median(at, fresh), max(oldest, 0)
}

func between(a, b time.Time, part float64) time.Time {
	return a.Add(time.Duration(part * float64(b.Sub(a))))
}

// median of the ages over the places, which fall from 0 to fresh and from fresh to 1.
func median(at func(float64) time.Duration, fresh float64) time.Duration {
	lo, hi := time.Duration(0), max(at(0), at(fresh), 0)
	younger := func(age time.Duration) float64 { // part of the bytes
		return tail(at, 0, fresh, age) + tail(at, fresh, 1, age)
	}
	for range 40 {
		mid := lo + (hi-lo)/2
		if younger(mid) >= 0.5 {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// tail is how much of [from, to), where ages fall evenly, is not older than age.
func tail(at func(float64) time.Duration, from, to float64, age time.Duration) float64 {
	if to <= from {
		return 0
	}
	first, last := at(from), at(to-(to-from)*1e-9)
	switch {
	case first <= age:
		return to - from
	case last > age:
		return 0
	}
	return (to - from) * float64(age-last) / float64(first-last)
}
