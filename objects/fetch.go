package objects

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/erasure"
)

// fetch reads one range of one stripe: the data shards that hold it, each
// verified by its drive. Where one is missing, wrong or slow, the same range of
// k others gives it back. Every read has memory of its own, for one that is late
// may still write to it.
type fetch struct {
	s       *Store
	st      *Stripe
	owner   []byte // key of the value that names the stripe; nil: not known
	answers chan fetched
	calls   []*call
	waiting int    // answers that will come, unless a drive hangs
	parts   []part // the range, in order
	others  others
	causes  []error
}

// part is the piece [from, to) of one shard.
type part struct {
	shard    int
	from, to int
	data     []byte // nil until it came
	asked    bool
	failed   bool // others are needed
}

// others are reads of one range of any k shards, to rebuild parts from.
type others struct {
	begun    bool
	from, to int
	asked    []bool
	data     [][]byte
	good     int
	waiting  int
}

// fetched is an answer: of a part, or with part < 0 of one of the others.
type fetched struct {
	part, shard int
	data        []byte
	err         error
}

// fetch gives the bytes [lo, hi) of a stripe as pieces, in order. The caller
// releases them.
func (s *Store) fetch(ctx context.Context, st *Stripe, owner []byte, lo, hi int) ([]part, error) {
	return s.fetchWithout(ctx, st, owner, -1, lo, hi)
}

// fetchWithout rebuilds what lies in one shard, unless that is negative, from others.
func (s *Store) fetchWithout(ctx context.Context, st *Stripe, owner []byte, avoid, lo, hi int) ([]part, error) {
	defer s.traffic.user()()
	n := len(st.Shards)
	f := &fetch{s: s, st: st, owner: owner, answers: make(chan fetched, 2*n)} // each shard is asked at most twice
	f.others.asked, f.others.data = make([]bool, n), make([][]byte, n)
	f.cut(lo, hi)
	for i := range f.parts {
		p := &f.parts[i]
		p.asked = f.readable(p.shard) && p.shard != avoid
		if p.failed = !p.asked; p.asked {
			f.ask(ctx, i, p.shard, p.from, p.to)
		}
	}
	err := f.wait(ctx)
	f.leave()
	if err != nil {
		return nil, fmt.Errorf("read stripe %x: %w", st.ID, err)
	}
	return f.parts, nil
}

// cut lays the range over the shards. Of whole copies any one will do.
func (f *fetch) cut(lo, hi int) {
	if f.st.K == 1 {
		f.parts = []part{{shard: f.nearest(), from: lo, to: hi}}
		return
	}
	size := f.st.ShardBytes()
	for i := lo / size; i*size < hi; i++ {
		f.parts = append(f.parts, part{shard: i, from: max(lo-i*size, 0), to: min(hi-i*size, size)})
	}
}

// nearest is the copy to read first: by the stripe's id, so that all drives serve.
func (f *fetch) nearest() int {
	n := len(f.st.Shards)
	for i := range n {
		if shard := (int(f.st.ID[0]) + i) % n; f.readable(shard) {
			return shard
		}
	}
	return 0
}

// member is the open drive with a shard; nil where there is none.
func (f *fetch) member(shard int) *member {
	sh := f.st.Shards[shard]
	if sh.Address.IsZero() {
		return nil
	}
	if m := f.s.drives.find(sh.Drive); m != nil && m.Drive != nil {
		return m
	}
	return nil
}

func (f *fetch) readable(shard int) bool {
	m := f.member(shard)
	return m != nil && m.readable()
}

func (f *fetch) ask(ctx context.Context, part, shard, from, to int) {
	m, at, id := f.member(shard), f.st.Shards[shard].Address, f.st.identity(shard)
	c := f.s.begin(m)
	f.calls = append(f.calls, c)
	f.waiting++
	go func() {
		p := shardMemory(to - from)
		began := f.s.host.Clock.Now()
		err := m.Read(ctx, at, id, p, int64(from))
		if err == nil {
			f.s.hedging.note(f.s.host.Clock.Now().Sub(began))
		}
		c.ended()
		f.answers <- fetched{part, shard, p, err}
	}()
}

// wait takes answers until every part is there. It asks others as soon as a part
// cannot come, and all others when one is slow.
func (f *fetch) wait(ctx context.Context) error {
	slow := false
	alarm := make(chan struct{}, 1)
	stop := f.s.host.Clock.AfterFunc(f.s.hedging.after(f.s.o.HedgeDelay), func() { alarm <- struct{}{} })
	defer stop()
	for {
		if done, err := f.step(ctx, slow); done {
			return err
		}
		select {
		case a := <-f.answers:
			f.take(a)
		case <-alarm:
			if slow {
				return f.verdict()
			}
			slow = true
			end := f.s.host.Clock.AfterFunc(f.s.overtime(), func() { alarm <- struct{}{} })
			defer end()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// overtime is what is left of DriveTimeout when HedgeDelay has passed.
func (s *Store) overtime() time.Duration {
	return max(s.o.DriveTimeout-s.o.HedgeDelay, 0)
}

// step does what can be done without waiting.
func (f *fetch) step(ctx context.Context, slow bool) (done bool, err error) {
	if f.complete() {
		return true, nil
	}
	if slow || f.anyFailed() {
		f.askOthers(ctx, slow)
	}
	if f.others.good >= int(f.st.K) {
		return true, f.rebuild()
	}
	if f.waiting == 0 {
		return true, f.verdict()
	}
	return false, nil
}

func (f *fetch) complete() bool {
	for i := range f.parts {
		if f.parts[i].data == nil {
			return false
		}
	}
	return true
}

func (f *fetch) anyFailed() bool {
	for i := range f.parts {
		if f.parts[i].failed {
			return true
		}
	}
	return false
}

func (f *fetch) take(a fetched) {
	f.waiting--
	o := &f.others
	if a.part < 0 {
		o.waiting--
	}
	switch {
	case a.err != nil:
		f.fail(a)
	case a.part >= 0:
		f.parts[a.part].data = a.data
	default:
		o.data[a.shard], o.good = a.data, o.good+1
	}
}

func (f *fetch) fail(a fetched) {
	if a.part >= 0 {
		f.parts[a.part].failed = true
	}
	number := f.st.Shards[a.shard].Drive
	f.causes = append(f.causes, fmt.Errorf("shard %d on drive %d: %w", a.shard, number, a.err))
	if !errors.Is(a.err, context.Canceled) && !errors.Is(a.err, context.DeadlineExceeded) {
		if f.s.repairs.report(shardID{f.st.ID, uint8(a.shard)}, f.owner) {
			f.s.measures.count(func(d *durability.Day) { d.ReadErrors++ })
		}
		f.s.o.Events.shardBad(f.st.ID, a.shard, number, a.err)
	}
}

// askOthers asks as many other shards as are still needed for k, or all that are
// well; drives that are slow only where there is no other way.
func (f *fetch) askOthers(ctx context.Context, all bool) {
	o := &f.others
	if !o.begun {
		f.span()
	}
	for shard := range f.st.Shards {
		if enough := o.good+o.waiting >= int(f.st.K); (all || !enough) && f.readable(shard) {
			f.askOther(ctx, shard)
		}
	}
	for shard := range f.st.Shards {
		if o.good+o.waiting < int(f.st.K) && f.member(shard) != nil {
			f.askOther(ctx, shard)
		}
	}
}

// span is the range over all parts that did not come yet.
func (f *fetch) span() {
	o := &f.others
	o.begun, o.from = true, f.st.ShardBytes()
	for _, p := range f.parts {
		if p.data == nil {
			o.from, o.to = min(o.from, p.from), max(o.to, p.to)
		}
	}
}

// askOther reads the range of a shard, unless that was asked before, is known
// already, or belongs to a part that has yet to come or failed.
func (f *fetch) askOther(ctx context.Context, shard int) {
	o := &f.others
	if o.asked[shard] {
		return
	}
	for _, p := range f.parts {
		switch {
		case p.shard != shard:
		case p.data == nil && p.asked:
			return
		case p.data != nil && p.from <= o.from && p.to >= o.to:
			o.asked[shard], o.good = true, o.good+1
			o.data[shard] = p.data[o.from-p.from : o.to-p.from]
			return
		}
	}
	o.asked[shard], o.waiting = true, o.waiting+1
	f.ask(ctx, -1, shard, o.from, o.to)
}

// rebuild makes the parts that did not come from k others.
func (f *fetch) rebuild() error {
	code, err := erasure.New(int(f.st.K), int(f.st.M))
	if err != nil {
		return err
	}
	o := &f.others
	wanted := make([]bool, len(f.st.Shards))
	for _, p := range f.parts {
		wanted[p.shard] = p.data == nil
	}
	if err := code.Reconstruct(o.data, wanted); err != nil {
		return err
	}
	for i := range f.parts {
		if p := &f.parts[i]; p.data == nil {
			p.data = o.data[p.shard][p.from-o.from : p.to-o.from]
		}
	}
	return nil
}

// verdict is the error of a range that cannot be read now.
func (f *fetch) verdict() error {
	for shard, sh := range f.st.Shards {
		if m := f.s.drives.find(sh.Drive); sh.Address.IsZero() {
			f.causes = append(f.causes, fmt.Errorf("shard %d was not written", shard))
		} else if m == nil || !m.readable() {
			f.causes = append(f.causes, fmt.Errorf("shard %d is on drive %d, which cannot be read", shard, sh.Drive))
		}
	}
	return fmt.Errorf("%w: %d are needed: %w", ErrUnavailable, f.st.K, errors.Join(f.causes...))
}

// leave sees to it that drives whose answers nobody waits for any more are
// declared slow in time.
func (f *fetch) leave() {
	if f.waiting == 0 {
		return
	}
	calls := f.calls
	f.s.host.Clock.AfterFunc(f.s.overtime(), func() {
		for _, c := range calls {
			c.giveUp()
		}
	})
}
