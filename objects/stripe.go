package objects

import (
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
)

// Limits of a stripe's shape.
const (
	ShardBytesMax = 1 << 20 // of one data shard of a stripe
	ShardsMax     = 64      // k+m
)

// Shard is where one shard of a stripe lies. A zero Address: it was not
// written, and is to be repaired.
type Shard struct {
	Drive   uint16
	Address drive.Address
}

// Stripe is a piece of a blob whose K+M shards lie on as many drives: any K of
// them give it back. With K = 1 every shard is a whole copy. Otherwise shard
// i < K holds the bytes from i × ShardBytes() on, padded with zeros to that length.
type Stripe struct {
	ID     [16]byte
	Bytes  uint32 // of the payload
	K, M   uint8
	Shards []Shard // K+M of them
}

// ShardBytes is the length of every shard.
func (s *Stripe) ShardBytes() int {
	return (int(s.Bytes) + int(s.K) - 1) / int(s.K)
}

func (s *Stripe) identity(shard int) drive.Identity {
	return drive.Identity{Stripe: s.ID, Shard: uint8(shard)}
}

// class is the kind of extent in which the shards lie.
func (s *Stripe) class() drive.Class {
	if s.K == 1 && s.Bytes <= SmallBytesMax {
		return drive.Small
	}
	return drive.Stripe
}

// missing counts the shards that were not written.
func (s *Stripe) missing() int {
	n := 0
	for _, sh := range s.Shards {
		if sh.Address.IsZero() {
			n++
		}
	}
	return n
}

func (s *Stripe) check() error {
	n := int(s.K) + int(s.M)
	switch {
	case s.K == 0 || n > ShardsMax:
		return fmt.Errorf("%d+%d shards, at most %d", s.K, s.M, ShardsMax)
	case len(s.Shards) != n:
		return fmt.Errorf("%d shards of %d+%d", len(s.Shards), s.K, s.M)
	case s.Bytes == 0 || s.ShardBytes() > ShardBytesMax:
		return fmt.Errorf("%d bytes in %d data shards of at most %d", s.Bytes, s.K, ShardBytesMax)
	}
	return nil
}

// Blob is durable bytes with a place but no name: inline, stripes end to end, or
// packed.
type Blob struct {
	Bytes   int64
	Inline  []byte // all of the bytes, where there are no stripes
	Stripes []Stripe
	Packed  *Packed // nil unless the blob shares a stripe with others
}

// Packed is where a small blob lies that shares a stripe with others: whole, in one
// data shard. The stripe itself stands in the index, under its id, so that moving
// a shard changes one entry and not those of a thousand blobs.
type Packed struct {
	Stripe [16]byte
	Shard  uint8
	Offset uint32 // in the shard
	CRC    uint32 // CRC-32C of the blob
	Hint   Shard  // where the shard lay when the blob was packed
}

func (p *Packed) check(bytes int64) error {
	switch {
	case bytes < 1 || bytes > SmallBytesMax:
		return fmt.Errorf("%d bytes packed, 1 to %d can be", bytes, SmallBytesMax)
	case p.Shard >= ShardsMax || int64(p.Offset)+bytes > ShardBytesMax:
		return fmt.Errorf("packed at byte %d of shard %d", p.Offset, p.Shard)
	}
	return nil
}

func (b *Blob) check() error {
	if b.Packed != nil {
		return b.Packed.check(b.Bytes)
	}
	if len(b.Stripes) == 0 {
		if int64(len(b.Inline)) != b.Bytes || b.Bytes > InlineBytesMax {
			return fmt.Errorf("%d of %d bytes inline, at most %d", len(b.Inline), b.Bytes, InlineBytesMax)
		}
		return nil
	}
	left := b.Bytes
	for i := range b.Stripes {
		if err := b.Stripes[i].check(); err != nil {
			return fmt.Errorf("stripe %d: %w", i, err)
		}
		left -= int64(b.Stripes[i].Bytes)
	}
	if left != 0 || len(b.Inline) != 0 {
		return fmt.Errorf("stripes and inline bytes do not sum up to %d bytes", b.Bytes)
	}
	return nil
}
