package vectors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// RecallDefault is the share of the ten nearest that an automatic query of an index finds whose spec does not say.
const (
	RecallDefault = 0.95
	recallLeast   = 0.5
	recallMost    = 0.999
)

func validateTarget(target float64, field string) error {
	if !(target >= recallLeast && target <= recallMost) {
		return invalid(field, "is %v, must be %v to %v", target, recallLeast, recallMost)
	}
	return nil
}

// Target is the share of the ten nearest that automatic queries are to find.
func (s *Spec) Target() float64 {
	if s.RecallTarget == 0 {
		return RecallDefault
	}
	return s.RecallTarget
}

// ChangeRecall changes an index's target. Queries are answered as before until upkeep has chosen their probes
// anew, which it does at once.
func (e *Engine) ChangeRecall(ctx context.Context, bucket, name string, target float64) (Info, error) {
	if err := validateTarget(target, "recallTarget"); err != nil {
		return Info{}, err
	}
	for range attemptsMax {
		o, m, err := e.current(ctx, bucket, name)
		if err != nil {
			return Info{}, err
		}
		rec, version, err := e.readRecord(ctx, bucket, name)
		if err != nil {
			return Info{}, err
		}
		rec.spec.RecallTarget = target
		key, txn := recordKey(bucket, name), index.Txn{}
		txn.Conditions = []index.Condition{{Kind: index.KeyVersion, Key: key, Version: version}, o.upkeepCondition(m.view)}
		txn.Mutations = []index.Mutation{{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, rec.encode())}}
		if m.upkeepVersion > 0 {
			next := m.upkeep
			next.calibratedRows = 0 // do it anew
			txn.Mutations = append(txn.Mutations, index.Mutation{Kind: index.Put, Key: o.keys.key(keyUpkeep, ""), Value: objects.EncodeValue(nil, next.encode())})
		}
		_, err = e.commit(ctx, txn)
		var failed *index.ConditionError
		switch {
		case errors.As(err, &failed):
			continue
		case err != nil:
			return Info{}, fmt.Errorf("change the recall of index %s: %w", name, err)
		}
		info, err := e.DescribeIndex(ctx, bucket, name) // it is open again
		e.wake()
		return info, err
	}
	return Info{}, objects.ErrConflict
}

// asked is a sample of the automatic queries since probes were last chosen by such a sample, in which each is as likely as any
// other: a reservoir (Vitter, Random Sampling with a Reservoir, 1985, algorithm R). Its chance is a hash of the query's number.
type asked struct {
	since atomic.Uint64 // queries
	due   atomic.Uint64 // of them, after which probes are chosen anew; zero: askedFirst
	mu    sync.Mutex
	list  [][]float32
}

const (
	askedMost  = 128
	askedLeast = 64      // queries that tell more than stored vectors do
	askedFirst = 1 << 10 // the index has seen what it is used for
	askedShare = 25      // of a processor's time that queries take, choosing probes takes a hundredth: a query costs as much as 25 × 100 comparisons
)

// note reports whether probes are due to be chosen.
func (a *asked) note(q []float32) (due bool) {
	n := a.since.Add(1)
	at := n - 1
	if n > askedMost {
		h := n * 0x9e3779b97f4a7c15
		h ^= h >> 29
		if at = h % n; at >= askedMost {
			return n == a.dueAt()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if at < uint64(len(a.list)) {
		a.list[at] = append(a.list[at][:0], q...)
	} else {
		a.list = append(a.list, slices.Clone(q))
	}
	return n == a.dueAt()
}

func (a *asked) dueAt() uint64 {
	if due := a.due.Load(); due > 0 {
		return due
	}
	return askedFirst
}

// wanted: enough was asked since probes were chosen.
func (a *asked) wanted() bool { return a.since.Load() >= a.dueAt() }

// samples are copies of what was asked; none where that is too little to tell.
func (a *asked) samples() (list []sampled) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) < askedLeast {
		return nil
	}
	for _, q := range a.list {
		list = append(list, sampled{values: slices.Clone(q)})
	}
	return list
}

// chosen begins to count anew: of an index of so many rows, probes are chosen by samples that cost so many comparisons with each.
func (a *asked) chosen(samples, rows int) {
	a.due.Store(max(4*a.dueAt(), uint64(samples*rows/askedShare)))
	a.since.Store(0)
}

// Recall is what Engine.Recall measured.
type Recall struct {
	Recall       float64 // share of the exact neighbours that were found
	Samples      int
	Probes       int   // cells that an automatic query looks into
	ExactScanned int64 // vectors compared for the exact answers
}

// Recall answers queries both ways, by probing and exactly, and tells how many of the
// k nearest neighbours the first way finds. The queries are stored vectors,
// every second one drawn towards another.
func (e *Engine) Recall(ctx context.Context, bucket, name string, samples, k int) (Recall, error) {
	if samples < 1 || samples > PageMax {
		return Recall{}, invalid("samples", "is %d, must be 1 to %d", samples, PageMax)
	}
	if k < 1 || k > GetMax {
		return Recall{}, invalid("k", "is %d, must be 1 to %d", k, GetMax)
	}
	o, m, err := e.current(ctx, bucket, name)
	if err != nil {
		return Recall{}, err
	}
	queries, err := o.sample(ctx, &m, samples)
	if err != nil {
		return Recall{}, err
	}
	r := Recall{Samples: len(queries), Probes: m.upkeep.probes, Recall: 1}
	wanted, got := 0, 0
	for _, q := range queries {
		exact, err := e.Query(ctx, bucket, name, Request{Values: q.values, TopK: k, Exact: true})
		if err != nil {
			return r, err
		}
		quick, err := e.Query(ctx, bucket, name, Request{Values: q.values, TopK: k})
		if err != nil {
			return r, err
		}
		r.ExactScanned += exact.Explain.Scanned
		wanted += len(exact.Hits)
		got += overlap(exact.Hits, quick.Hits)
	}
	if wanted > 0 {
		r.Recall = float64(got) / float64(wanted)
	}
	return r, nil
}

func overlap(a, b []Hit) int {
	keys := map[string]bool{}
	for _, h := range a {
		keys[h.Key] = true
	}
	n := 0
	for _, h := range b {
		if keys[h.Key] {
			n++
		}
	}
	return n
}
