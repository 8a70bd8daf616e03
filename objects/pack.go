package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects/index"
)

// PackReport says what a packing did.
type PackReport struct {
	Blobs        int64 // that lie in stripes now
	Bytes        int64 // of them
	Stripes      int64
	Overtaken    int64 // blobs that were replaced meanwhile: their bytes in the stripes are garbage
	BytesWritten int64
}

// Bounds of a packing.
const (
	packBlobsMax   = 900       // of one stripe: their swaps are one transaction
	packValuesMax  = 768 << 10 // bytes of their keys and values
	packShardLeast = 64 << 10  // of a data shard, unless Options.PackBytesMin says otherwise
	packPage       = 20_000    // values that are looked at before what was found is packed
	packReads      = 16        // blobs that are read at once
)

// Pack gathers the small blobs of objects into stripes, in which each lies whole
// in one data shard: those that were written since the last packing, or all where
// they are not known. A stripe holds blobs of one bucket.
//
//	whole copies ──► gathered ──► k+m shards synced, read back ──► one transaction: the stripe, and each
//	on m+1 drives                                                  blob's new place unless it was replaced
//
// It may be cut off anywhere: until its transaction a stripe is garbage, and after
// it the copies are. Without all of k+m drives nothing is packed, for a whole copy
// on m+1 drives is safer than a stripe that lacks a shard.
func (s *Store) Pack(ctx context.Context) (PackReport, error) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	p := &packer{s: s}
	err := p.run(ctx)
	s.tidy.packed(p.report)
	if err != nil {
		return p.report, fmt.Errorf("pack: %w", err)
	}
	return p.report, nil
}

// packer is one packing under way.
type packer struct {
	s      *Store
	report PackReport
	bucket string
	load   []packable // of the bucket, not yet packed
	bytes  int64      // of load
	urgent bool       // some of load lies in sparse stripes, which it shall leave
}

// packable is a small blob that shall share a stripe with others.
type packable struct {
	key     []byte
	value   []byte
	version uint64
	bytes   int64
	body    []byte // once it was read
}

func (p *packer) run(ctx context.Context) error {
	if !p.s.stripesWhole() {
		return nil
	}
	keys, all := p.s.tidy.backlog.take()
	err := p.known(ctx, keys)
	if err == nil && all {
		err = p.everything(ctx)
	}
	if err != nil {
		p.s.tidy.backlog.overflow() // what was taken is not known any more
	}
	return err
}

// stripesWhole: a stripe that is written now would have all of its shards.
func (s *Store) stripesWhole() bool {
	well, _ := s.drives.well(false)
	return well >= s.o.DataShards+s.o.ParityShards
}

// known packs the blobs of some keys, which are sorted.
func (p *packer) known(ctx context.Context, keys []string) error {
	for _, key := range keys {
		item, err := p.s.idx.Get(ctx, []byte(key))
		if errors.Is(err, index.ErrNotFound) {
			continue
		}
		if err == nil {
			err = p.add(ctx, item)
		}
		if err != nil {
			return err
		}
	}
	return p.finish(ctx)
}

// everything packs whatever small blobs the index names. Nothing stays pinned
// while a stripe is made.
func (p *packer) everything(ctx context.Context) error {
	from := []byte(ownedPrefix)
	for from != nil {
		page, next, err := p.page(ctx, from)
		if err != nil {
			return err
		}
		for _, item := range page {
			if err := p.add(ctx, item); err != nil {
				return err
			}
		}
		from = next
	}
	return p.finish(ctx)
}

// page looks at values from a key on. It returns where to go on, nil at the end.
func (p *packer) page(ctx context.Context, from []byte) (found []index.Item, next []byte, err error) {
	seen, size := 0, 0
	for item, err := range p.s.idx.Scan(ctx, from, PrefixEnd([]byte(ownedPrefix)), index.ScanOptions{}) {
		if err != nil {
			return nil, nil, err
		}
		if seen == packPage || size > packValuesMax {
			return found, bytes.Clone(item.Key), nil
		}
		if seen++; p.small(item) == nil {
			continue
		}
		found = append(found, index.Item{Key: bytes.Clone(item.Key), Value: bytes.Clone(item.Value), Version: item.Version})
		size += len(item.Key) + len(item.Value)
	}
	return found, nil, nil
}

// small is the blob of a value that is to be packed; nil where there is none.
func (p *packer) small(item index.Item) *Blob {
	_, k, _, ok := parseOwned(item.Key)
	if !ok || k != KindObject && k != KindPart {
		return nil
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil || len(blobs) != 1 {
		return nil
	}
	if b := &blobs[0]; p.s.packs(b) {
		return b
	}
	return nil
}

// packs tells whether a blob is to be packed: one of whole copies, or one in a
// stripe of which little is alive.
func (s *Store) packs(b *Blob) bool {
	if b.Packed != nil {
		return s.tidy.isSparse(b.Packed.Stripe)
	}
	return isSmall(b)
}

// isSmall: the blob lies in whole copies on m+1 drives.
func isSmall(b *Blob) bool {
	return len(b.Stripes) == 1 && b.Stripes[0].K == 1 && b.Bytes <= SmallBytesMax && b.Bytes <= ShardBytesMax
}

// add takes a value, whose memory it keeps, and packs what was gathered where
// that fills a stripe.
func (p *packer) add(ctx context.Context, item index.Item) error {
	b := p.small(item)
	if b == nil {
		return nil
	}
	bucket, _, _, _ := parseOwned(item.Key)
	if string(bucket) != p.bucket {
		if err := p.finish(ctx); err != nil {
			return err
		}
		p.bucket = string(bucket)
	}
	p.load = append(p.load, packable{key: item.Key, value: item.Value, version: item.Version, bytes: b.Bytes})
	p.bytes += b.Bytes
	p.urgent = p.urgent || b.Packed != nil
	if p.bytes < int64(p.s.o.DataShards*ShardBytesMax)+SmallBytesMax && len(p.load) <= packBlobsMax {
		return nil
	}
	return p.stripe(ctx)
}

// finish packs what a bucket still has, unless it is so little that it had better
// wait for more where it is.
func (p *packer) finish(ctx context.Context) error {
	for p.bytes >= p.s.o.PackBytesMin || p.urgent && p.bytes > 0 {
		if err := p.stripe(ctx); err != nil {
			return err
		}
	}
	for i := range p.load {
		p.s.tidy.backlog.again(string(p.load[i].key))
	}
	p.load, p.bytes, p.urgent = nil, 0, false
	return nil
}

// stripe packs a stripe of what was gathered.
func (p *packer) stripe(ctx context.Context) error {
	b := bale{shards: make([]int, p.s.o.DataShards)}
	n := 0
	for n < len(p.load) && b.add(&p.load[n]) {
		n++
	}
	p.load = slices.Clone(p.load[n:]) // what was taken must not stay in memory
	p.bytes = 0
	for i := range p.load {
		p.bytes += p.load[i].bytes
	}
	if err := p.s.pace.wait(ctx, b.payload); err != nil {
		return err
	}
	end, err := p.s.admit(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := p.read(ctx, &b); err != nil {
		return err
	}
	return p.write(ctx, &b)
}

// read gets the bytes of what was baled. What cannot be read now stays where it is.
func (p *packer) read(ctx context.Context, b *bale) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(packReads)
	for i := range b.blobs {
		group.Go(func() error {
			one := b.blobs[i].from
			blobs, _, err := DecodeValue(one.value)
			if err != nil {
				return err
			}
			body := make([]byte, one.bytes)
			if _, err := p.s.openBlob(blobs[0], one.key).ReadAt(groupCtx, body, 0); err == nil {
				one.body = body
			}
			return groupCtx.Err()
		})
	}
	return group.Wait()
}

// bale is a stripe being filled.
type bale struct {
	shards  []int // bytes in each data shard
	blobs   []baled
	values  int   // bytes of keys and values
	payload int64 // bytes of blobs
}

type baled struct {
	from          *packable
	shard, offset int
}

// add puts a blob into the emptiest shard; false where there is no room for it.
func (b *bale) add(one *packable) bool {
	emptiest := 0
	for i, n := range b.shards {
		if n < b.shards[emptiest] {
			emptiest = i
		}
	}
	at, size := b.shards[emptiest], 2*len(one.key)+len(one.value) // the guard has the key too
	full := at+int(one.bytes) > ShardBytesMax || len(b.blobs) == packBlobsMax || b.values+size > packValuesMax
	if full && len(b.blobs) > 0 {
		return false
	}
	b.blobs = append(b.blobs, baled{one, emptiest, at})
	b.shards[emptiest] += int(one.bytes)
	b.values += size
	b.payload += one.bytes
	return true
}

// fill lays the blobs into the data shards, each of size bytes.
func (b *bale) fill(payload []byte, size int) {
	clear(payload)
	for _, one := range b.blobs {
		copy(payload[one.shard*size+one.offset:], one.from.body)
	}
}

// value is the value that names a blob at its new place.
func (one *baled) value(st *Stripe) ([]byte, error) {
	blobs, payload, err := DecodeValue(one.from.value)
	if err != nil {
		return nil, err
	}
	blobs[0] = one.blob(st)
	return EncodeValue(blobs, payload), nil
}

// blob is where it lies.
func (one *baled) blob(st *Stripe) Blob {
	return Blob{Bytes: one.from.bytes, Packed: &Packed{
		Stripe: st.ID, Shard: uint8(one.shard), Offset: uint32(one.offset),
		CRC: crc32.Checksum(one.from.body, castagnoli), Hint: st.Shards[one.shard],
	}}
}
