package objects

import (
	"sync"
	"sync/atomic"
)

// badMax bounds the shards that are remembered as bad.
const badMax = 1 << 16

// shardID names one shard of one stripe.
type shardID struct {
	stripe [16]byte
	shard  uint8
}

// repairs are the stripes known to need repair; whose they are, a scan of the
// index tells.
type repairs struct {
	due   chan struct{} // holds one token when there is work
	asked atomic.Bool   // drives may lack what was written to them
	now   struct {
		sync.Mutex
		running bool
		report  RepairReport
	}
	bad struct {
		sync.Mutex
		shards map[shardID]bool // reported by reads
	}
}

func (r *repairs) init() {
	r.due = make(chan struct{}, 1)
	r.bad.shards = map[shardID]bool{}
}

func (r *repairs) wake() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}

// doubt: a drive came, went or recovered. The next repair asks every drive what it has.
func (r *repairs) doubt() {
	r.asked.Store(true)
	r.wake()
}

func (r *repairs) doubted() bool { return r.asked.Swap(false) }

// incomplete: a stripe was written without all of its shards.
func (r *repairs) incomplete([16]byte) { r.wake() }

// report: a read of a shard failed.
func (r *repairs) report(id shardID) {
	r.bad.Lock()
	if len(r.bad.shards) < badMax {
		r.bad.shards[id] = true
	}
	r.bad.Unlock()
	r.wake()
}

func (r *repairs) reported(id shardID) bool {
	r.bad.Lock()
	defer r.bad.Unlock()
	return r.bad.shards[id]
}

func (r *repairs) forget(id shardID) {
	r.bad.Lock()
	defer r.bad.Unlock()
	delete(r.bad.shards, id)
}

// progress is the repair under way, else the last one.
func (r *repairs) progress() (running bool, report RepairReport) {
	r.now.Lock()
	defer r.now.Unlock()
	return r.now.running, r.now.report
}

func (r *repairs) tell(running bool, report RepairReport) {
	r.now.Lock()
	defer r.now.Unlock()
	r.now.running, r.now.report = running, report
}
