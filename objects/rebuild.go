package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/erasure"
	"github.com/tarnlake/tarn/objects/placement"
)

// rebuilding gives shards of one stripe new places.
type rebuilding struct {
	m      *mover
	stripe Stripe
	todo   map[int]bool // shards that need a place
	layout placement.Layout
	lost   bool // fewer than k shards are good
	good   int  // shards, where it is lost
	late   bool // a drive may still use the shards' memory
	bytes  int64
}

// repairRounds is how often other drives are tried where one did not take a shard.
const repairRounds = 3

func newRebuilding(m *mover, st *Stripe, todo []int) *rebuilding {
	b := &rebuilding{m: m, stripe: *st, todo: map[int]bool{}, layout: m.s.drives.layout(true)}
	b.stripe.Shards = append([]Shard(nil), st.Shards...)
	for _, i := range todo {
		b.todo[i] = true
	}
	for i := range b.layout {
		if m.avoid != nil && m.avoid(b.layout[i].Number) {
			b.layout[i].Well = false
		}
	}
	if m.moves && !m.home {
		for _, i := range todo {
			b.exclude(st.Shards[i].Drive)
		}
	}
	return b
}

func (b *rebuilding) exclude(number uint16) {
	for i := range b.layout {
		if b.layout[i].Number == number {
			b.layout[i].Well = false
		}
	}
}

// run returns the number of shards that found a place, each read back. An error
// is one of a stripe that could have been healed, and was not at all.
func (b *rebuilding) run(ctx context.Context) (placed int, err error) {
	if todo, targets := b.targets(); len(targets) == 0 { // there is no drive for it, so it is not even read
		b.good = len(b.stripe.Shards) - len(todo)
		b.lost = b.good < int(b.stripe.K)
		return 0, nil
	}
	shards, err := b.gather(ctx)
	if err != nil {
		return 0, err
	}
	for range repairRounds {
		n, e := b.round(ctx, shards)
		placed += n
		if err = e; err == nil {
			break
		}
	}
	if placed > 0 {
		err = nil
	}
	if err == nil && !b.late {
		for _, p := range shards {
			shardReturn(p)
		}
	}
	return placed, err
}

// targets are the shards without a place, and drives for as many of them as there are.
func (b *rebuilding) targets() (todo []int, drives []uint16) {
	var held []uint16
	for i, sh := range b.stripe.Shards {
		if b.todo[i] {
			todo = append(todo, i)
		} else {
			held = append(held, sh.Drive)
		}
	}
	return todo, b.layout.Choose(b.stripe.ID, len(todo), int(b.stripe.M), held...)
}

// round gives shards drives, all at once. A drive that fails is not chosen again.
func (b *rebuilding) round(ctx context.Context, shards [][]byte) (placed int, err error) {
	todo, targets := b.targets()
	errs := make([]error, len(targets))
	places := make([]Shard, len(targets))
	var group errgroup.Group
	for k, number := range targets {
		group.Go(func() error {
			places[k], errs[k] = b.place(ctx, todo[k], shards[todo[k]], number)
			return nil
		})
	}
	_ = group.Wait()
	for k, number := range targets {
		if errs[k] != nil {
			err = errs[k]
			b.late = b.late || errors.Is(err, errLate)
			b.exclude(number)
			continue
		}
		b.stripe.Shards[todo[k]] = places[k]
		b.bytes += int64(len(shards[todo[k]]))
		delete(b.todo, todo[k])
		placed++
	}
	return placed, err
}

// place writes a shard to a drive and reads it back, from the drive and not from
// memory where the machine allows it.
func (b *rebuilding) place(ctx context.Context, i int, p []byte, number uint16) (Shard, error) {
	s := b.m.s
	m := s.drives.find(number)
	if m == nil {
		return Shard{}, fmt.Errorf("drive %d went away", number)
	}
	ticket := s.pins.appends.enter()
	at, err := s.append(ctx, m, b.stripe.class(), drive.Record{Identity: b.stripe.identity(i), Payload: p})
	if err == nil {
		b.m.hold.add(place{number, at.Extent})
	}
	s.pins.appends.leave(ticket)
	if err != nil {
		return Shard{}, err
	}
	sh := Shard{Drive: number, Address: at}
	if e, ok := m.Drive.(evicter); ok {
		e.Evict(at, len(p))
	}
	back, err := s.readAt(ctx, m, sh, b.stripe.identity(i), len(p))
	if err != nil {
		return Shard{}, fmt.Errorf("read back shard %d of stripe %x from drive %d: %w", i, b.stripe.ID, number, err)
	}
	if !bytes.Equal(back, p) {
		return Shard{}, fmt.Errorf("shard %d reads back from drive %d as something else", i, number)
	}
	shardReturn(back)
	s.repairs.forget(shardID{b.stripe.ID, uint8(i)})
	return sh, nil
}

// evicter is a drive that can make the next read of a record come from the device.
type evicter interface {
	Evict(a drive.Address, payloadBytes int)
}

// gather gets the bytes of the shards without a place: where they can be read from
// where they lie, else rebuilt from k others.
func (b *rebuilding) gather(ctx context.Context) ([][]byte, error) {
	st := &b.stripe
	shards := make([][]byte, len(st.Shards))
	if b.m.moves && b.readAll(ctx, shards, b.moving()) {
		return shards, nil
	}
	silent := 0
	for good := count(shards); good < int(st.K); good = count(shards) {
		var next []int
		next, silent = b.candidates(shards, int(st.K)-good)
		if len(next) == 0 {
			break
		}
		b.readAll(ctx, shards, next)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if good := count(shards); good < int(st.K) {
		b.lost, b.good = good+silent < int(st.K), good
		return nil, fmt.Errorf("%w: %d good shards, %d are needed", ErrUnavailable, good, st.K)
	}
	code, err := b.m.s.coder(st)
	if err != nil {
		return nil, err
	}
	wanted := make([]bool, len(shards))
	for i := range b.todo {
		if wanted[i] = shards[i] == nil; wanted[i] {
			shards[i] = shardMemory(st.ShardBytes())[:0]
		}
	}
	return shards, code.Reconstruct(shards, wanted)
}

// coder of a stripe's shape.
func (s *Store) coder(st *Stripe) (*erasure.Code, error) {
	if int(st.K) == s.o.DataShards && int(st.M) == s.o.ParityShards {
		return s.code, nil
	}
	return erasure.New(int(st.K), int(st.M))
}

// why tells where the shards are that cannot be read.
func (b *rebuilding) why() string {
	var all []string
	for i, sh := range b.stripe.Shards {
		if !b.todo[i] {
			continue
		}
		where := "never written"
		if !sh.Address.IsZero() {
			where = fmt.Sprintf("drive %d", sh.Drive)
			if m := b.m.s.drives.find(sh.Drive); m == nil {
				where += ", gone"
			} else if state, _ := m.state(); state > DriveWell {
				where += ", " + state.String()
			}
		}
		all = append(all, fmt.Sprintf("shard %d: %s", i, where))
	}
	return strings.Join(all, "; ")
}

func (b *rebuilding) moving() (all []int) {
	for i := range b.todo {
		all = append(all, i)
	}
	return all
}

// candidates are up to n shards that may be read and were not yet. silent ones are
// on drives that are slow: neither good nor bad.
func (b *rebuilding) candidates(shards [][]byte, n int) (next []int, silent int) {
	for i, sh := range b.stripe.Shards {
		if b.todo[i] || shards[i] != nil {
			continue
		}
		m := b.m.s.drives.find(sh.Drive)
		switch {
		case m == nil || !m.readable(): // a read that was late made its drive slow
			silent++
		case len(next) < n:
			next = append(next, i)
		}
	}
	return next, silent
}

// readAll reads shards at once, and reports whether all came. A bad one joins those
// that need a place.
func (b *rebuilding) readAll(ctx context.Context, shards [][]byte, which []int) bool {
	errs := make([]error, len(which))
	var group errgroup.Group
	for k, i := range which {
		group.Go(func() error {
			shards[i], errs[k] = b.read(ctx, i)
			return nil
		})
	}
	_ = group.Wait()
	all := true
	for k, i := range which {
		if errs[k] != nil {
			all, shards[i] = false, nil
			b.todo[i] = b.todo[i] || ctx.Err() == nil && !errors.Is(errs[k], errLate)
		}
	}
	return all
}

func (b *rebuilding) read(ctx context.Context, i int) ([]byte, error) {
	m := b.m.s.drives.find(b.stripe.Shards[i].Drive)
	if m == nil || !m.readable() || b.stripe.Shards[i].Address.IsZero() {
		return nil, errors.New("its drive cannot be read")
	}
	return b.m.s.readShard(ctx, m, &b.stripe, i)
}

func count(shards [][]byte) (n int) {
	for _, p := range shards {
		if p != nil {
			n++
		}
	}
	return n
}

// readShard reads a shard whole.
func (s *Store) readShard(ctx context.Context, m *member, st *Stripe, i int) ([]byte, error) {
	p, err := s.readAt(ctx, m, st.Shards[i], st.identity(i), st.ShardBytes())
	if err != nil {
		return nil, fmt.Errorf("read shard %d of stripe %x from drive %d: %w", i, st.ID, m.number, err)
	}
	return p, nil
}

// readAt reads a record of n bytes whole. Its memory may go to shardReturn.
func (s *Store) readAt(ctx context.Context, m *member, sh Shard, id drive.Identity, n int) ([]byte, error) {
	p := shardMemory(n)
	err := s.timed(m, s.o.DriveTimeout, func() error { return m.Read(ctx, sh.Address, id, p, 0) })
	if err != nil {
		return nil, err // a late read may still write to p
	}
	return p, nil
}

// shardReturn gives memory of shardMemory back.
func shardReturn(p []byte) {
	if cap(p) == ShardBytesMax {
		shardPool.Put((*[ShardBytesMax]byte)(p[:ShardBytesMax]))
	}
}
