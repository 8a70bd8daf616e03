package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// requestsMax bounds the remembered requests, so that a proposer's clock that
// leapt ahead cannot make them grow for ever. At the bound the oldest are
// forgotten early: at 4,600 requests a second, after 15 minutes.
const requestsMax = 4 << 20

// Remembered result, little endian:
//
//	 0  8  log time at which it was applied
//	 8  8  sequence
//	16  …  outcome
const rememberedBytes = 16

// recall finds what an earlier transaction with this id did.
func (a *applier) recall(id RequestID) (Result, bool, error) {
	a.expired = nil
	if id == (RequestID{}) || a.recent.lacks(id) {
		return Result{}, false, nil
	}
	b, closer, err := a.batch.Get(requestKey(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return Result{}, false, nil
	}
	if err != nil {
		return Result{}, false, fmt.Errorf("read request %x: %w", id, err)
	}
	defer closer.Close()
	if len(b) < rememberedBytes {
		return Result{}, false, fmt.Errorf("%w: request %x", errView, id)
	}
	at, sequence := int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:])
	if at <= a.state.logTime-int64(RequestKept) {
		a.expired = requestTimeKey(at, sequence)
		return Result{}, false, nil
	}
	applied, err := decodeOutcome(b[rememberedBytes:])
	if err != nil {
		return Result{}, false, err
	}
	return Result{Position: At(a.shard, sequence), Version: sequence, Applied: applied, Repeated: true}, true, nil
}

// remember keeps what the transaction did. A failed condition is not kept: it
// left nothing that a second try could repeat.
func (a *applier) remember(id RequestID, sequence uint64, applied []bool) error {
	if id == (RequestID{}) {
		return nil
	}
	if a.expired != nil {
		a.state.requests--
		if err := a.batch.Delete(a.expired, nil); err != nil {
			return err
		}
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(a.state.logTime))
	b = binary.LittleEndian.AppendUint64(b, sequence)
	if err := a.batch.Set(requestKey(id), appendOutcome(b, applied), nil); err != nil {
		return err
	}
	a.state.requests++
	a.recent.add(id, a.state.logTime)
	return a.batch.Set(requestTimeKey(a.state.logTime, sequence), id[:], nil)
}

// sweep forgets what is older than RequestKept, and the oldest above the bound,
// once a second of log time: as a function of the log alone, so that every
// replica forgets at the same entry.
func (a *applier) sweep() error {
	if a.state.swept == second(a.state.logTime) {
		return nil
	}
	a.state.swept = second(a.state.logTime)
	cutoff := a.state.logTime - int64(RequestKept)
	it, err := a.batch.NewIter(&pebble.IterOptions{
		LowerBound: []byte{sectionByTime}, UpperBound: []byte{sectionByTime + 1},
	})
	if err != nil {
		return err
	}
	var old []RequestID
	end := []byte{sectionByTime}
	for ok := it.First(); ok; ok = it.Next() {
		at := int64(binary.BigEndian.Uint64(it.Key()[1:]))
		if at > cutoff && a.state.requests-uint64(len(old)) <= a.requestsMax {
			break
		}
		old = append(old, RequestID(it.Value()))
		end = append(append(end[:0], it.Key()...), 0)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	a.recent.forget(cutoff)
	if len(old) == 0 {
		return nil
	}
	for _, id := range old {
		if err := a.batch.Delete(requestKey(id), nil); err != nil {
			return err
		}
	}
	a.state.requests -= uint64(len(old))
	return a.batch.DeleteRange([]byte{sectionByTime}, end, nil)
}
