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
	return s.layAs(ctx, h, st.class(), st, payloads)
}

// layAs is lay into extents of a class.
func (s *Store) layAs(ctx context.Context, h *hold, class drive.Class, st *Stripe, payloads [][]byte) (late bool, err error) {
	defer s.traffic.user()()
	l := &laying{s: s, hold: h, class: class, stripe: st, payloads: payloads}
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
	class    drive.Class
	stripe   *Stripe
	payloads [][]byte
	layout   placement.Layout // once it is needed; drives that failed are marked not to be well
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
	targets := l.targets(ctx, len(todo), held)
	answers := make(chan laid, len(targets))
	appends := make([]*appending, len(targets))
	for i, number := range targets {
		appends[i] = l.begin(ctx, todo[i], number, answers)
	}
	l.await(ctx, appends, answers)
}

// targets are the drives for count shards more. Small records all go to the same
// few for a while, so that they share syncs.
func (l *laying) targets(ctx context.Context, count int, held []uint16) []uint16 {
	if l.layout == nil && len(held) == 0 && l.stripe.class() == drive.Small {
		if t := l.s.group.targets(l.s, int64(l.stripe.Bytes)); len(t) == count {
			return t
		}
	}
	l.survey(ctx)
	return l.layout.Choose(l.stripe.ID, count, int(l.stripe.M), held...)
}

func (l *laying) survey(ctx context.Context) {
	if l.layout == nil {
		l.layout = l.s.drives.layout(usesReserve(ctx))
	}
}

// await takes the answers of all appends; of drives that are late it knows the answer.
func (l *laying) await(ctx context.Context, appends []*appending, answers <-chan laid) {
	late := make(chan struct{})
	stop := l.s.host.Clock.AfterFunc(l.s.o.DriveTimeout, func() { close(late) })
	defer stop()
	for left := len(appends); left > 0; {
		select {
		case a := <-answers:
			l.take(ctx, a)
			left--
		case <-late:
			late = nil
			for _, a := range appends {
				if a != nil && a.giveUp() {
					l.take(ctx, laid{appending: a, shard: a.shard, drive: a.m.number, err: fmt.Errorf("append to drive %d: %w (%v)", a.m.number, errLate, l.s.o.DriveTimeout)})
					left--
				}
			}
		}
	}
}

// laid is what became of one shard.
type laid struct {
	*appending // nil where it did not begin
	shard      int
	drive      uint16
	address    drive.Address
	err        error
}

// appending is one shard on its way to a drive.
type appending struct {
	*call
	shard   int
	class   drive.Class
	records []drive.Record
	again   bool // a drive whose extent failed gets a second try, on another extent
	ticket  uint64
	answers chan<- laid
}

func (l *laying) begin(ctx context.Context, shard int, number uint16, answers chan<- laid) *appending {
	m := l.s.drives.find(number)
	if m == nil {
		answers <- laid{shard: shard, drive: number, err: fmt.Errorf("drive %d went away", number)}
		return nil
	}
	a := &appending{
		call: l.s.begin(m), shard: shard, class: l.class, answers: answers,
		records: []drive.Record{{
			Identity: l.stripe.identity(shard), Payload: l.payloads[shard],
		}},
	}
	a.ticket = l.s.pins.appends.enter()
	a.start(ctx)
	return a
}

// queued is a drive that does not need a goroutine for each append.
type queued interface {
	Begin(class drive.Class, records []drive.Record, then func([]drive.Address, error)) error
}

// Begin appends without a goroutine, where the drive can and its queue has room;
// else the caller is to take Append.
func (m *member) Begin(class drive.Class, records []drive.Record, then func([]drive.Address, error)) error {
	if q, ok := m.Drive.(queued); ok {
		return q.Begin(class, records, then)
	}
	return drive.ErrBusy
}

func (a *appending) start(ctx context.Context) {
	if ctx.Err() == nil && a.m.Begin(a.class, a.records, func(at []drive.Address, err error) { a.end(ctx, at, err) }) == nil {
		return
	}
	go func() {
		at, err := a.m.Append(ctx, a.class, a.records)
		a.end(ctx, at, err)
	}()
}

// end is called where the drive answered.
func (a *appending) end(ctx context.Context, at []drive.Address, err error) {
	if errors.Is(err, drive.ErrWrite) && !a.again {
		a.again = true
		a.start(ctx)
		return
	}
	if !a.ended() {
		return
	}
	out := laid{appending: a, shard: a.shard, drive: a.m.number}
	if err == nil {
		out.address = at[0]
	} else {
		out.err = fmt.Errorf("append to drive %d: %w", a.m.number, err)
	}
	a.answers <- out
}

func (l *laying) take(ctx context.Context, a laid) {
	if a.err == nil {
		l.hold.add(place{a.drive, a.address.Extent})
		a.m.room().take(len(a.records[0].Payload))
	}
	if a.appending != nil {
		l.s.pins.appends.leave(a.ticket)
	}
	if a.err == nil {
		l.stripe.Shards[a.shard] = Shard{Drive: a.drive, Address: a.address}
		return
	}
	l.failed = append(l.failed, a.err)
	l.late = l.late || errors.Is(a.err, errLate)
	l.survey(ctx)
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
	if len(l.failed) == 0 { // no drive was chosen: they filled up, or failed, a moment ago
		if err := l.s.drives.writable(int(l.stripe.K), int(l.stripe.M), usesReserve(ctx)); err != nil {
			return err
		}
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
	m.room().take(len(record.Payload))
	return (<-result).at[0], nil
}
