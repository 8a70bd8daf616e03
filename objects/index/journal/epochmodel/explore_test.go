package epochmodel

import (
	"os"
	"strings"
	"testing"
)

func TestNoAcknowledgedEntryIsLostInAnyInterleaving(t *testing.T) {
	bounds := []Bounds{{Entries: 2, Failures: 1, Crashes: 1}, {Entries: 1, Failures: 1, Crashes: 2}, {Entries: 1, Failures: 2, Crashes: 1}}
	if os.Getenv("TARN_SOAK") != "" {
		bounds = []Bounds{{Entries: 3, Failures: 2, Crashes: 2}}
	}
	for _, b := range bounds {
		r := Explore(b)
		t.Logf("%+v: %d states", b, r.States)
		if r.Violation != "" {
			t.Errorf("%s\n  %s", r.Violation, strings.Join(r.Trace, "\n  "))
		}
	}
}

func TestEachRuleOfTheProtocolIsNeeded(t *testing.T) {
	for flaw, bounds := range map[Flaw]Bounds{
		NoReservation:           {Entries: 1, Failures: 1, Crashes: 2},
		NoResave:                {Entries: 1, Failures: 1, Crashes: 2},
		NoRewrite:               {Entries: 1, Failures: 1, Crashes: 2},
		ResumedAlways:           {Entries: 1, Failures: 2, Crashes: 2},
		AcknowledgedBeforeNamed: {Entries: 1, Failures: 2, Crashes: 1},
		NamedBeforeCopied:       {Entries: 1, Failures: 1, Crashes: 1},
		ResumedThoughReserved:   {Entries: 1, Failures: 2, Crashes: 2},
	} {
		bounds.Flaw = flaw
		r := Explore(bounds)
		if r.Violation == "" {
			t.Errorf("flaw %d was not found in %d states", flaw, r.States)
			continue
		}
		t.Logf("flaw %d, after %d states: %s\n  %s", flaw, r.States, r.Violation, strings.Join(r.Trace, "\n  "))
	}
}
