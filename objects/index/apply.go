package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Applied is what one entry did: the proposer's answer, and what watchers see.
type Applied struct {
	Result Result
	Err    error // nil or a *ConditionError
	Entry  Entry
}

// applier evaluates entries one after the other on top of an indexed batch, in
// which each sees what those before it did. Nothing in it depends on anything
// but the view and the entries.
type applier struct {
	batch       *pebble.Batch
	state       state
	shard       uint32
	requestsMax uint64
	recent      *recent
	expired     []byte // requestTimeKey of an outlived record of the id that recall looked for, or nil
}

func (a *applier) apply(e LogEntry) (Applied, error) {
	p, err := DecodeProposal(e.Data)
	if err != nil {
		return Applied{}, fmt.Errorf("entry %d: %w", e.Sequence, err)
	}
	a.state.applied = e.Sequence
	a.state.logTime = max(a.state.logTime, p.Proposed.UnixNano())
	if err := a.sweep(); err != nil {
		return Applied{}, err
	}
	done, err := a.decide(&p, e.Sequence)
	if err != nil {
		return Applied{}, err
	}
	done.Entry.Position = At(a.shard, e.Sequence)
	done.Entry.Version = e.Sequence
	done.Entry.RequestID = p.RequestID
	return done, nil
}

func (a *applier) decide(p *Proposal, sequence uint64) (Applied, error) {
	first, known, err := a.recall(p.RequestID)
	if err != nil {
		return Applied{}, err
	}
	if known {
		return Applied{Result: first}, a.note(sequence, nil)
	}
	failed, err := a.firstFailed(p.Conditions)
	if err != nil {
		return Applied{}, err
	}
	if failed >= 0 {
		cause := &ConditionError{Condition: failed, Key: append([]byte(nil), p.Conditions[failed].Key...)}
		return Applied{Err: cause}, a.note(sequence, nil)
	}
	applied, err := a.guards(p.Mutations)
	if err != nil {
		return Applied{}, err
	}
	if err := a.mutate(p.Mutations, applied, sequence); err != nil {
		return Applied{}, err
	}
	if err := a.remember(p.RequestID, sequence, applied); err != nil {
		return Applied{}, err
	}
	return Applied{
		Result: Result{Position: At(a.shard, sequence), Version: sequence, Applied: applied},
		Entry:  Entry{Mutations: effects(p.Mutations, applied)},
	}, a.note(sequence, applied)
}

// note keeps an outcome that the entry alone does not tell.
func (a *applier) note(sequence uint64, applied []bool) error {
	if outcomeKind(applied) == outcomeWhole {
		return nil
	}
	return a.batch.Set(outcomeKey(sequence), appendOutcome(nil, applied), nil)
}

func (a *applier) firstFailed(conditions []Condition) (int, error) {
	for i := range conditions {
		ok, err := a.holds(&conditions[i])
		if err != nil {
			return 0, err
		}
		if !ok {
			return i, nil
		}
	}
	return -1, nil
}

// guards are all evaluated before the first mutation takes effect.
func (a *applier) guards(mutations []Mutation) ([]bool, error) {
	applied := make([]bool, len(mutations))
	for i := range mutations {
		applied[i] = true
		if mutations[i].Guard == nil {
			continue
		}
		ok, err := a.holds(mutations[i].Guard)
		if err != nil {
			return nil, err
		}
		applied[i] = ok
	}
	return applied, nil
}

func (a *applier) holds(c *Condition) (bool, error) {
	if c.Kind == RangeEmpty {
		return a.rangeEmpty(c.Key, c.End)
	}
	version, exists, err := a.version(c.Key)
	if err != nil {
		return false, fmt.Errorf("evaluate condition on %q: %w", c.Key, err)
	}
	switch c.Kind {
	case KeyAbsent:
		return !exists, nil
	case KeyExists:
		return exists, nil
	default:
		return exists && version == c.Version, nil
	}
}

func (a *applier) version(key []byte) (uint64, bool, error) {
	b, closer, err := a.batch.Get(viewKey(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer closer.Close()
	if len(b) < versionBytes {
		return 0, false, fmt.Errorf("%w: value of %q", errView, key)
	}
	return binary.LittleEndian.Uint64(b), true, nil
}

func (a *applier) rangeEmpty(lo, hi []byte) (bool, error) {
	if emptyRange(lo, hi) {
		return true, nil
	}
	it, err := a.batch.NewIter(&pebble.IterOptions{LowerBound: viewKey(lo), UpperBound: viewEnd(hi)})
	if err != nil {
		return false, err
	}
	empty := !it.First()
	return empty, errors.Join(it.Error(), it.Close())
}

func emptyRange(lo, hi []byte) bool {
	return len(hi) > 0 && string(lo) >= string(hi)
}

func (a *applier) mutate(mutations []Mutation, applied []bool, sequence uint64) error {
	for i := range mutations {
		if !applied[i] {
			continue
		}
		if err := a.mutateOne(&mutations[i], sequence); err != nil {
			return fmt.Errorf("apply mutation of %q: %w", mutations[i].Key, err)
		}
	}
	return nil
}

func (a *applier) mutateOne(m *Mutation, sequence uint64) error {
	switch m.Kind {
	case Put:
		op := a.batch.SetDeferred(1+len(m.Key), versionBytes+len(m.Value))
		op.Key[0] = sectionKey
		copy(op.Key[1:], m.Key)
		binary.LittleEndian.PutUint64(op.Value, sequence)
		copy(op.Value[versionBytes:], m.Value)
		return op.Finish()
	case Delete:
		return a.batch.Delete(viewKey(m.Key), nil)
	default:
		if emptyRange(m.Key, m.End) {
			return nil
		}
		return a.batch.DeleteRange(viewKey(m.Key), viewEnd(m.End), nil)
	}
}
