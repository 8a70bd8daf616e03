package objects

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/index"
)

func lossKey(stripe [16]byte) []byte {
	return append([]byte(lossPrefix), hex.EncodeToString(stripe[:])...)
}

// lose writes acknowledged stripes of which too few shards can be read into the
// ledger. One that is there already keeps its date.
func (s *Store) lose(ctx context.Context, all []durability.Loss) error {
	for len(all) > 0 {
		n := min(len(all), index.MutationsMax/2)
		var txn index.Txn
		for i := range all[:n] {
			key := lossKey(all[i].Stripe)
			txn.Mutations = append(txn.Mutations, index.Mutation{
				Kind: index.Put, Key: key, Value: EncodeValue(nil, all[i].Encode()),
				Guard: &index.Condition{Kind: index.KeyAbsent, Key: key},
			})
		}
		res, err := s.idx.Commit(ctx, txn)
		if err != nil {
			return fmt.Errorf("write %d losses into the ledger: %w", n, err)
		}
		for i := range all[:n] {
			if res.Applied[i] {
				s.measures.count(func(d *durability.Day) { d.LostStripes++; d.LostBytes += all[i].Bytes })
				s.host.Log.Error("fewer than k shards of an acknowledged stripe can be read", "stripe", fmt.Sprintf("%x", all[i].Stripe),
					"key", string(all[i].Owner), "bytes", all[i].Bytes, "good", all[i].Good, "needed", all[i].Needed)
			}
		}
		all = all[n:]
	}
	return nil
}

// Losses lists up to most open entries of the ledger, and sums up all of them.
func (s *Store) Losses(ctx context.Context, most int) (list []durability.Loss, stripes, bytes uint64, err error) {
	err = s.eachLoss(ctx, func(l durability.Loss) error {
		stripes, bytes = stripes+1, bytes+l.Bytes
		if len(list) < most {
			list = append(list, l)
		}
		return nil
	})
	return list, stripes, bytes, err
}

func (s *Store) eachLoss(ctx context.Context, visit func(durability.Loss) error) error {
	p := []byte(lossPrefix)
	for item, err := range s.idx.Scan(ctx, p, PrefixEnd(p), index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("read the ledger: %w", err)
		}
		_, payload, err := DecodeValue(item.Value)
		if err != nil {
			return fmt.Errorf("value of key %q: %w", item.Key, err)
		}
		l, err := durability.DecodeLoss(payload)
		if err != nil {
			return fmt.Errorf("value of key %q: %w", item.Key, err)
		}
		l.Owner = bytes.Clone(l.Owner)
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// settleLosses closes the entries of the ledger whose bytes are proved to be back,
// by reading k shards, or that no value names any more.
func (s *Store) settleLosses(ctx context.Context) error {
	var open []durability.Loss
	if err := s.eachLoss(ctx, func(l durability.Loss) error { open = append(open, l); return nil }); err != nil {
		return err
	}
	for i := range open {
		if err := s.settleLoss(ctx, &open[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) settleLoss(ctx context.Context, l *durability.Loss) error {
	st, err := s.named(ctx, l.Owner, l.Stripe)
	if err != nil {
		return err
	}
	if st != nil && !s.readable(ctx, st) {
		return nil
	}
	if _, err := s.idx.Commit(ctx, index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: lossKey(l.Stripe)}}}); err != nil {
		return fmt.Errorf("close an entry of the ledger: %w", err)
	}
	s.measures.count(func(d *durability.Day) {
		if st == nil {
			d.DeletedStripes, d.DeletedBytes = d.DeletedStripes+1, d.DeletedBytes+l.Bytes
		} else {
			d.ReturnedStripes, d.ReturnedBytes = d.ReturnedStripes+1, d.ReturnedBytes+l.Bytes
		}
	})
	return nil
}

// named finds a stripe in the value of a key, or of the root where the key is
// empty; nil: it is not named there.
func (s *Store) named(ctx context.Context, key []byte, id [16]byte) (*Stripe, error) {
	var blobs []Blob
	if len(key) == 0 {
		record := s.roots.get()
		checkpoint, err := s.checkpoint(ctx, &record)
		if err != nil {
			return nil, err
		}
		blobs = checkpoint.blobs()
	} else {
		item, err := s.idx.Get(ctx, key)
		if errors.Is(err, index.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read value of key %q: %w", key, err)
		}
		if blobs, _, err = DecodeValue(item.Value); err != nil {
			return nil, fmt.Errorf("value of key %q: %w", key, err)
		}
	}
	for i := range blobs {
		for j := range blobs[i].Stripes {
			if st := &blobs[i].Stripes[j]; st.ID == id {
				return st, nil
			}
		}
	}
	return nil, nil
}

// readable reads k shards of a stripe whole.
func (s *Store) readable(ctx context.Context, st *Stripe) bool {
	good := 0
	for i, sh := range st.Shards {
		m := s.drives.find(sh.Drive)
		if sh.Address.IsZero() || m == nil || !m.readable() || good == int(st.K) {
			continue
		}
		if s.check(ctx, m, st, i, true) == nil {
			good++
		}
	}
	return good == int(st.K)
}
