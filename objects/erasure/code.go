package erasure

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/reedsolomon"
)

// ShardsMax bounds k+m.
const ShardsMax = 255

// ErrTooFew: fewer than k shards are there.
var ErrTooFew = errors.New("erasure: too few shards")

// Code makes m parity shards of k data shards.
type Code struct {
	k, m   int
	solver reedsolomon.Encoder // nil where k = 1 or m = 0
}

var codes sync.Map // of [2]int{k, m} to *Code: its matrix is costly, its size is not

// New is the code for k data and m parity shards.
func New(k, m int) (*Code, error) {
	if k < 1 || m < 0 || k+m > ShardsMax {
		return nil, fmt.Errorf("erasure: %d+%d shards, of 1+0 to %d in all", k, m, ShardsMax)
	}
	if c, ok := codes.Load([2]int{k, m}); ok {
		return c.(*Code), nil
	}
	c := &Code{k: k, m: m}
	if k > 1 && m > 0 {
		// One goroutine a stripe: callers work at many stripes at once.
		solver, err := reedsolomon.New(k, m, reedsolomon.WithMaxGoroutines(1))
		if err != nil {
			return nil, fmt.Errorf("erasure: code %d+%d: %w", k, m, err)
		}
		c.solver = solver
	}
	kept, _ := codes.LoadOrStore([2]int{k, m}, c)
	return kept.(*Code), nil
}

// Data is k, the number of data shards.
func (c *Code) Data() int { return c.k }

// Shards is k+m.
func (c *Code) Shards() int { return c.k + c.m }

// ShardBytes is the length of each shard of a payload of n bytes.
func (c *Code) ShardBytes(n int) int { return (n + c.k - 1) / c.k }

// Encode fills the parity shards from the data shards. All k+m are of one length.
func (c *Code) Encode(shards [][]byte) error {
	if err := c.check(shards, false); err != nil {
		return err
	}
	if c.k == 1 {
		for _, p := range shards[1:] {
			copy(p, shards[0])
		}
		return nil
	}
	if c.solver == nil {
		return nil
	}
	return c.solver.Encode(shards)
}

// Reconstruct fills the wanted shards among the missing ones, which are those of
// length 0; one with capacity is filled in place. The others have one length.
func (c *Code) Reconstruct(shards [][]byte, wanted []bool) error {
	if err := c.check(shards, true); err != nil {
		return err
	}
	if len(wanted) != len(shards) {
		return fmt.Errorf("erasure: %d wishes for %d shards", len(wanted), len(shards))
	}
	from, there := 0, 0
	for i, p := range shards {
		if len(p) > 0 {
			from, there = i, there+1
		}
	}
	switch {
	case there < c.k:
		return fmt.Errorf("%w: %d of %d", ErrTooFew, there, c.k)
	case c.k == 1:
		copies(shards, wanted, from)
		return nil
	case c.solver == nil:
		return nil
	}
	return c.solver.ReconstructSome(shards, wanted)
}

func copies(shards [][]byte, wanted []bool, from int) {
	for i, p := range shards {
		if wanted[i] && len(p) == 0 {
			shards[i] = append(p, shards[from]...)
		}
	}
}

// Verify reports whether the parity shards are those of the data shards.
func (c *Code) Verify(shards [][]byte) (bool, error) {
	if err := c.check(shards, false); err != nil {
		return false, err
	}
	if c.k == 1 {
		for _, p := range shards[1:] {
			if string(p) != string(shards[0]) {
				return false, nil
			}
		}
		return true, nil
	}
	if c.solver == nil {
		return true, nil
	}
	return c.solver.Verify(shards)
}

// check demands k+m shards of one length, which is not 0 unless missing ones are allowed.
func (c *Code) check(shards [][]byte, missing bool) error {
	if len(shards) != c.k+c.m {
		return fmt.Errorf("erasure: %d shards of %d+%d", len(shards), c.k, c.m)
	}
	size := 0
	for i, p := range shards {
		switch {
		case len(p) == 0 && missing:
		case len(p) == 0, size > 0 && len(p) != size:
			return fmt.Errorf("erasure: shard %d has %d bytes, others %d", i, len(p), size)
		default:
			size = len(p)
		}
	}
	return nil
}
