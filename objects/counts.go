package objects

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index"
)

// counts are what the values of the index name, summed up.
type counts struct {
	extents map[place]int64          // bytes of living records, as they lie on the drive
	stripes map[[16]byte]sharedCount // shared stripes
	small   int64                    // bytes of blobs in whole copies
	shared  int64                    // of packed blobs
	hidden  int64                    // values that do not decode: what they name is not known
	example error                    // of such a one
}

// sharedCount is one shared stripe.
type sharedCount struct {
	alive  int64  // bytes of blobs that are said to lie there
	bytes  int64  // that were packed into it
	bucket string // of its entry; "": it has none
}

func newCounts() *counts {
	return &counts{extents: map[place]int64{}, stripes: map[[16]byte]sharedCount{}}
}

// put counts a value, take takes it off again.
func (c *counts) put(item index.Item)  { c.value(item, 1) }
func (c *counts) take(item index.Item) { c.value(item, -1) }

func (c *counts) value(item index.Item, sign int64) {
	bucket, k, _, _ := parseOwned(item.Key)
	blobs, _, err := DecodeValue(item.Value)
	var record stripeRecord
	if err == nil && k == KindStripe {
		_, record, err = decodeStripeRecord(item.Value)
	}
	if err != nil {
		c.hidden += sign
		c.example = fmt.Errorf("value of key %q: %w", item.Key, err)
		return
	}
	if k == KindStripe {
		c.entry(blobs[0].Stripes[0].ID, record.bytes, string(bucket), sign)
	}
	c.blobs(blobs, sign)
}

func (c *counts) entry(id [16]byte, bytes int64, bucket string, sign int64) {
	st := c.stripes[id]
	if st.bytes, st.bucket = bytes, bucket; sign < 0 {
		st.bytes, st.bucket = 0, ""
	}
	c.keep(id, st)
}

func (c *counts) keep(id [16]byte, st sharedCount) {
	if st == (sharedCount{}) {
		delete(c.stripes, id)
		return
	}
	c.stripes[id] = st
}

func (c *counts) blobs(blobs []Blob, sign int64) {
	for i := range blobs {
		b := &blobs[i]
		if b.Packed != nil {
			st := c.stripes[b.Packed.Stripe]
			st.alive += sign * b.Bytes
			c.keep(b.Packed.Stripe, st)
			c.shared += sign * b.Bytes
		} else if isSmall(b) {
			c.small += sign * b.Bytes
		}
		for j := range b.Stripes {
			c.stripe(&b.Stripes[j], sign)
		}
	}
}

func (c *counts) stripe(st *Stripe, sign int64) {
	size := sign * drive.RecordBytes(st.ShardBytes())
	for _, at := range st.places() {
		if n := c.extents[at] + size; n != 0 {
			c.extents[at] = n
		} else {
			delete(c.extents, at)
		}
	}
}

func (c *counts) equal(o *counts) bool {
	return c.small == o.small && c.shared == o.shared && c.hidden == o.hidden &&
		maps.Equal(c.extents, o.extents) && maps.Equal(c.stripes, o.stripes)
}

// readsIndex is a state of the index, pinned or the present one.
type readsIndex interface {
	Get(ctx context.Context, key []byte) (index.Item, error)
	Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error]
}

// countAll counts everything.
func countAll(ctx context.Context, from readsIndex) (*counts, error) {
	c := newCounts()
	for item, err := range from.Scan(ctx, nil, nil, index.ScanOptions{}) {
		if err != nil {
			return nil, err
		}
		c.put(item)
	}
	return c, nil
}
