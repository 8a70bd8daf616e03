package journal

import (
	"context"
	"errors"
	"testing"
)

// lonelyRoots name one epoch on one drive only.
type lonelyRoots struct {
	fakeRoots
	epoch uint64 // from which on
	drive uint16
}

func (r lonelyRoots) Save(ctx context.Context, s State) error {
	if s.Epoch < r.epoch {
		return r.fakeRoots.Save(ctx, s)
	}
	r.w.media[r.drive-1].set(func() { r.w.media[r.drive-1].state = &s })
	return errors.New("the power is cut before another root is written")
}

// TestAnEpochThatOneAbsentDriveKnowsOfHidesNothing: the name of epoch 2 reached one
// root only, whose drive is then away for a session in which entries are acknowledged,
// and returns. Were epoch 1 gone on with in that session, epoch 2 would win.
func TestAnEpochThatOneAbsentDriveKnowsOfHidesNothing(t *testing.T) {
	w := newWorld(1, 5, 1)
	j := opened(t, w, func(o *Options) { o.New = true })
	appendAll(t, j, "first")
	_, drives, _ := j.Epoch()
	alone := w.media[4]
	for _, d := range drives {
		if d == alone.number {
			t.Fatalf("drive %d is one of the epoch's", d)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	w.restart()
	j = opened(t, w, func(o *Options) {
		o.Roots = lonelyRoots{fakeRoots{w}, 2, alone.number}
	})
	j.noteDamage(j.mu.ledger, j.mu.ledger.spans[0], []uint16{drives[0]}) // a new epoch is wanted
	if _, err := j.Append(context.Background(), [][]byte{[]byte("refused")}); err == nil {
		t.Fatal("an append was answered whose epoch has no name")
	}
	if alone.state.Epoch != 2 {
		t.Fatalf("drive %d knows of epoch %d", alone.number, alone.state.Epoch)
	}

	w.restart()
	alone.set(func() { alone.absent = true })
	j = opened(t, w, func(o *Options) { o.New = false })
	appendAll(t, j, "second")
	if number, _, _ := j.Epoch(); number < 3 {
		t.Errorf("epoch %d serves, and epoch 2 may have been named", number)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	w.restart()
	alone.set(func() { alone.absent = false })
	j = opened(t, w, func(o *Options) { o.New = false })
	if got := contents(t, j, 0); got != "first second " {
		t.Errorf("after the drive returned: %q", got)
	}
}
