package journal

import (
	"context"
	"errors"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// Although the root record finds drives enough.
func TestAnEpochOnFewerDrivesThanMayBeLostIsNeverBegun(t *testing.T) {
	w := newWorld(1, 6, 2)
	o := w.options(6)
	o.New = true
	o.Choose = func(map[uint16]bool) []Drive { return w.drives()[:2] }
	j, err := Open(context.Background(), o)
	if err == nil {
		_, err = j.Append(context.Background(), [][]byte{[]byte("entry")})
	}
	if !errors.Is(err, index.ErrReadOnly) {
		t.Errorf("two copies, with two drives that may be lost: %v", err)
	}
}

func TestARecordThatDoesNotContinueTheChainEndsIt(t *testing.T) {
	record := func(first, previous, chain uint64) found {
		return found{header: header{epoch: 1, first: first, count: 1, previous: previous, chain: chain}}
	}
	s := State{Epoch: 1, ID: [16]byte{1}}
	for _, c := range []struct {
		previous, last uint64
	}{{11, 2}, {99, 1}} {
		h, err := recall(s, []scanned{{records: []found{record(1, seed(s.ID), 11), record(2, c.previous, 22)}}})
		if err != nil || h.last != c.last {
			t.Errorf("after a record whose chain is 11, one that continues %d: the log ends at %d, %v", c.previous, h.last, err)
		}
	}
}

func TestAnEpochOfTwoIdentitiesOrSetsOfDrivesIsRefused(t *testing.T) {
	s := State{Epoch: 3, ID: [16]byte{1}, Drives: []uint16{1, 2, 3}}
	if got, err := newest([]State{s, s}); err != nil || got.Epoch != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	named, placed := s, s
	named.ID, placed.Drives = [16]byte{2}, []uint16{1, 2, 4}
	for _, other := range []State{named, placed} {
		if _, err := newest([]State{s, other}); !errors.Is(err, ErrForked) {
			t.Errorf("epoch %+v beside %+v: %v", other, s, err)
		}
	}
}
