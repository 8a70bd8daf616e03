package objects

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/placement"
)

// lay writes the shards of a stripe to as many drives and syncs them. Where a
// drive fails, another one that is well takes its shard, or the shard is left
// out and repaired later; with too few of them the stripe is not written. late:
// a drive may still use the payloads.
func (s *Store) lay(ctx context.Context, h *hold, st *Stripe, payloads [][]byte) (late bool, err error) {
	l := &laying{s: s, hold: h, stripe: st, payloads: payloads, layout: s.drives.layout()}
	st.Shards = make([]Shard, len(payloads))
	l.round(ctx)
	if len(l.failed) > 0 && ctx.Err() == nil {
		l.round(ctx)
	}
	if missing := st.missing(); missing > 0 {
		if err := l.verdict(ctx, missing); err != nil {
			return l.late, err
		}
		s.repairs.incomplete(st.ID)
	}
	return l.late, nil
}

// laying is one stripe on its way to the drives.
type laying struct {
	s        *Store
	hold     *hold
	stripe   *Stripe
	payloads [][]byte
	layout   placement.Layout // drives that failed are marked not to be well
	failed   []error
	late     bool
}

// round gives each shard without a place a drive and waits for all of them.
func (l *laying) round(ctx context.Context) {
	var held []uint16
	var todo []int
	for i, sh := range l.stripe.Shards {
		if sh.Address.IsZero() {
			todo = append(todo, i)
		} else {
			held = append(held, sh.Drive)
		}
	}
	targets := l.layout.Choose(l.stripe.ID, len(todo), int(l.stripe.M), held...)
	answers := make(chan laid, len(targets))
	for i, number := range targets {
		go func() { answers <- l.write(ctx, todo[i], number) }()
	}
	for range targets {
		l.take(<-answers)
	}
}

// laid is what became of one shard.
type laid struct {
	shard   int
	drive   uint16
	address drive.Address
	err     error
}

func (l *laying) write(ctx context.Context, shard int, number uint16) laid {
	out := laid{shard: shard, drive: number}
	m := l.s.drives.find(number)
	if m == nil {
		out.err = fmt.Errorf("drive %d went away", number)
		return out
	}
	ticket := l.s.pins.appends.enter()
	defer l.s.pins.appends.leave(ticket)
	out.address, out.err = l.s.append(ctx, m, l.stripe.class(), drive.Record{Identity: l.stripe.identity(shard), Payload: l.payloads[shard]})
	if out.err == nil {
		l.hold.add(place{number, out.address.Extent})
	}
	return out
}

func (l *laying) take(a laid) {
	if a.err == nil {
		l.stripe.Shards[a.shard] = Shard{Drive: a.drive, Address: a.address}
		return
	}
	l.failed = append(l.failed, a.err)
	l.late = l.late || errors.Is(a.err, errLate)
	for i := range l.layout {
		if l.layout[i].Number == a.drive {
			l.layout[i].Well = false
		}
	}
}

// verdict is nil where enough shards are durable.
func (l *laying) verdict(ctx context.Context, missing int) error {
	written := len(l.payloads) - missing
	if written >= needed(int(l.stripe.K), int(l.stripe.M)) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	kind := ErrReadOnly
	for _, err := range l.failed {
		if errors.Is(err, drive.ErrFull) {
			kind = ErrFull
		}
	}
	return fmt.Errorf("%w: %d of %d shards were written: %w", kind, written, len(l.payloads), errors.Join(l.failed...))
}

// append writes one record and waits no longer than DriveTimeout. A drive whose
// extent failed gets a second try, on another extent.
func (s *Store) append(ctx context.Context, m *member, class drive.Class, record drive.Record) (drive.Address, error) {
	type answer struct {
		at  []drive.Address
		err error
	}
	result := make(chan answer, 1)
	err := s.timed(m, s.o.DriveTimeout, func() error {
		at, err := m.Append(ctx, class, []drive.Record{record})
		if errors.Is(err, drive.ErrWrite) {
			at, err = m.Append(ctx, class, []drive.Record{record})
		}
		result <- answer{at, err}
		return err
	})
	if err != nil {
		return drive.Address{}, fmt.Errorf("append to drive %d: %w", m.number, err)
	}
	return (<-result).at[0], nil
}
