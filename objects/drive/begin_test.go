package drive_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/tarnlake/tarn/objects/drive"
)

func TestWhatBeganIsAnsweredOnceAlsoByAClose(t *testing.T) {
	_, d := fresh(t, small)
	type answer struct {
		n   int
		at  []drive.Address
		err error
	}
	answers := make(chan answer, 100)
	for n := range 100 {
		must(t, d.Begin(drive.Small, []drive.Record{record(n, 300)}, func(at []drive.Address, err error) { answers <- answer{n, at, err} }))
	}
	must(t, d.Seal(t.Context(), drive.Small))
	for range 100 {
		a := <-answers
		must(t, a.err)
		holds(t, d, a.at[0], record(a.n, 300))
	}
	var called atomic.Int32
	must(t, d.Begin(drive.Journal, []drive.Record{record(1, 300)}, func(_ []drive.Address, err error) {
		if err == nil {
			called.Add(1)
		}
	}))
	must(t, d.Close())
	if called.Load() != 1 {
		t.Errorf("a close took what was queued without an answer")
	}
	if err := d.Begin(drive.Small, []drive.Record{record(1, 1)}, nil); !errors.Is(err, drive.ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
	if err := d.Begin(drive.Small, nil, nil); !errors.Is(err, drive.ErrTooLarge) {
		t.Errorf("no records: %v", err)
	}
}
