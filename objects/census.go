package objects

import (
	"context"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects/index"
)

// Redundancy counts by what may still be lost.
type Redundancy struct {
	Spare []int64 // by the number of drives that may yet be lost, from 0 to m
	Lost  int64   // of which fewer than k shards can be read now
	// Undecodable values of the index: what they name is not known.
	Undecodable int64
}

// Whole reports whether nothing lacks anything.
func (r *Redundancy) Whole() bool {
	below := r.Spare[:len(r.Spare)-1]
	return r.Lost == 0 && r.Undecodable == 0 && !slices.ContainsFunc(below, func(n int64) bool { return n > 0 })
}

func (r *Redundancy) add(spare int) {
	if spare < 0 {
		r.Lost++
	} else {
		r.Spare[min(spare, len(r.Spare)-1)]++
	}
}

// census is what the index says of all stripes, without asking a drive.
type census struct {
	values  int64
	stripes int64
	levels  Redundancy // of stripes
	damaged []int      // the levels below the full one that are populated, the worst first
	bytes   int64      // of the shards that are missing
	payload int64      // bytes of users
	err     error      // of the first value that does not decode

	undecodable int64
}

// census scans the index. It believes drives that are well to have what was
// written to them, but for shards that a read found to be bad.
func (s *Store) census(ctx context.Context) (census, error) {
	c := census{levels: Redundancy{Spare: make([]int64, s.o.ParityShards+1)}}
	below := map[int]bool{}
	count := func(st *Stripe) {
		c.stripes++
		c.payload += int64(st.Bytes)
		bad := s.doubtful(st)
		spare := len(st.Shards) - bad - int(st.K)
		c.levels.add(spare)
		if bad > 0 {
			below[spare] = true
			c.bytes += int64(bad * st.ShardBytes())
		}
	}
	err := s.eachValue(ctx, func(key []byte, blobs []Blob, err error) {
		c.values++
		if err != nil {
			if c.undecodable++; c.err == nil {
				c.err = fmt.Errorf("value of key %q: %w", key, err)
			}
			return
		}
		for i := range blobs {
			for j := range blobs[i].Stripes {
				count(&blobs[i].Stripes[j])
			}
		}
	})
	c.levels.Undecodable = c.undecodable
	for spare := range below {
		c.damaged = append(c.damaged, spare)
	}
	slices.Sort(c.damaged)
	return c, err
}

// doubtful counts the shards of a stripe that are missing as far as is known, or
// that a read found to be bad. One on a slow drive is there.
func (s *Store) doubtful(st *Stripe) (n int) {
	for i, sh := range st.Shards {
		m := s.drives.find(sh.Drive)
		if sh.Address.IsZero() || m == nil || m.Drive == nil {
			n++
			continue
		}
		if state, _ := m.state(); state > DriveSlow || s.repairs.reported(shardID{st.ID, uint8(i)}) {
			n++
		}
	}
	return n
}

// eachValue visits every value of the index, and the root's as one without a key.
func (s *Store) eachValue(ctx context.Context, visit func(key []byte, blobs []Blob, err error)) error {
	record := s.roots.get()
	named, err := s.checkpoint(ctx, &record)
	if blobs := named.blobs(); err != nil || len(blobs) > 0 {
		visit(nil, blobs, err)
	}
	for item, err := range s.idx.Scan(ctx, nil, nil, index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("scan the index: %w", err)
		}
		blobs, _, err := DecodeValue(item.Value)
		visit(item.Key, blobs, err)
	}
	return nil
}

// Redundancy counts the blobs that lie on drives by what they still stand. It
// scans the index, and believes drives that are well to have what was written to
// them, but for shards that a read found to be bad.
func (s *Store) Redundancy(ctx context.Context) (Redundancy, error) {
	r := Redundancy{Spare: make([]int64, s.o.ParityShards+1)}
	err := s.eachValue(ctx, func(_ []byte, blobs []Blob, err error) {
		if err != nil {
			r.Undecodable++
		}
		for i := range blobs {
			if len(blobs[i].Stripes) == 0 {
				continue
			}
			spare := s.o.ParityShards
			for j := range blobs[i].Stripes {
				spare = min(spare, s.spare(&blobs[i].Stripes[j]))
			}
			r.add(spare)
		}
	})
	if err != nil {
		return r, fmt.Errorf("count redundancy: %w", err)
	}
	return r, nil
}
