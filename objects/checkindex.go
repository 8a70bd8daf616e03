package objects

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// compare looks at what the index names with what was found of the drives: which
// stripes are whole, which can be rebuilt, which are lost; and at the index itself.
func (c *checking) compare(ctx context.Context) error {
	i := comparing{c: c, out: &c.report.Index, packed: map[[16]byte][]byte{}}
	record := c.s.roots.get()
	if named, err := c.s.checkpoint(ctx, &record); err != nil {
		i.out.problem("the index's checkpoint: %v", err)
	} else {
		i.blobs(nil, named.blobs())
	}
	for item, err := range c.s.idx.Scan(ctx, nil, nil, index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("scan the index: %w", err)
		}
		i.value(item)
	}
	i.dangling()
	return nil
}

// comparing is a look at the whole index.
type comparing struct {
	c      *checking
	out    *IndexCheck
	bucket []byte
	packed map[[16]byte][]byte // stripes that blobs of the bucket lie in, and a key of such a blob; until their entries are met
}

func (i *comparing) value(item index.Item) {
	i.out.Values++
	bucket, k, _, _ := parseOwned(item.Key)
	if !bytes.Equal(bucket, i.bucket) {
		i.dangling()
		i.bucket = bytes.Clone(bucket)
	}
	if k == KindStripe {
		st, _, err := decodeStripeRecord(item.Value)
		if err != nil {
			i.undecodable(item.Key, err)
			return
		}
		delete(i.packed, st.ID)
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil {
		i.undecodable(item.Key, err)
		return
	}
	i.blobs(item.Key, blobs)
}

func (i *comparing) undecodable(key []byte, err error) {
	i.out.Undecodable++
	i.out.problem("value of %q: %v", key, err)
}

// dangling counts packed blobs of the bucket that ends, of which no stripe is named.
func (i *comparing) dangling() {
	for id, key := range i.packed {
		i.out.Dangling++
		i.out.problem("%q lies in stripe %x, which nothing names", key, id)
	}
	clear(i.packed)
}

func (i *comparing) blobs(key []byte, blobs []Blob) {
	for n := range blobs {
		if p := blobs[n].Packed; p != nil && i.packed[p.Stripe] == nil {
			i.packed[p.Stripe] = bytes.Clone(key)
		}
		for j := range blobs[n].Stripes {
			i.stripe(key, &blobs[n].Stripes[j])
		}
	}
}

func (i *comparing) stripe(key []byte, st *Stripe) {
	i.out.Stripes++
	good := 0
	for k, sh := range st.Shards {
		m := i.c.s.drives.find(sh.Drive)
		if !sh.Address.IsZero() && m != nil && m.Drive != nil && !i.c.bad[shardID{st.ID, uint8(k)}] {
			good++
		}
	}
	switch {
	case good < int(st.K):
		i.out.Lost++
		i.out.problem("stripe %x, named by %q: %d of its shards are good, %d are needed", st.ID, key, good, st.K)
	case good < len(st.Shards):
		i.out.Degraded++
	}
}
