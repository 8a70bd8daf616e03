package durability

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Day is what was measured on one day, in UTC. Days add up.
type Day struct {
	Number int64 // days since 1970

	BytesVerified  uint64 // read by audits, and whole
	ShardsVerified uint64
	Latent         uint64 // shards that were bad, or gone, before anybody asked for them
	ReadErrors     uint64 // shards of which a reader noticed it first
	Orphans        uint64 // records met that nobody names

	DriveSeconds    uint64 // that drives were there: the exposure
	DriveFailures   uint64 // drives that were lost or gave up
	DeviceSeconds   uint64
	DeviceFailures  uint64 // devices lost with all of several drives
	ServingSeconds  uint64 // that the store was open
	Repaired        uint64 // stripes that were made whole
	RepairedBytes   uint64
	RepairSeconds   uint64 // in all, from when the damage was found
	RepairMax       uint64 // seconds
	RepairTimes     [repairBuckets]uint64
	LostStripes     uint64 // that fell below k readable shards
	LostBytes       uint64
	ReturnedStripes uint64 // of them proved to be back
	ReturnedBytes   uint64
	DeletedStripes  uint64 // of them that users deleted or replaced
	DeletedBytes    uint64
}

// repairBuckets count repairs by the logarithm of their time: less than 1 s, 2 s, 4 s …
const repairBuckets = 24

// NumberOf is the number of the day that t lies in.
func NumberOf(t time.Time) int64 {
	const day = 24 * 60 * 60
	s := t.Unix()
	if s < 0 {
		return 0
	}
	return s / day
}

// Repair notes a stripe that was made whole, so long after the damage was found.
func (d *Day) Repair(took time.Duration, bytes int64) {
	seconds := uint64(max(took, 0) / time.Second)
	d.Repaired++
	d.RepairedBytes += uint64(bytes)
	d.RepairSeconds += seconds
	d.RepairMax = max(d.RepairMax, seconds)
	d.RepairTimes[min(bits.Len64(seconds), repairBuckets-1)]++
}

// Add adds another day's counts.
func (d *Day) Add(o *Day) {
	number, longest := d.Number, max(d.RepairMax, o.RepairMax)
	mine, others := d.fields(), o.fields()
	for i := range mine {
		*mine[i] += *others[i]
	}
	d.Number, d.RepairMax = number, longest
}

// RepairTime is the time within which that part of the repairs came, to within a
// factor of two, never less than it was.
func (d *Day) RepairTime(part float64) time.Duration {
	if d.Repaired == 0 {
		return 0
	}
	left := uint64(part * float64(d.Repaired))
	for i, n := range d.RepairTimes {
		if n > left || i == repairBuckets-1 {
			return min(time.Duration(1<<i), time.Duration(d.RepairMax)+1) * time.Second
		}
		left -= n
	}
	return 0
}

// fields in the order of their encoding. New ones are appended.
func (d *Day) fields() []*uint64 {
	all := []*uint64{
		&d.BytesVerified, &d.ShardsVerified, &d.Latent, &d.ReadErrors, &d.Orphans,
		&d.DriveSeconds, &d.DriveFailures, &d.DeviceSeconds, &d.DeviceFailures, &d.ServingSeconds,
		&d.Repaired, &d.RepairedBytes, &d.RepairSeconds, &d.RepairMax,
		&d.LostStripes, &d.LostBytes, &d.ReturnedStripes, &d.ReturnedBytes, &d.DeletedStripes, &d.DeletedBytes,
	}
	for i := range d.RepairTimes {
		all = append(all, &d.RepairTimes[i])
	}
	return all
}

const dayVersion = 1

// ErrEncoding: bytes that are no Day or Loss.
var ErrEncoding = errors.New("durability: malformed record")

// Encode writes a day, version 1; numbers are uvarints:
//
//	0  1  version
//	1  …  day's number; count of fields; the fields in the order of Day.fields
//
// A reader takes fields that are missing for 0 and passes over those that it does
// not know.
func (d *Day) Encode() []byte {
	b := []byte{dayVersion}
	b = binary.AppendUvarint(b, uint64(d.Number))
	all := d.fields()
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, v := range all {
		b = binary.AppendUvarint(b, *v)
	}
	return b
}

const fieldsMax = 1024

// DecodeDay undoes Encode.
func DecodeDay(b []byte) (Day, error) {
	r := reader{b: b}
	if r.byte() != dayVersion {
		return Day{}, fmt.Errorf("%w: a day of another version", ErrEncoding)
	}
	d := Day{Number: int64(r.uvarint() & (1<<40 - 1))}
	n := r.uvarint()
	all := d.fields()
	for i := range min(n, fieldsMax) {
		v := r.uvarint()
		if i < uint64(len(all)) {
			*all[i] = v
		}
	}
	if r.bad || len(r.b) > 0 || n > fieldsMax {
		return Day{}, fmt.Errorf("%w: a day of %d bytes", ErrEncoding, len(b))
	}
	return d, nil
}

// reader takes numbers off the front; once one was missing, all are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}
