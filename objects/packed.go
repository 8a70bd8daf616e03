package objects

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// errMisplaced: verified bytes of a stripe that are not those that were packed there.
var errMisplaced = errors.New("objects: the stripe does not hold the blob that was packed")

// packedRead reads one packed blob, whole: at its hint with one read of one drive,
// or else by the stripe's own entry.
type packedRead struct {
	s    *Store
	blob *Blob
	key  []byte // of the stripe's entry; nil: the bucket is not known
	from []byte // key of the value that names the blob
}

// fetchPacked gives the bytes [lo, hi) of a packed blob. owner is the key of the
// value that names it.
func (s *Store) fetchPacked(ctx context.Context, b *Blob, owner []byte, lo, hi int64) ([]part, error) {
	r := packedRead{s: s, blob: b, from: owner}
	if bucket, _, _, ok := parseOwned(owner); ok {
		r.key = stripeKey(string(bucket), b.Packed.Stripe)
	}
	p, hint := r.hinted(ctx)
	if hint != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var err error
		if p, err = r.lookedUp(ctx, hint); err != nil {
			return nil, fmt.Errorf("read packed blob: %w", errors.Join(err, hint))
		}
	}
	return []part{{data: p[lo:hi:hi]}}, nil
}

func (r *packedRead) verify(p []byte) error {
	if crc32.Checksum(p, castagnoli) != r.blob.Packed.CRC {
		return errMisplaced
	}
	return nil
}

// hinted reads where the blob was packed to. It waits no longer than HedgeDelay.
func (r *packedRead) hinted(ctx context.Context) ([]byte, error) {
	at := r.blob.Packed
	m := r.s.drives.find(at.Hint.Drive)
	if at.Hint.Address.IsZero() || m == nil || !m.readable() {
		return nil, fmt.Errorf("drive %d cannot be read", at.Hint.Drive)
	}
	c := r.s.begin(m)
	p, answer := make([]byte, r.blob.Bytes), make(chan error, 1)
	go func() {
		err := m.Read(ctx, at.Hint.Address, drive.Identity{Stripe: at.Stripe, Shard: at.Shard}, p, int64(at.Offset))
		c.ended()
		answer <- err
	}()
	late := make(chan struct{})
	stop := r.s.host.Clock.AfterFunc(r.s.o.HedgeDelay, func() { close(late) })
	defer stop()
	select {
	case err := <-answer:
		if err == nil {
			err = r.verify(p)
		}
		return p, err
	case <-late:
	case <-ctx.Done():
	}
	r.s.host.Clock.AfterFunc(r.s.overtime(), func() { c.giveUp() })
	return nil, fmt.Errorf("drive %d: %w", m.number, errLate)
}

// lookedUp reads by the stripe's entry, from other shards where the blob's own is
// the one that failed.
func (r *packedRead) lookedUp(ctx context.Context, hint error) ([]byte, error) {
	st, err := r.stripe(ctx)
	if err != nil {
		return nil, err
	}
	at, avoid := r.blob.Packed, -1
	if st.Shards[at.Shard] == at.Hint {
		avoid = int(at.Shard)
		r.blame(hint)
	} else {
		r.s.hints.note(r.from)
	}
	from := int(at.Shard)*st.ShardBytes() + int(at.Offset)
	parts, err := r.s.fetchWithout(ctx, &st, r.key, avoid, from, from+int(r.blob.Bytes))
	if err != nil {
		return nil, err
	}
	p := make([]byte, 0, r.blob.Bytes)
	for i := range parts {
		p = append(p, parts[i].data...)
		parts[i].release()
	}
	return p, r.verify(p)
}

// blame has a shard repaired that is not what it should be.
func (r *packedRead) blame(hint error) {
	at := r.blob.Packed
	if errors.Is(hint, drive.ErrCorrupt) || errors.Is(hint, drive.ErrGone) || errors.Is(hint, errMisplaced) {
		r.s.repairs.report(shardID{at.Stripe, at.Shard}, r.key)
		r.s.o.Events.shardBad(at.Stripe, int(at.Shard), at.Hint.Drive, hint)
	}
}

// stripe looks the blob's stripe up.
func (r *packedRead) stripe(ctx context.Context) (Stripe, error) {
	at := r.blob.Packed
	if r.key == nil {
		return Stripe{}, fmt.Errorf("%w: whose stripe %x is, is not known", ErrUnavailable, at.Stripe)
	}
	item, err := r.s.idx.Get(ctx, r.key)
	if errors.Is(err, index.ErrNotFound) {
		return Stripe{}, fmt.Errorf("%w: stripe %x was given up", ErrUnavailable, at.Stripe)
	}
	if err != nil {
		return Stripe{}, fmt.Errorf("look up stripe %x: %w", at.Stripe, err)
	}
	st, _, err := decodeStripeRecord(item.Value)
	if err != nil {
		return Stripe{}, fmt.Errorf("look up stripe %x: %w", at.Stripe, err)
	}
	if st.ID != at.Stripe || at.Shard >= st.K || int64(at.Offset)+r.blob.Bytes > int64(st.ShardBytes()) {
		return Stripe{}, fmt.Errorf("%w: stripe %x has no such blob", ErrCorruptIndexItem, at.Stripe)
	}
	return st, nil
}

// Stripe record, version 1; the stripe is the blob of the envelope, padding and all:
//
//	0  1  version
//	1  …  uvarint bytes of the blobs that were packed into it; uvarint their count
type stripeRecord struct{ bytes, blobs int64 }

const (
	stripeRecordVersion = 1
	packedBlobsMax      = 1 << 16 // of one stripe, as far as a decoder goes
)

func encodeStripeRecord(st Stripe, r stripeRecord) []byte {
	payload := appendUvarints([]byte{stripeRecordVersion}, r.bytes, r.blobs)
	return EncodeValue([]Blob{{Bytes: int64(st.Bytes), Stripes: []Stripe{st}}}, payload)
}

func decodeStripeRecord(value []byte) (Stripe, stripeRecord, error) {
	blobs, payload, err := DecodeValue(value)
	if err != nil {
		return Stripe{}, stripeRecord{}, err
	}
	if len(blobs) != 1 || len(blobs[0].Stripes) != 1 {
		return Stripe{}, stripeRecord{}, fmt.Errorf("%w: a shared stripe's entry has not one stripe", ErrCorruptIndexItem)
	}
	f := fields{b: payload}
	f.version("stripe", stripeRecordVersion)
	r := stripeRecord{bytes: int64(f.uvarint(ShardsMax * ShardBytesMax)), blobs: int64(f.uvarint(packedBlobsMax))}
	return blobs[0].Stripes[0], r, f.end("stripe")
}
