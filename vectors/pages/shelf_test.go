package pages_test

import (
	"fmt"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/vectors/pages"
)

func TestAnswersAreKeptForTheirLifeAndNoLonger(t *testing.T) {
	h := hosttest.New(1)
	s := pages.New[string](h.Clock)
	s.Keep("a", "first", 10)
	s.Keep("b", "other", 10)
	hosttest.ClockOf(h).Advance(pages.Life - 1)
	if got, ok := s.Find("a"); !ok || got != "first" {
		t.Fatalf("%q, %v", got, ok)
	}
	hosttest.ClockOf(h).Advance(1)
	if _, ok := s.Find("b"); ok {
		t.Error("an answer outlived its life")
	}
	if _, ok := s.Find("a"); !ok {
		t.Error("an answer that was asked for did not begin a new life")
	}
	s.Keep("a", "second", 10)
	if got, _ := s.Find("a"); got != "second" {
		t.Errorf("%q in place of what was kept last", got)
	}
}

func TestTheLeastLatelyAskedForLeavesFirst(t *testing.T) {
	s := pages.New[int](hosttest.New(1).Clock)
	const each = pages.BytesMax / 4
	for i := range 4 {
		s.Keep(fmt.Sprint(i), i, each)
	}
	s.Find("0")
	s.Keep("4", 4, each)
	for id, want := range map[string]bool{"0": true, "1": false, "2": true, "3": true, "4": true} {
		if _, ok := s.Find(id); ok != want {
			t.Errorf("answer %s is kept: %v", id, ok)
		}
	}
	if s.Keep("2", 2, pages.BytesMax+1) {
		t.Error("more than the shelf holds was kept")
	}
	if _, ok := s.Find("2"); ok {
		t.Error("an answer is found whose place was taken by one that does not fit")
	}
}
