package objects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects/index"
)

// RepairOptions of one repair. The zero value asks every drive whether it has
// the shards that it should have.
type RepairOptions struct {
	Progress func(done, total int64) // of index values; total is an estimate
	Verify   bool                    // read every shard whole

	trusting bool // believe that drives have what was written to them
}

// RepairReport counts stripes.
type RepairReport struct {
	Scanned      int64
	Damaged      int64 // with shards that are missing or wrong
	Healed       int64 // of them whole again; each new shard was read back
	Unrepairable int64 // with fewer than k good shards: nothing was changed
	BytesWritten int64
}

const (
	repairWindow  = 512     // damaged values that are put in order of urgency at a time
	repairPage    = 100_000 // values scanned before what was found is repaired
	repairAtOnce  = 4       // values
	repairRetries = 5       // of a swap that met a concurrent change
)

// repair is one walk over everything.
type repair struct {
	s      *Store
	o      RepairOptions
	hold   *hold
	done   int64
	total  int64
	report RepairReport
	atomic struct{ healed, unrepairable, bytes atomic.Int64 }
}

// damaged is a value with damaged stripes.
type damaged struct {
	item  index.Item
	spare int // shards that its worst stripe can still lose
}

// Repair scans the index for shards that are unwritten, on missing drives, or
// not what they should be, and rebuilds them on drives that are well: the
// stripes with the least redundancy first. What cannot be placed now is left,
// Damaged but not Healed.
func (s *Store) Repair(ctx context.Context, o RepairOptions) (RepairReport, error) {
	s.repairing.Lock()
	defer s.repairing.Unlock()
	if !o.trusting && s.journal != nil {
		s.probe(ctx) // a folder that was emptied still reads through files that are open
	}
	r := &repair{s: s, o: o, hold: s.pins.hold()}
	defer func() { r.hold.end(s.host.Clock.Now()) }()
	err := r.run(ctx)
	r.tell(false)
	if err != nil {
		return r.report, fmt.Errorf("repair: %w", err)
	}
	return r.report, nil
}

// tell sums up for those who look.
func (r *repair) tell(running bool) {
	r.report.Healed, r.report.Unrepairable = r.atomic.healed.Load(), r.atomic.unrepairable.Load()
	r.report.BytesWritten = r.atomic.bytes.Load()
	r.s.repairs.tell(running, r.report)
}

func (r *repair) run(ctx context.Context) error {
	if err := r.root(ctx); err != nil {
		return err
	}
	if r.o.Progress != nil {
		for _, err := range r.s.idx.Scan(ctx, nil, nil, index.ScanOptions{KeysOnly: true}) {
			if err != nil {
				return err
			}
			r.total++
		}
	}
	var from []byte
	for {
		r.tell(true)
		window, next, err := r.scan(ctx, from)
		if err != nil {
			return err
		}
		if err := r.heal(ctx, window); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		from = next
	}
}

// scan looks at values from a key on until it has a window full of damaged ones.
// It returns where to go on, nil at the end. Nothing stays pinned meanwhile.
func (r *repair) scan(ctx context.Context, from []byte) (window []damaged, next []byte, err error) {
	seen := 0
	for item, err := range r.s.idx.Scan(ctx, from, nil, index.ScanOptions{}) {
		if err != nil {
			return nil, nil, err
		}
		if seen++; seen > repairPage || len(window) == repairWindow {
			return window, bytes.Clone(item.Key), nil
		}
		blobs, _, err := DecodeValue(item.Value)
		if err != nil {
			return nil, nil, fmt.Errorf("value of key %q: %w", item.Key, err)
		}
		if n, spare := r.inspectAll(ctx, blobs); n > 0 {
			window = append(window, damaged{index.Item{Key: bytes.Clone(item.Key), Value: bytes.Clone(item.Value), Version: item.Version}, spare})
		}
		if r.done++; r.o.Progress != nil && r.done%1000 == 0 {
			r.o.Progress(r.done, max(r.total, r.done))
		}
	}
	if r.o.Progress != nil {
		r.o.Progress(r.done, max(r.total, r.done))
	}
	return window, nil, nil
}

// inspectAll counts the damaged stripes of a value, and what the worst can still lose.
func (r *repair) inspectAll(ctx context.Context, blobs []Blob) (n, spare int) {
	spare = ShardsMax
	for i := range blobs {
		for j := range blobs[i].Stripes {
			st := &blobs[i].Stripes[j]
			r.report.Scanned++
			if bad := r.inspect(ctx, st); len(bad) > 0 {
				n++
				spare = min(spare, len(st.Shards)-len(bad)-int(st.K))
			}
		}
	}
	r.report.Damaged += int64(n)
	return n, spare
}

// inspect lists the shards of a stripe that are to be rebuilt. One on a drive
// that is merely slow is left alone.
func (r *repair) inspect(ctx context.Context, st *Stripe) (bad []int) {
	for i := range st.Shards {
		if !r.s.intact(ctx, st, i, r.o) {
			bad = append(bad, i)
		}
	}
	return bad
}

// intact reports whether a shard is where it should be.
func (s *Store) intact(ctx context.Context, st *Stripe, i int, o RepairOptions) bool {
	sh := st.Shards[i]
	m := s.drives.find(sh.Drive)
	if sh.Address.IsZero() || m == nil || m.Drive == nil {
		return false
	}
	if state, _ := m.state(); state >= DriveSlow {
		return state == DriveSlow
	}
	id := shardID{st.ID, uint8(i)}
	reported := s.repairs.reported(id)
	if o.trusting && !reported {
		return true
	}
	err := s.check(ctx, m, st, i, o.Verify || reported)
	if err == nil && reported {
		s.repairs.forget(id)
	}
	return err == nil || errors.Is(err, errLate) || ctx.Err() != nil
}

// check asks a drive for a shard, its length or all of it.
func (s *Store) check(ctx context.Context, m *member, st *Stripe, i int, whole bool) error {
	if whole {
		_, err := s.readShard(ctx, m, st, i)
		return err
	}
	return s.timed(m, s.o.DriveTimeout, func() error {
		n, err := m.Length(ctx, st.Shards[i].Address, st.identity(i))
		if err == nil && n != st.ShardBytes() {
			err = fmt.Errorf("shard %d has %d bytes, not %d", i, n, st.ShardBytes())
		}
		return err
	})
}

func (s *Store) readShard(ctx context.Context, m *member, st *Stripe, i int) ([]byte, error) {
	p := make([]byte, st.ShardBytes())
	err := s.timed(m, s.o.DriveTimeout, func() error {
		return m.Read(ctx, st.Shards[i].Address, st.identity(i), p, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("read shard %d of stripe %x from drive %d: %w", i, st.ID, m.number, err)
	}
	return p, nil
}

// heal repairs a window, the most endangered first.
func (r *repair) heal(ctx context.Context, window []damaged) error {
	slices.SortStableFunc(window, func(a, b damaged) int { return cmp.Compare(a.spare, b.spare) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(repairAtOnce)
	for _, d := range window {
		group.Go(func() error { return r.value(ctx, d.item) })
	}
	return group.Wait()
}

// value heals the stripes of one value and swaps it in, unless it changed; then
// its new form is looked at again.
func (r *repair) value(ctx context.Context, item index.Item) error {
	var healed healing
	for range repairRetries {
		blobs, payload, err := DecodeValue(item.Value)
		if err != nil {
			return fmt.Errorf("value of key %q: %w", item.Key, err)
		}
		if err := healed.apply(ctx, r, blobs); err != nil {
			return err
		}
		if healed.changed == 0 {
			break
		}
		err = r.swap(ctx, item, EncodeValue(blobs, payload))
		if err == nil {
			break
		}
		var changed *index.ConditionError
		if !errors.As(err, &changed) {
			return fmt.Errorf("swap value of key %q: %w", item.Key, err)
		}
		if item, err = r.s.idx.Get(ctx, item.Key); errors.Is(err, index.ErrNotFound) {
			break // deleted: there is nothing left to heal
		} else if err != nil {
			return err
		}
	}
	r.atomic.healed.Add(healed.whole)
	r.atomic.unrepairable.Add(healed.lost)
	r.atomic.bytes.Add(healed.bytes)
	return nil
}

// swap replaces a value if it has not changed.
func (r *repair) swap(ctx context.Context, item index.Item, value []byte) error {
	txn := index.Txn{
		Conditions: []index.Condition{{Kind: index.KeyVersion, Key: item.Key, Version: item.Version}},
		Mutations:  []index.Mutation{{Kind: index.Put, Key: item.Key, Value: value, Moved: true}},
	}
	if _, err := io.ReadFull(r.s.host.Entropy, txn.RequestID[:]); err != nil {
		return fmt.Errorf("draw a request id: %w", err)
	}
	_, err := r.s.idx.Commit(ctx, txn)
	for range repairRetries {
		if !errors.Is(err, index.ErrUnknown) || ctx.Err() != nil {
			break
		}
		_, err = r.s.idx.Commit(ctx, txn)
	}
	return err
}

// root heals the checkpoint that the root record names.
func (r *repair) root(ctx context.Context) error {
	record := r.s.roots.get()
	blobs, err := record.blobs()
	if err != nil || len(blobs) == 0 {
		return err
	}
	if n, _ := r.inspectAll(ctx, blobs); n == 0 {
		return nil
	}
	var healed healing
	if err := healed.apply(ctx, r, blobs); err != nil {
		return err
	}
	if healed.changed > 0 {
		value := EncodeValue(blobs, nil)
		err = r.s.roots.save(ctx, func(now *rootRecord) {
			if bytes.Equal(now.checkpoint, record.checkpoint) {
				now.checkpoint = value
			}
		})
	}
	if err == nil {
		r.atomic.healed.Add(healed.whole)
		r.atomic.unrepairable.Add(healed.lost)
		r.atomic.bytes.Add(healed.bytes)
	}
	return err
}
