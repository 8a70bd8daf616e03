package objects

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Drives are even enough while none holds more than its share by balanceSlack parts
// of the share and balanceBytes; a balance that began goes on to half of that.
const (
	balanceSlack = 8
	balanceBytes = 256 << 20
	balanceLeast = 16 << 20 // in place of balanceBytes, where a balance was asked for
)

// balancing is one balance under way: where stripes shall lie instead.
type balancing struct {
	groups [][]uint16 // of drives that take shards
	mu     struct {
		sync.Mutex
		held  map[uint16]int64   // bytes, as if what is decided were done
		going map[[16]byte][]int // shards of stripes that are decided and not yet moved
	}
	share map[uint16]int64 // bytes that each drive should hold
	slack int64
}

// balance moves whole stripes from the groups of the fullest drives to those of the
// emptiest, at Options.TidyRate at most. Drives hold bytes in proportion to their size.
func (s *Store) balance(ctx context.Context) {
	slack, asked := int64(balanceBytes), s.moves.answer()
	if asked {
		slack = s.o.balanceLeast
	}
	held, err := s.Holdings(ctx)
	if err != nil {
		s.host.Log.Warn("balance", "error", err)
		return
	}
	b := s.newBalancing(held, slack)
	if b == nil || !b.uneven(1) {
		if asked {
			s.moves.tell(progress{Kind: "balance"})
		}
		return
	}
	r := s.relocation("balance", b.want)
	r.pace = &s.pace
	_ = s.move(ctx, "balance", r) // told there; it is looked at again in a while
	_, _ = s.Holdings(ctx)
}

// BalanceNow has the drives balanced without waiting for the next look, and more
// closely than by itself. It reports false where they are even enough already, or where
// there is nowhere to move to: then nothing is begun. Moves tells how far it is. Drains go first.
func (s *Store) BalanceNow(ctx context.Context) (begun bool, err error) {
	held, err := s.Holdings(ctx)
	if err != nil {
		return false, fmt.Errorf("balance: %w", err)
	}
	if b := s.newBalancing(held, s.o.balanceLeast); b == nil || !b.uneven(1) {
		return false, nil
	}
	s.moves.ask()
	return true, nil
}

// newBalancing is nil where there is nowhere to move to.
func (s *Store) newBalancing(held map[uint16]Holding, slack int64) *balancing {
	b := &balancing{share: map[uint16]int64{}, slack: slack}
	b.mu.held, b.mu.going = map[uint16]int64{}, map[[16]byte][]int{}
	var size, bytes int64
	sizes := map[uint16]int64{}
	for _, m := range s.drives.list() {
		if !m.takes(false) {
			continue
		}
		total, _ := m.room().size()
		sizes[m.number] = max(total, 1)
		size += sizes[m.number]
		b.mu.held[m.number] = held[m.number].Bytes
		bytes += held[m.number].Bytes
	}
	for number, of := range sizes {
		b.share[number] = int64(float64(bytes) * float64(of) / float64(size))
	}
	record := s.roots.get()
	for _, g := range record.groups {
		if !slices.ContainsFunc(g, func(number uint16) bool { return sizes[number] == 0 }) {
			b.groups = append(b.groups, g)
		}
	}
	if len(b.groups) < 2 {
		return nil
	}
	return b
}

// excess of a drive over its share, in bytes.
func (b *balancing) excess(number uint16) int64 { return b.mu.held[number] - b.share[number] }

// allowed is the excess that is left alone; parts: of the slack.
func (b *balancing) allowed(number uint16, parts int64) int64 {
	return (b.share[number]/balanceSlack + b.slack) / parts
}

func (b *balancing) uneven(parts int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for number := range b.share {
		if b.excess(number) > b.allowed(number, parts) {
			return true
		}
	}
	return false
}

// want names the shards of a stripe that shall lie in another group.
func (b *balancing) want(st *Stripe) (which []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if which, ok := b.mu.going[st.ID]; ok {
		delete(b.mu.going, st.ID) // asked once to find it, and once to move it
		return which
	}
	if st.K == 1 || st.missing() > 0 || !b.fromFull(st) {
		return nil
	}
	to := b.emptiest(st)
	if to == nil {
		return nil
	}
	for i, sh := range st.Shards {
		if !slices.Contains(to, sh.Drive) {
			which = append(which, i)
			b.mu.held[sh.Drive] -= int64(st.ShardBytes())
		}
	}
	for _, number := range to {
		if !slices.ContainsFunc(st.Shards, func(sh Shard) bool { return sh.Drive == number }) {
			b.mu.held[number] += int64(st.ShardBytes())
		}
	}
	b.mu.going[st.ID] = which
	return which
}

// fromFull: some of the stripe's drives hold too much, even after what was decided.
func (b *balancing) fromFull(st *Stripe) bool {
	return slices.ContainsFunc(st.Shards, func(sh Shard) bool {
		return b.share[sh.Drive] > 0 && b.excess(sh.Drive) > b.allowed(sh.Drive, 2)
	})
}

// emptiest is the group into which the move of a stripe evens out most a shard moved;
// nil where none gains more than the shard itself is.
func (b *balancing) emptiest(st *Stripe) (best []uint16) {
	least := int64(st.ShardBytes())
	for _, g := range b.groups {
		if len(g) != len(st.Shards) {
			continue
		}
		var gain, moved int64
		for _, sh := range st.Shards {
			if !slices.Contains(g, sh.Drive) {
				gain, moved = gain+b.excess(sh.Drive), moved+1
			}
		}
		for _, number := range g {
			if !slices.ContainsFunc(st.Shards, func(sh Shard) bool { return sh.Drive == number }) {
				gain -= b.excess(number)
			}
		}
		if moved > 0 && gain/moved > least {
			best, least = g, gain/moved
		}
	}
	return best
}
