package journal

import (
	"context"
	"errors"
	"testing"

	"github.com/tarnlake/tarn/objects/drive"
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

func TestAnEpochIsGoneOnWithOnlyWhereACopyIsSureToHoldItsEnd(t *testing.T) {
	s := State{Epoch: 1, ID: [16]byte{1}, Drives: []uint16{0, 1, 2}}
	mark := found{header: header{epoch: 1, first: 1, previous: seed(s.ID)}}
	entry := found{header: header{epoch: 1, first: 1, count: 1, previous: seed(s.ID), chain: 11}}
	sound := scanned{records: []found{mark, entry}}
	rotten := scanned{records: []found{mark}, rotten: 1, open: true}
	middle := scanned{records: []found{entry}, rotten: 1}
	outdated := scanned{records: []found{mark}, past: true}
	for _, c := range []struct {
		name   string
		copies []scanned
		last   uint64
		lost   bool
	}{
		{"one sound copy", []scanned{rotten, sound, outdated}, 1, false},
		{"the end is sound", []scanned{rotten, middle, outdated}, 1, false},
		{"rot at the end, or outdated", []scanned{rotten, outdated}, 0, true},
		{"outdated alone", []scanned{outdated}, 0, true},
		{"an empty drive beside it", []scanned{outdated, {}}, 0, true},
		{"rot at the end alone", []scanned{rotten}, 0, true},
	} {
		h, err := recall(s, c.copies)
		if errors.Is(err, ErrLost) != c.lost || err == nil && h.last != c.last {
			t.Errorf("%s: the log ends at %d, %v", c.name, h.last, err)
		}
	}
}

// An epoch that was cut off before the roots named it lies behind the one that counts.
func TestWhatAnotherEpochLeftSaysNothingOfThisOne(t *testing.T) {
	s := State{Epoch: 1, ID: [16]byte{1}}
	h := header{epoch: 2, first: 1, previous: seed([16]byte{2})}
	left := drive.Found{Identity: drive.Identity{Stripe: [16]byte{2}}, Payload: encodeRecord(&h, nil)}
	var c scanned
	if c.take(left, s); c.open || c.rotten > 0 || len(c.records) > 0 {
		t.Errorf("%+v", c)
	}
	if c.take(drive.Found{Err: errRot}, s); !c.open || c.rotten != 1 {
		t.Errorf("rot: %+v", c)
	}
}
