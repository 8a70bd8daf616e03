package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

var background = context.Background()

// opened is a new journal over a world of fake drives.
func opened(t *testing.T, w *world, change func(o *Options)) *Journal {
	t.Helper()
	o := w.options(len(w.media))
	o.New = true
	if change != nil {
		change(&o)
	}
	j, err := Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func appendAll(t *testing.T, j *Journal, entries ...string) {
	t.Helper()
	for _, e := range entries {
		if _, err := j.Append(background, [][]byte{[]byte(e)}); err != nil {
			t.Fatalf("append %q: %v", e, err)
		}
	}
}

func contents(t *testing.T, j *Journal, after uint64) string {
	t.Helper()
	all, err := collect(j, after)
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	var b bytes.Buffer
	for _, e := range all {
		fmt.Fprintf(&b, "%s ", e.Data)
	}
	return b.String()
}

func TestANewJournalIsOnlyBegunWhereItIsAskedFor(t *testing.T) {
	w := newWorld(1, 3, 1)
	if _, err := Open(background, w.options(3)); !errors.Is(err, ErrNoState) {
		t.Errorf("opened a journal that no drive knows: %v", err)
	}
	if j := opened(t, w, nil); j.First() != 1 || j.Last() != 0 || j.Bytes() != 0 {
		t.Errorf("a new journal keeps %d to %d in %d bytes", j.First(), j.Last(), j.Bytes())
	}
}

func TestTooFewRootsAreRefused(t *testing.T) {
	w := newWorld(1, 4, 1)
	j := opened(t, w, nil)
	appendAll(t, j, "a")
	_ = j.Close()
	w.media[2].absent, w.media[3].absent = true, true
	w.restart()
	if _, err := Open(background, w.options(4)); !errors.Is(err, ErrTooFewRoots) {
		t.Errorf("opened with 2 of 4 drives and one copy's loss allowed: %v", err)
	}
}

func TestAcknowledgedRotOnEveryCopyIsRefusedAndNothingIsCut(t *testing.T) {
	w := newWorld(1, 3, 1)
	j := opened(t, w, nil)
	appendAll(t, j, "a", "b", "c")
	_ = j.Close()
	for _, m := range w.media {
		m.rot(2) // the opening mark, a, b, c, the closing mark
	}
	for range 2 {
		w.restart()
		if _, err := Open(background, w.options(3)); !errors.Is(err, ErrLost) {
			t.Fatalf("opened although entry 2 is rotten on every drive: %v", err)
		}
	}
	for _, x := range w.media[0].extents { // the drive's own repair succeeded
		for i := range x.records {
			x.records[i].rotten = false
		}
	}
	w.restart()
	j, err := Open(background, w.options(3))
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, j, 0); got != "a b c " {
		t.Errorf("kept %q", got)
	}
}

// TestRotOfTheLastEntryIsNoTornTailOnceTheJournalRested: without a mark after it, the
// last record that rots on every copy looks like an append that was cut off.
func TestRotOfTheLastEntryIsNoTornTailOnceTheJournalRested(t *testing.T) {
	w := newWorld(1, 3, 1)
	j := opened(t, w, nil)
	appendAll(t, j, "a", "b")
	for range 2 {
		if err := j.Rest(background); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.media[0].extents[0].records); n != 4 {
		t.Fatalf("%d records, want the opening mark, two entries and one mark", n)
	}
	for _, m := range w.media { // and the process is killed
		m.rot(2)
	}
	w.restart()
	if _, err := Open(background, w.options(3)); !errors.Is(err, ErrLost) {
		t.Fatalf("opened although the last entry is rotten on every drive: %v", err)
	}
	_ = j.Close()
}

func TestADriveThatFailsTheMarkIsAvoided(t *testing.T) {
	w := newWorld(1, 4, 1)
	j := opened(t, w, nil)
	appendAll(t, j, "a")
	_, drives, _ := j.Epoch()
	failed := w.media[drives[0]-1]
	failed.set(func() { failed.hang = true })
	close(failed.release)
	if err := j.Rest(background); err == nil {
		t.Fatal("a mark that a drive failed was taken")
	}
	failed.release = make(chan struct{})
	appendAll(t, j, "b")
	if _, now, _ := j.Epoch(); slices.Contains(now, failed.number) {
		t.Errorf("the epoch is on drives %v, and %d failed", now, failed.number)
	}
	if got := contents(t, j, 0); got != "a b " {
		t.Errorf("kept %q", got)
	}
	_ = j.Close()
}

func TestDrivesThatContradictEachOtherAreRefused(t *testing.T) {
	s := State{Epoch: 1, Drives: []uint16{1, 2}}
	one := header{previous: seed(s.ID), epoch: 1, first: 1}
	other := one
	encodeRecord(&one, [][]byte{[]byte("one")})
	encodeRecord(&other, [][]byte{[]byte("other")})
	_, err := recall(s, []scanned{{records: []found{{header: one}}}, {records: []found{{header: other}}}})
	if !errors.Is(err, ErrForked) {
		t.Errorf("recalled two histories: %v", err)
	}
	if _, err := newest([]State{{Epoch: 2, ID: [16]byte{1}}, {Epoch: 2, ID: [16]byte{2}}}); !errors.Is(err, ErrForked) {
		t.Errorf("accepted two epochs of one number: %v", err)
	}
}

func TestARottenCopyIsReadFromAnotherAndReplicatedAgain(t *testing.T) {
	w := newWorld(1, 3, 1)
	var repaired []uint16
	j := opened(t, w, func(o *Options) {
		o.Events.Repaired = func(d uint16, _ int) { repaired = append(repaired, d) }
	})
	appendAll(t, j, "a", "b")
	w.media[0].rot(1)
	if got := contents(t, j, 0); got != "a b " {
		t.Errorf("replayed %q", got)
	}
	before, _, _ := j.Epoch()
	appendAll(t, j, "c")
	after, _, _ := j.Epoch()
	if after != before+1 || fmt.Sprint(repaired) != "[1]" {
		t.Errorf("epoch %d became %d, repaired %v", before, after, repaired)
	}
	w.media[1].wipe()
	if got := contents(t, j, 0); got != "a b c " {
		t.Errorf("replayed %q without the second drive", got)
	}
}

func TestAHangingDriveSealsTheEpochAndNothingIsLost(t *testing.T) {
	bubble(t, func() {
		w := newWorld(1, 4, 1)
		defer w.restart()
		var sealed []string
		j := opened(t, w, func(o *Options) {
			o.Events.EpochSealed = func(from, to uint64, drives []uint16) {
				sealed = append(sealed, fmt.Sprint(from, " to ", to, " on ", drives))
			}
		})
		appendAll(t, j, "a")
		w.media[1].hang = true
		appendAll(t, j, "b", "c")
		if fmt.Sprint(sealed) != "[0 to 1 on [1 2] 1 to 2 on [1 3]]" {
			t.Errorf("epochs sealed: %v", sealed)
		}
		if got := contents(t, j, 0); got != "a b c " {
			t.Errorf("replayed %q", got)
		}
	})
}

func TestWithTooFewDrivesItIsReadOnlyUntilTheyReturn(t *testing.T) {
	w := newWorld(1, 2, 1)
	j := opened(t, w, nil)
	appendAll(t, j, "a")
	w.media[1].err = errPulled
	_, err := j.Append(background, [][]byte{[]byte("b")})
	if !errors.Is(err, index.ErrUnknown) || errors.Is(err, index.ErrReadOnly) {
		t.Fatalf("append that reached one drive: %v", err)
	}
	if _, err := j.Append(background, [][]byte{[]byte("c")}); !errors.Is(err, index.ErrReadOnly) {
		t.Errorf("append while the fate of one is open: %v", err)
	}
	if got, err := collect(j, 0); err == nil || len(got) != 1 {
		t.Errorf("replay ended well with %d entries although b's fate is open", len(got))
	}
	w.media[1].err = nil
	if err := j.Reconfigure(background); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, j, 0); got != "a " {
		t.Errorf("replayed %q", got)
	}
	appendAll(t, j, "d")
	_ = j.Close()
	w.restart()
	if j, err = Open(background, w.options(2)); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, j, 0); got != "a d " {
		t.Errorf("replayed %q after a restart: what was settled came back", got)
	}
}

func TestTrimmingGivesExtentsBackAndSurvivesARestart(t *testing.T) {
	w := newWorld(1, 3, 1)
	j := opened(t, w, nil)
	for i := range 100 {
		appendAll(t, j, fmt.Sprintf("entry %d with some length to it", i))
		if i%10 == 9 {
			if err := j.Trim(background, uint64(i-3)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, m := range w.media[:2] {
		if n := len(m.extents); n > 3 {
			t.Errorf("drive %d keeps %d extents for 4 entries", i+1, n)
		}
	}
	if j.First() != 97 || j.Last() != 100 || j.Bytes() > 1000 {
		t.Errorf("keeps %d to %d in %d bytes", j.First(), j.Last(), j.Bytes())
	}
	if _, err := collect(j, 95); !errors.Is(err, index.ErrCompacted) {
		t.Errorf("replay of trimmed entries: %v", err)
	}
	_ = j.Close()
	for range 3 { // all trimmed, and reopened with nothing but a mark
		w.restart()
		var err error
		if j, err = Open(background, w.options(3)); err != nil {
			t.Fatal(err)
		}
		if err := j.Trim(background, 100); err != nil {
			t.Fatal(err)
		}
		if j.First() != 101 || j.Last() != 100 {
			t.Fatalf("keeps %d to %d", j.First(), j.Last())
		}
	}
	if first, err := j.Append(background, [][]byte{[]byte("x")}); err != nil || first != 101 {
		t.Errorf("append after all was trimmed: %d, %v", first, err)
	}
}

func TestBatchesAboveARecordAreCutAndTooLargeEntriesRefused(t *testing.T) {
	w := newWorld(1, 3, 1)
	j := opened(t, w, nil)
	big := [][]byte{bytes.Repeat([]byte("a"), 3<<20), bytes.Repeat([]byte("b"), 3<<20), bytes.Repeat([]byte("c"), EntryBytesMax)}
	first, err := j.Append(background, big)
	if err != nil || first != 1 || j.Last() != 3 {
		t.Fatalf("append: first %d, last %d, %v", first, j.Last(), err)
	}
	if _, err := j.Append(background, [][]byte{make([]byte, EntryBytesMax+1)}); !errors.Is(err, index.ErrTooLarge) {
		t.Errorf("append of too much: %v", err)
	}
	w.media[0].err = errPulled
	appendAll(t, j, "d")
	all, err := collect(j, 0)
	if err != nil || len(all) != 4 {
		t.Fatalf("replayed %d entries, %v", len(all), err)
	}
	for i, e := range big {
		if !bytes.Equal(all[i].Data, e) {
			t.Errorf("entry %d differs", i+1)
		}
	}
}

func TestAClosedJournalSaysSo(t *testing.T) {
	j := opened(t, newWorld(1, 3, 1), nil)
	appendAll(t, j, "a")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, appending := j.Append(background, [][]byte{[]byte("b")})
	_, replaying := collect(j, 1)
	for what, err := range map[string]error{"append": appending, "replay": replaying, "trim": j.Trim(background, 1), "reconfigure": j.Reconfigure(background), "close": j.Close()} {
		if !errors.Is(err, index.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
