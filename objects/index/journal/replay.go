package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/tarnlake/tarn/objects/index"
)

// Replay yields the kept entries after a sequence. Where the fate of entries is
// open it is settled first by a new epoch, which leaves out those of an append that
// failed, and has those that Open found. Where too few drives are well for that,
// Replay ends with index.ErrReadOnly after all that it knows of.
func (j *Journal) Replay(ctx context.Context, after uint64) iter.Seq2[index.LogEntry, error] {
	return func(yield func(index.LogEntry, error) bool) {
		open := j.settle(ctx)
		last := j.Last()
		for at := after + 1; at <= last; {
			payload, s, err := j.fetch(ctx, at)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(index.LogEntry{}, fmt.Errorf("replay the journal at entry %d: %w", at, err))
				return
			}
			for sequence, e := range entriesOf(payload) {
				if sequence >= at && sequence <= last && !yield(index.LogEntry{Sequence: sequence, Data: e}, nil) {
					return
				}
			}
			at = s.last() + 1
		}
		if open != nil {
			yield(index.LogEntry{}, fmt.Errorf("replay the journal to its end: %w", open))
		}
	}
}

// settle decides the entries whose fate is open.
func (j *Journal) settle(ctx context.Context) error {
	j.mu.Lock()
	closed, doubt := j.mu.closed, j.mu.doubt
	j.mu.Unlock()
	switch {
	case closed:
		return index.ErrClosed
	case !doubt:
		return nil
	}
	j.write.Lock()
	defer j.write.Unlock()
	j.mu.Lock()
	doubt = j.mu.doubt
	j.mu.Unlock()
	if !doubt {
		return nil
	}
	return j.nextEpoch(ctx, nil)
}

// fetch reads the record that holds a sequence from the first copy that
// verifies. It begins anew where an epoch or a trim passed it.
func (j *Journal) fetch(ctx context.Context, sequence uint64) ([]byte, span, error) {
	for {
		l, s, spots, err := j.look(sequence)
		if err != nil {
			return nil, s, err
		}
		payload, bad, err := j.fetchAny(ctx, l, s, spots)
		if err == nil {
			j.noteDamage(l, s, bad)
			return payload, s, nil
		}
		if now, _, _, gone := j.look(sequence); now == l && gone == nil {
			return nil, s, fmt.Errorf("%w: entries %d to %d: %w", ErrLost, s.first, s.last(), err)
		}
	}
}

func (j *Journal) look(sequence uint64) (*ledger, span, []spot, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if sequence <= j.mu.trimmed {
		return nil, span{}, nil, index.ErrCompacted
	}
	s, spots, ok := j.mu.ledger.find(sequence)
	if !ok {
		return nil, span{}, nil, fmt.Errorf("%w: entry %d has no place", ErrLost, sequence)
	}
	return j.mu.ledger, s, spots, nil
}

func (j *Journal) fetchAny(ctx context.Context, l *ledger, s span, spots []spot) (payload []byte, bad []uint16, err error) {
	var errs []error
	for _, at := range spots {
		payload, err := j.fetchOne(ctx, l, s, at)
		if err == nil {
			return payload, bad, nil
		}
		bad, errs = append(bad, at.drive.Number()), append(errs, err)
	}
	return nil, bad, errors.Join(errs...)
}

func (j *Journal) fetchOne(ctx context.Context, l *ledger, s span, at spot) ([]byte, error) {
	payload, err := call(ctx, j, at.drive, func(ctx context.Context) ([]byte, error) {
		p := make([]byte, s.bytes)
		return p, at.drive.Read(ctx, at.at, l.identity(), p, 0)
	})
	if err != nil {
		return nil, fmt.Errorf("read drive %d at %v: %w", at.drive.Number(), at.at, err)
	}
	h, err := decodeRecord(payload)
	if err == nil && (h.epoch != l.number || h.first != s.first || h.count != s.count) {
		err = fmt.Errorf("%w: another record lies there", ErrRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("read drive %d at %v: %w", at.drive.Number(), at.at, err)
	}
	return payload, nil
}

// noteDamage has the next append begin with a new epoch, which puts what was
// unreadable on m+1 drives again.
func (j *Journal) noteDamage(l *ledger, s span, bad []uint16) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if l != j.mu.ledger || s.last() <= j.mu.trimmed {
		return // it was not damaged but given back
	}
	for _, d := range bad {
		j.mu.damaged[d]++
	}
}
