package drive

import "fmt"

// SectorBytes is the unit in which records are placed: a torn write never
// reaches into a neighbour that was acknowledged before.
const SectorBytes = 512

// ID names a drive for ever. It is made when the drive is formatted.
type ID [16]byte

func (id ID) String() string { return fmt.Sprintf("%x", id[:]) }

// Class says which kind of extent a record goes to. Extents of different
// classes are written, zeroed and reclaimed differently.
type Class uint8

// The classes.
const (
	Journal Class = 1 + iota // the index's log
	Small                    // whole small blobs
	Stripe                   // shards of stripes
	Joint                    // shards of stripes that small blobs share from the start
)

// Blobs reports whether records of the class are bytes that an index names.
func (c Class) Blobs() bool { return c == Small || c == Stripe || c == Joint }

func (c Class) String() string {
	switch c {
	case Journal:
		return "journal"
	case Small:
		return "small"
	case Stripe:
		return "stripe"
	case Joint:
		return "joint"
	}
	return fmt.Sprintf("class %d", uint8(c))
}

// Identity says what a record is, so that a reader which was led to a wrong or
// recycled place notices. For a shard: the stripe's id and the shard's number.
// For the journal: the epoch's id and 0.
type Identity struct {
	Stripe [16]byte
	Shard  uint8
}

// Address is a record's place on one drive. It is a comparable value; the zero
// Address is no place (extents are numbered from 1).
type Address struct {
	Extent     uint32
	Generation uint32 // of the extent; a recycled extent has a higher one
	Sector     uint32 // offset in the extent's file, in SectorBytes
}

// IsZero reports whether a is no place at all.
func (a Address) IsZero() bool { return a.Extent == 0 }

func (a Address) String() string {
	return fmt.Sprintf("%d.%d+%d", a.Extent, a.Generation, int64(a.Sector)*SectorBytes)
}

// Record is one unit of writing: its payload is checksummed in pieces of 64 KiB.
type Record struct {
	Identity Identity
	Payload  []byte // 1 byte to PayloadBytesMax; must not change until Append returned
}
