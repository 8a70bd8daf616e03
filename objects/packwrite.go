package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/erasure"
	"github.com/tarnlake/tarn/objects/index"
)

// write makes a stripe of a bale and has the index name it.
func (p *packer) write(ctx context.Context, b *bale) error {
	b.blobs = slices.DeleteFunc(b.blobs, func(one baled) bool { return one.from.body == nil })
	if len(b.blobs) == 0 {
		return nil
	}
	hold := p.s.pins.hold()
	defer hold.end()
	st, err := p.durable(ctx, hold, b)
	if err != nil {
		return err
	}
	return p.name(ctx, b, &st)
}

// durable writes the shards of a stripe, and reads them back.
func (p *packer) durable(ctx context.Context, hold *hold, b *bale) (Stripe, error) {
	return p.s.layBale(ctx, hold, b, p.s.pool, drive.Stripe, func(st *Stripe, shards [][]byte) error {
		p.report.BytesWritten += int64(len(shards) * st.ShardBytes())
		return p.readBack(ctx, st, shards)
	})
}

// layBale writes all shards of a stripe of small blobs to extents of a class, and has them checked.
func (s *Store) layBale(ctx context.Context, hold *hold, b *bale, pool *erasure.Pool, class drive.Class, check func(st *Stripe, shards [][]byte) error) (Stripe, error) {
	k, m := s.o.DataShards, s.o.ParityShards
	size := slices.Max(b.shards)
	st := Stripe{Bytes: uint32(k * size), K: uint8(k), M: uint8(m)}
	if err := s.newID(&st.ID); err != nil {
		return st, err
	}
	buffer, err := pool.Get(ctx)
	if err != nil {
		return st, err
	}
	b.fill(buffer.Payload(k*size), size)
	shards := buffer.Shards(k * size)
	late := false
	if err = s.code.Encode(shards); err == nil {
		late, err = s.layAs(ctx, hold, class, &st, shards)
	}
	if err == nil && st.missing() > 0 {
		s.repairs.done(st.ID)
		err = fmt.Errorf("%w: a stripe would lack %d of its shards", ErrReadOnly, st.missing())
	}
	if err == nil && check != nil {
		err = check(&st, shards)
	}
	if late {
		buffer.Abandon()
	} else {
		buffer.Release()
	}
	return st, err
}

// readBack compares every shard with what was written, from the drive and not from
// memory where the machine allows it.
func (p *packer) readBack(ctx context.Context, st *Stripe, shards [][]byte) error {
	answers := make(chan error, len(shards))
	for i := range shards {
		go func() { answers <- p.s.readsBack(ctx, st, i, shards[i]) }()
	}
	var errs []error
	for range shards {
		errs = append(errs, <-answers)
	}
	return errors.Join(errs...)
}

func (s *Store) readsBack(ctx context.Context, st *Stripe, i int, want []byte) error {
	m := s.drives.find(st.Shards[i].Drive)
	if m == nil || m.Drive == nil {
		return fmt.Errorf("%w: drive %d went away", ErrUnavailable, st.Shards[i].Drive)
	}
	if e, ok := m.Drive.(evicter); ok {
		e.Evict(st.Shards[i].Address, len(want))
	}
	p, err := s.readShard(ctx, m, st, i)
	if err == nil && !bytes.Equal(p, want) {
		err = fmt.Errorf("shard %d reads back from drive %d as something else", i, m.number)
	}
	shardReturn(p)
	return err
}

// name commits the stripe and the new places of its blobs, but for those that were
// replaced meanwhile.
func (p *packer) name(ctx context.Context, b *bale, st *Stripe) error {
	txn := index.Txn{Conditions: []index.Condition{{Kind: index.KeyExists, Key: BucketKey(p.bucket)}}}
	txn.Mutations = append(txn.Mutations, index.Mutation{
		Kind: index.Put, Key: stripeKey(p.bucket, st.ID),
		Value: encodeStripeRecord(*st, stripeRecord{b.payload, int64(len(b.blobs))}),
	})
	for i := range b.blobs {
		one := &b.blobs[i]
		value, err := one.value(st)
		if err != nil {
			return fmt.Errorf("value of key %q: %w", one.from.key, err)
		}
		txn.Mutations = append(txn.Mutations, index.Mutation{
			Kind: index.Put, Key: one.from.key, Value: value, Moved: true,
			Guard: &index.Condition{Kind: index.KeyVersion, Key: one.from.key, Version: one.from.version},
		})
	}
	res, err := p.s.upkeep(ctx, txn)
	var failed *index.ConditionError
	if errors.As(err, &failed) {
		return nil // the bucket is gone, and all in it
	}
	if err != nil {
		return fmt.Errorf("name stripe %x: %w", st.ID, err)
	}
	p.count(b, res.Applied[1:])
	return nil
}

func (p *packer) count(b *bale, applied []bool) {
	p.report.Stripes++
	for i, ok := range applied {
		if !ok {
			p.report.Overtaken++
			continue
		}
		p.report.Blobs++
		p.report.Bytes += b.blobs[i].from.bytes
	}
}

// upkeep commits a transaction of the store's own, and learns its fate.
func (s *Store) upkeep(ctx context.Context, txn index.Txn) (res index.Result, err error) {
	if _, err := io.ReadFull(s.host.Entropy, txn.RequestID[:]); err != nil {
		return index.Result{}, fmt.Errorf("draw a request id: %w", err)
	}
	err = s.pins.naming(txn.Mutations, func() error {
		res, err = s.idx.Commit(ctx, txn)
		for range swapTries {
			if !errors.Is(err, index.ErrUnknown) || ctx.Err() != nil {
				break
			}
			res, err = s.idx.Commit(ctx, txn)
		}
		return err
	})
	return res, err
}
