package indextest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tarnlake/tarn/objects/index"
)

// Opener gives a test an empty index, closed with the test.
type Opener func(t testing.TB) index.Index

// Run is the conformance suite. Every subtest has an index of its own.
func Run(t *testing.T, open Opener) {
	for _, c := range []struct {
		promise string
		test    func(t *testing.T, i index.Index)
	}{
		{"CommittedKeysReadBack", committedKeysReadBack},
		{"VersionsGrowAndNeverRepeat", versionsGrow},
		{"CallersSlicesAreTheirOwn", slicesAreOwn},
		{"ConditionsDecide", conditionsDecide},
		{"FailedConditionLeavesNothing", failedConditionLeavesNothing},
		{"ConditionsSeeOnlyTheStateBefore", conditionsSeeBefore},
		{"GuardsSkipAlone", guardsSkipAlone},
		{"MutationsTakeEffectInOrder", mutationsInOrder},
		{"RangesDelete", rangesDelete},
		{"LimitsRefuseBeforeAnythingIsWritten", limitsRefuse},
		{"RequestIDsDoNotRepeat", requestsDoNotRepeat},
		{"ConcurrentRequestIDsApplyOnce", concurrentRequests},
		{"FailedRequestsMayBeTriedAgain", failedRequestsTryAgain},
		{"ScansKeepToBoundsAndOrder", scansKeepBounds},
		{"ScansSeeOneMoment", scansSeeOneMoment},
		{"ScansEndWithTheirContext", scansEndWithContext},
		{"SnapshotsStandStill", snapshotsStandStill},
		{"PositionsCoverWhatWasAnswered", positionsCover},
		{"WatchersSeeEveryEntryInOrder", watchersSeeAll},
		{"WatchContinuesASnapshot", watchContinuesSnapshot},
		{"WatchersSeeFailedEntriesEmpty", watchersSeeFailedEmpty},
		{"WatchersTellMovedValuesFromNew", watchersTellMoved},
		{"SlowWatchersMissNothing", slowWatchersMissNothing},
		{"WatchersWait", watchersWait},
		{"HistoriesAreLinearizable", func(t *testing.T, i index.Index) { Histories(t, i, nil) }},
		{"BehavesAsASortedMap", behavesAsModel},
		{"ClosedIndexSaysSo", closedSaysSo},
	} {
		t.Run(c.promise, func(t *testing.T) { c.test(t, open(t)) })
	}
}

const patience = 30 * time.Second // for one call that should take moments

func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func put(key, value string) index.Mutation {
	return index.Mutation{Kind: index.Put, Key: []byte(key), Value: []byte(value)}
}

func remove(key string) index.Mutation {
	return index.Mutation{Kind: index.Delete, Key: []byte(key)}
}

func removeRange(lo, hi string) index.Mutation {
	return index.Mutation{Kind: index.DeleteRange, Key: []byte(lo), End: []byte(hi)}
}

func absent(key string) index.Condition {
	return index.Condition{Kind: index.KeyAbsent, Key: []byte(key)}
}

func exists(key string) index.Condition {
	return index.Condition{Kind: index.KeyExists, Key: []byte(key)}
}

func atVersion(key string, version uint64) index.Condition {
	return index.Condition{Kind: index.KeyVersion, Key: []byte(key), Version: version}
}

func rangeEmpty(lo, hi string) index.Condition {
	return index.Condition{Kind: index.RangeEmpty, Key: []byte(lo), End: []byte(hi)}
}

func guarded(m index.Mutation, c index.Condition) index.Mutation {
	m.Guard = &c
	return m
}

func must(t testing.TB, i index.Index, mutations ...index.Mutation) index.Result {
	t.Helper()
	r, err := i.Commit(patient(t), index.Txn{Mutations: mutations})
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return r
}

// failedCondition is the place of the condition that did not hold; -1 for none.
func failedCondition(t testing.TB, err error) int {
	t.Helper()
	if err == nil {
		return -1
	}
	var c *index.ConditionError
	if !errors.As(err, &c) {
		t.Fatalf("commit: %v", err)
	}
	return c.Condition
}

func want(t testing.TB, i index.Index, key, value string) index.Item {
	t.Helper()
	item, err := i.Get(patient(t), []byte(key))
	if err != nil || string(item.Value) != value || string(item.Key) != key {
		t.Fatalf("get %q: %q at %q, %v; want %q", key, item.Value, item.Key, err, value)
	}
	return item
}

func wantAbsent(t testing.TB, i index.Index, key string) {
	t.Helper()
	if item, err := i.Get(patient(t), []byte(key)); !errors.Is(err, index.ErrNotFound) {
		t.Fatalf("get %q: %q, %v; want ErrNotFound", key, item.Value, err)
	}
}

// contents is what a scan yields, as text: "a=1 b=2".
func contents(t testing.TB, scan func(func(index.Item, error) bool)) string {
	t.Helper()
	out := ""
	for item, err := range scan {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		out += fmt.Sprintf("%s=%s ", item.Key, item.Value)
	}
	return out
}

func all(t testing.TB, i index.Index) string {
	t.Helper()
	return contents(t, i.Scan(patient(t), nil, nil, index.ScanOptions{}))
}
