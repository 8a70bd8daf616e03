package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/index"
)

// wantedMax bounds the records that one pass holds in memory.
const wantedMax = 1 << 18

// auditing is one pass over one drive, and the world as that pass sees it.
type auditing struct {
	s     *Store
	m     *member
	pass  audit.Pass
	hurry bool
	ctx   context.Context
	stop  context.CancelFunc
	step  func() // after every record

	healed bool   // the journal was told of its rot
	end    func() // of the piece that is being read; nil: none was admitted yet

	kept   time.Time
	credit time.Time // when what was read is paid for
	owed   int64     // bytes not yet paid for

	mu      sync.Mutex // guards what others look at
	cursor  audit.Cursor
	found   audit.Found
	counted audit.Found // of found: what is in the measures
}

var _ audit.World = (*auditing)(nil)

func (p *auditing) Now() time.Time { return p.s.host.Clock.Now() }

// now is where the pass is.
func (p *auditing) now() (audit.Cursor, audit.Found) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cursor, p.found
}

// Wanted scans the index for what shall lie in the drive's extents. The order
// makes Strict exact: what lies in an extent that was sealed before is pinned, or
// was committed before the scan, or is garbage.
func (p *auditing) Wanted(ctx context.Context, extents []uint32) (audit.Wanted, error) {
	w := wanting{
		drive: p.m.number, first: p.pass.Cursor.Extent == 0, there: map[uint32]bool{},
		out: audit.Wanted{Through: extents[len(extents)-1], Records: map[uint32]map[drive.Address]drive.Identity{}, Strict: map[uint32]bool{}},
	}
	for _, e := range p.m.Extents() {
		w.there[e.Number], w.highest = true, max(w.highest, e.Number)
		w.out.Strict[e.Number] = e.Sealed && e.Class.Blobs()
	}
	for _, n := range extents {
		w.out.Records[n] = map[drive.Address]drive.Identity{}
	}
	if !p.s.pins.appends.drained(ctx) {
		return w.out, ctx.Err()
	}
	for at := range p.s.pins.held(p.Now(), p.s.o.StageKept) {
		if at.drive == p.m.number {
			delete(w.out.Strict, at.extent)
		}
	}
	if err := p.s.settle(ctx); err != nil {
		clear(w.out.Strict) // what is open may yet be committed
	}
	err := p.s.eachValue(ctx, func(key []byte, blobs []Blob, err error) {
		if err != nil {
			w.hidden++
			if w.first && w.hidden <= 3 {
				p.s.problem(Problem{Key: string(key), What: err.Error()})
			}
		}
		w.value(blobs)
	})
	if w.hidden > 0 {
		clear(w.out.Strict) // what those values name is not known
	}
	return w.out, err
}

// wanting gathers what the index names on one drive.
type wanting struct {
	drive   uint16
	first   bool // no extent of the pass comes before
	there   map[uint32]bool
	highest uint32
	count   int
	hidden  int // values that do not decode
	out     audit.Wanted
}

func (w *wanting) value(blobs []Blob) {
	for i := range blobs {
		for j := range blobs[i].Stripes {
			st := &blobs[i].Stripes[j]
			for k, sh := range st.Shards {
				if sh.Drive == w.drive && !sh.Address.IsZero() {
					w.shard(sh.Address, st.identity(k))
				}
			}
		}
	}
}

func (w *wanting) shard(at drive.Address, id drive.Identity) {
	switch records := w.out.Records[at.Extent]; {
	case records != nil:
		records[at] = id
		if w.count++; w.count > wantedMax {
			w.shrink()
		}
	case w.first && !w.there[at.Extent] && at.Extent <= w.highest && len(w.out.Absent) < wantedMax:
		w.out.Absent = append(w.out.Absent, audit.Record{Identity: id, Address: at, Cause: drive.ErrGone})
	}
}

// shrink leaves the later half of the extents to another scan.
func (w *wanting) shrink() {
	if len(w.out.Records) < 2 {
		return
	}
	numbers := slices.Sorted(maps.Keys(w.out.Records))
	half := numbers[:len(numbers)/2]
	for _, n := range numbers[len(half):] {
		w.count -= len(w.out.Records[n])
		delete(w.out.Records, n)
	}
	w.out.Through = half[len(half)-1]
}

// Suspect looks again at records that were found bad, or not at all: whether they
// are still named, and still bad. Those that are go to repair with their owners.
func (p *auditing) Suspect(ctx context.Context, all []audit.Record) (bad int, err error) {
	suspects := map[drive.Identity]audit.Record{}
	within := lodgers{}
	for _, r := range all {
		suspects[r.Identity] = r
		within[shardID{r.Identity.Stripe, r.Identity.Shard}] = &lodger{}
	}
	type named struct {
		key    []byte
		stripe Stripe
		shard  int
	}
	var still []named
	err = p.s.eachValue(ctx, func(key []byte, blobs []Blob, _ error) {
		within.note(key, blobs)
		for i := range blobs {
			for j := range blobs[i].Stripes {
				st := &blobs[i].Stripes[j]
				for k, sh := range st.Shards {
					if r, ok := suspects[st.identity(k)]; ok && sh == (Shard{p.m.number, r.Address}) {
						still = append(still, named{bytes.Clone(key), *st, k})
					}
				}
			}
		}
	})
	if err != nil {
		return 0, err
	}
	for i := range still {
		n := &still[i]
		cause := p.s.check(ctx, p.m, &n.stripe, n.shard, true)
		if cause == nil || errors.Is(cause, errLate) || ctx.Err() != nil {
			continue
		}
		bad++
		if p.s.repairs.report(shardID{n.stripe.ID, uint8(n.shard)}, n.key) {
			p.s.measures.count(func(d *durability.Day) { d.Latent++ })
		}
		p.s.o.Events.shardBad(n.stripe.ID, n.shard, p.m.number, cause)
		p.s.problem(Problem{Drive: p.m.number, Extent: n.stripe.Shards[n.shard].Address.Extent, Key: string(n.key), What: cause.Error() + within[shardID{n.stripe.ID, uint8(n.shard)}].String()})
	}
	return bad, ctx.Err()
}

// lodgers are the packed blobs whose bytes lie in some shards.
type lodgers map[shardID]*lodger

type lodger struct {
	blobs int64
	first []string // keys of some
}

// lodgersNamed are told by their keys.
const lodgersNamed = 3

func (l lodgers) note(key []byte, blobs []Blob) {
	for i := range blobs {
		p := blobs[i].Packed
		if p == nil {
			continue
		}
		if in := l[shardID{p.Stripe, p.Shard}]; in != nil {
			if in.blobs++; len(in.first) < lodgersNamed {
				in.first = append(in.first, string(key))
			}
		}
	}
}

// String tells whose bytes are concerned beside the shard's own key.
func (l *lodger) String() string {
	if l == nil || l.blobs == 0 {
		return ""
	}
	return fmt.Sprintf("; %d packed objects lie in it, %q among them", l.blobs, l.first)
}

// Damaged notes rot that no value of the index names. The journal heals itself by
// an epoch on other drives or in other places. What rots among garbage harms nobody.
func (p *auditing) Damaged(e drive.ExtentInfo, at drive.Address, cause error) {
	if e.Class != drive.Journal && e.Class != 0 && at.Sector > 0 {
		return
	}
	p.s.measures.count(func(d *durability.Day) { d.Latent++ })
	p.s.problem(Problem{Drive: p.m.number, Extent: e.Number, What: cause.Error()})
	if e.Class != drive.Journal || p.healed || p.s.journal == nil {
		return
	}
	p.healed = true
	if err := p.s.journal.Damaged(p.ctx, p.m.number); err != nil {
		p.s.host.Log.Warn("rot in the journal is not healed yet", "drive", p.m.number, "at", at.String(), "error", err)
	}
}

// auditStep is how much is read between two waits.
const auditStep = 1 << 20

// Wait keeps the pace, and lets users go first.
func (p *auditing) Wait(ctx context.Context, c *audit.Cursor, n int64) error {
	p.mu.Lock()
	p.cursor, p.found = *c, p.pass.Found
	p.mu.Unlock()
	p.step()
	if p.owed += n; p.owed < auditStep {
		return ctx.Err()
	}
	owed := p.owed
	p.owed = 0
	p.rest()
	if err := p.pace(ctx, owed); err != nil {
		return err
	}
	end, err := p.s.admit(ctx)
	if err == nil {
		p.end = end
	}
	return err
}

// rest ends the piece that was being read.
func (p *auditing) rest() {
	if p.end != nil {
		p.end()
		p.end = nil
	}
}

// pace waits until so many bytes are paid for.
func (p *auditing) pace(ctx context.Context, owed int64) error {
	if err := p.s.traffic.grant(ctx, owed); err != nil || p.hurry {
		return err
	}
	now := p.Now()
	rate := p.s.auditSchedule().Rate(&p.cursor, now, usedBytes(p.m))
	p.credit = later(p.credit, now.Add(-time.Second)).Add(time.Duration(float64(owed) / float64(rate) * float64(time.Second)))
	if wait := p.credit.Sub(now); wait > 0 {
		return p.s.host.Clock.Sleep(ctx, wait)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Keep writes the cursor into the index, at most once a while.
func (p *auditing) Keep(ctx context.Context, c audit.Cursor, ended bool) error {
	a, now := &p.s.audits, p.Now()
	a.mu.Lock()
	a.cursors[p.m.number] = c
	a.mu.Unlock()
	if !ended && now.Sub(p.kept) < auditKept {
		return nil
	}
	p.kept = now
	p.count()
	key := fmt.Appendf(nil, "%s%05d", auditPrefix, p.m.number)
	_, err := p.s.idx.Commit(ctx, index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: key, Value: EncodeValue(nil, c.Encode(nil))}}})
	if err != nil && ctx.Err() == nil {
		p.s.host.Log.Debug("cursor of an audit not kept", "drive", p.m.number, "error", err)
		return nil // read-only: the audit goes on
	}
	return ctx.Err()
}

// count puts what was found since the last time into the measures.
func (p *auditing) count() {
	p.mu.Lock()
	now, before := p.pass.Found, p.counted
	p.found, p.counted = now, now
	p.mu.Unlock()
	news := now.Minus(before)
	p.s.measures.count(func(d *durability.Day) {
		d.BytesVerified += uint64(news.Bytes)
		d.ShardsVerified += uint64(news.Shards)
		d.Orphans += uint64(news.Orphans)
	})
	p.s.audits.mu.Lock()
	defer p.s.audits.mu.Unlock()
	if p.s.audits.running[p.m.number] == nil {
		p.s.audits.found = p.s.audits.found.Plus(now)
	}
}
