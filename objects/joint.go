package objects

import (
	"context"
	"slices"
	"sync"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/erasure"
	"github.com/tarnlake/tarn/objects/index"
)

// Bounds of what is written jointly.
const (
	jointLeast    = 8        // unless Options.JointLeast says otherwise
	jointBlobMax  = 32 << 10 // of one blob; larger ones make shards uneven
	jointShardMax = 256 << 10
	jointSlack    = 1.0 / 64 // of a stripe, left empty rather than have a blob wait for the next one
)

// joints let small blobs share a stripe from the start where many are written at
// once. Each lies whole in one data shard, as in a stripe that was packed:
//
//	few are on their way  ──► at once, whole copies on m+1 drives
//	many                  ──► it waits for those, as it would in the drives' queues; then
//	                          with others of its bucket that wait ──► one stripe, k+m shards synced
//	                          with too few others                 ──► whole copies
//
// Each blob is committed by itself. Its transaction makes the stripe's entry too,
// unless another's has: so that whichever is first, and wherever the power is cut,
// no entry names a stripe that the index does not.
type joints struct {
	s    *Store
	pool *erasure.Pool

	mu      sync.Mutex
	under   int // blobs that are being written
	waiting []*joining
}

// joining is a blob that waits for others.
type joining struct {
	bucket string
	from   packable
	told   chan struct{} // closed when the rest is known
	joint  *joint        // nil: it shall go alone
	blob   Blob
}

// joint is a stripe that several blobs share from the start. It has no entry until
// one of them is committed.
type joint struct{ key, value []byte }

// entry makes the stripe's entry unless it is there: it may name other places by
// now, where shards were moved.
func (j *joint) entry() index.Mutation {
	return index.Mutation{
		Kind: index.Put, Key: j.key, Value: j.value,
		Guard: &index.Condition{Kind: index.KeyAbsent, Key: j.key},
	}
}

func (j *joints) init(s *Store) {
	j.s, j.pool = s, erasure.NewPool(s.code, jointShardMax, 4)
}

// enter returns a blob that was written with others, or nil where the caller shall
// write it alone, and leave then.
func (j *joints) enter(ctx context.Context, bucket string, body []byte) (*joining, error) {
	one := &joining{bucket: bucket, from: packable{bytes: int64(len(body)), body: body}, told: make(chan struct{})}
	if !j.queue(one) {
		return nil, nil
	}
	select {
	case <-one.told:
	case <-ctx.Done():
		if j.withdraw(one) {
			return nil, ctx.Err()
		}
		<-one.told
	}
	if one.joint == nil {
		return nil, nil
	}
	return one, nil
}

// queue reports false where the blob goes alone, at once.
func (j *joints) queue(one *joining) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	least := j.s.o.JointLeast
	if j.under < least && least > 1 {
		j.under++
		return false
	}
	j.waiting = append(j.waiting, one)
	j.launch()
	return true
}

func (j *joints) withdraw(one *joining) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.Index(j.waiting, one)
	if i < 0 {
		return false
	}
	j.waiting = slices.Delete(j.waiting, i, i+1)
	return true
}

// leave ends the writing of so many blobs.
func (j *joints) leave(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.under -= n
	j.launch()
}

// launch lets all go that wait, once few are on their way. mu is held.
func (j *joints) launch() {
	if j.under >= j.s.o.JointLeast || len(j.waiting) == 0 {
		return
	}
	all := j.waiting
	j.waiting = nil
	for len(all) > 0 {
		var load []*joining
		load, all = sameBucket(all)
		for len(load) > 0 {
			b := j.bale(load)
			if b == nil {
				break
			}
			n := len(b.blobs)
			j.under += n
			go j.write(b, load[:n:n])
			if load = load[n:]; len(load) < j.s.o.DataShards { // they are next, and stand first
				j.waiting = append(j.waiting, load...)
				load = nil
			}
		}
		j.under += len(load)
		for _, one := range load {
			close(one.told)
		}
	}
}

// sameBucket takes those out that are of the first one's bucket.
func sameBucket(all []*joining) (same, others []*joining) {
	for _, one := range all {
		if one.bucket == all[0].bucket {
			same = append(same, one)
		} else {
			others = append(others, one)
		}
	}
	return same, others
}

// bale is a stripe of the first of a load; nil where they had better go alone.
func (j *joints) bale(load []*joining) *bale {
	if len(load) < j.s.o.JointLeast || !j.s.stripesWhole() || j.s.pins.crowded() {
		return nil
	}
	k := j.s.o.DataShards
	b := &bale{shards: make([]int, k)}
	fills := []float64{0} // by the number of blobs
	for n := 0; n < len(load) && slices.Min(b.shards)+len(load[n].from.body) <= jointShardMax && b.add(&load[n].from); n++ {
		fills = append(fills, float64(b.payload)/float64(k*slices.Max(b.shards)))
	}
	if n := evenest(fills, max(len(b.blobs)-k+1, j.s.o.JointLeast)); n < len(b.blobs) {
		b = &bale{shards: make([]int, k)}
		for i := range n {
			b.add(&load[i].from)
		}
	}
	if j.s.o.JointLeast > 1 && !b.worthwhile(j.s.o.ParityShards) {
		return nil
	}
	return b
}

// evenest is how many of the first blobs, from least on, fill a stripe best; more of them where it is all but the same.
func evenest(fills []float64, least int) int {
	best := min(least, len(fills)-1)
	for n := best; n < len(fills); n++ {
		if fills[n] >= fills[best]-jointSlack {
			best = n
		}
	}
	return best
}

// worthwhile: the stripe takes at most three quarters of what whole copies would.
func (b *bale) worthwhile(m int) bool {
	copies := int64(0)
	for i := range b.blobs {
		copies += int64(m+1) * drive.RecordBytes(int(b.blobs[i].from.bytes))
	}
	return int64(len(b.shards)+m)*drive.RecordBytes(slices.Max(b.shards))*4 <= copies*3
}

// write makes a stripe durable, and tells those that share it.
func (j *joints) write(b *bale, load []*joining) {
	at, blobs, err := j.durable(j.s.life, b, load[0].bucket)
	for i, one := range load {
		if err == nil {
			one.joint, one.blob = at, blobs[i]
		}
		close(one.told)
	}
	if err == nil {
		j.s.tidy.backlog.joined(len(load), b.payload)
		j.leave(len(load))
	}
}

func (j *joints) durable(ctx context.Context, b *bale, bucket string) (*joint, []Blob, error) {
	hold := j.s.pins.hold()
	st, err := j.s.layBale(ctx, hold, b, j.pool, drive.Joint, nil)
	if err != nil {
		hold.end()
		return nil, nil, err
	}
	blobs := make([]Blob, len(b.blobs))
	for i := range blobs {
		blobs[i] = b.blobs[i].blob(&st)
	}
	hold.stageJoint(j.s.host.Clock.Now(), &st, blobs)
	value := encodeStripeRecord(st, stripeRecord{b.payload, int64(len(blobs))})
	return &joint{stripeKey(bucket, st.ID), value}, blobs, nil
}
