package objects

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// liveness is what the index names, as of one moment.
type liveness struct {
	extents map[place]int64   // bytes of living records, as they lie on the drive
	dead    []deadStripe      // shared stripes of which no blob is alive
	sparse  map[[16]byte]bool // those of which few are
	small   int64             // bytes of blobs in whole copies
	shared  int64             // of packed blobs

	bucket []byte             // being looked at
	packed map[[16]byte]int64 // bytes of its packed blobs that are alive, by stripe
}

// deadStripe is the entry of a shared stripe that nobody refers to. Nobody ever
// will: only the transaction that makes the entry, and those that replace a value
// which refers to it, refer to a stripe.
type deadStripe struct {
	key     []byte
	version uint64
	stripe  Stripe
}

// What is alive of a shared stripe or an extent, in percent, where the living are
// copied out of it. Emptying extents at half would write more than it gives back
// where whole extents die by themselves: with everything overwritten, 7.9 bytes
// were written for each that was put, and 6.4 without (23 November 2026).
const (
	sparseShare  = 50 // of a stripe
	sparseExtent = 33
)

// liveness scans the index and the roots. Any value that does not decode is an
// error, for what it names is not known.
func (s *Store) liveness(ctx context.Context) (*liveness, error) {
	l := &liveness{extents: map[place]int64{}, sparse: map[[16]byte]bool{}, packed: map[[16]byte]int64{}}
	record := s.roots.get()
	named, err := s.checkpoint(ctx, &record)
	if err != nil {
		return nil, err
	}
	l.count(named.blobs())
	for item, err := range s.idx.Scan(ctx, nil, nil, index.ScanOptions{}) {
		if err == nil {
			err = l.value(item)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// value counts one value. Those of a bucket come one after the other, and its
// shared stripes behind all values that may refer to them.
func (l *liveness) value(item index.Item) error {
	bucket, k, _, _ := parseOwned(item.Key)
	if !bytes.Equal(bucket, l.bucket) {
		l.bucket = bytes.Clone(bucket)
		clear(l.packed)
	}
	if k == KindStripe {
		return l.stripe(item)
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil {
		return fmt.Errorf("value of key %q: %w", item.Key, err)
	}
	l.count(blobs)
	return nil
}

func (l *liveness) count(blobs []Blob) {
	for i := range blobs {
		b := &blobs[i]
		if b.Packed != nil {
			l.packed[b.Packed.Stripe] += b.Bytes
			l.shared += b.Bytes
		} else if isSmall(b) {
			l.small += b.Bytes
		}
		for j := range b.Stripes {
			l.add(&b.Stripes[j])
		}
	}
}

func (l *liveness) add(st *Stripe) {
	size := drive.RecordBytes(st.ShardBytes())
	for _, at := range st.places() {
		l.extents[at] += size
	}
}

// stripe counts a shared stripe.
func (l *liveness) stripe(item index.Item) error {
	st, record, err := decodeStripeRecord(item.Value)
	if err != nil {
		return fmt.Errorf("value of key %q: %w", item.Key, err)
	}
	alive := l.packed[st.ID]
	if alive == 0 {
		l.dead = append(l.dead, deadStripe{bytes.Clone(item.Key), item.Version, st})
		return nil
	}
	if alive*100 < record.bytes*sparseShare {
		l.sparse[st.ID] = true
	}
	l.add(&st)
	return nil
}

// forgetStripes deletes the entries of dead shared stripes. One that was changed
// meanwhile, by repair, stays for now, and counts as alive.
func (s *Store) forgetStripes(ctx context.Context, l *liveness) error {
	for len(l.dead) > 0 {
		batch := l.dead[:min(len(l.dead), swapsTogether)]
		var txn index.Txn
		for i := range batch {
			txn.Mutations = append(txn.Mutations, index.Mutation{
				Kind: index.Delete, Key: batch[i].key,
				Guard: &index.Condition{Kind: index.KeyVersion, Key: batch[i].key, Version: batch[i].version},
			})
		}
		res, err := s.upkeep(ctx, txn)
		if err != nil {
			return fmt.Errorf("forget %d stripes: %w", len(batch), err)
		}
		for i, gone := range res.Applied {
			if !gone {
				l.add(&batch[i].stripe)
			}
		}
		l.dead = l.dead[len(batch):]
	}
	return nil
}
