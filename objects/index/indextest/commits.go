package indextest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

func committedKeysReadBack(t *testing.T, i index.Index) {
	wantAbsent(t, i, "a")
	r := must(t, i, put("a", "1"), put("z", ""), put("\x00\xff", "bytes"))
	if item := want(t, i, "a", "1"); item.Version != r.Version {
		t.Fatalf("version %d, the commit said %d", item.Version, r.Version)
	}
	want(t, i, "z", "")
	want(t, i, "\x00\xff", "bytes")
	must(t, i, remove("a"), remove("never there"))
	wantAbsent(t, i, "a")
	if r := must(t, i); len(r.Applied) != 0 {
		t.Fatalf("an empty transaction applied %v", r.Applied)
	}
}

func versionsGrow(t *testing.T, i index.Index) {
	last := uint64(0)
	for n := range 50 {
		r := must(t, i, put("a", fmt.Sprint(n)), put("zz", fmt.Sprint(n)))
		if r.Version <= last {
			t.Fatalf("version %d after %d", r.Version, last)
		}
		last = r.Version
		for _, key := range []string{"a", "zz"} {
			if item := want(t, i, key, fmt.Sprint(n)); item.Version != last {
				t.Fatalf("%s at version %d, want %d", key, item.Version, last)
			}
		}
		must(t, i, remove("a"))
	}
}

func slicesAreOwn(t *testing.T, i index.Index) {
	m := put("key", "value")
	must(t, i, m)
	copy(m.Key, "###")
	copy(m.Value, "#####")
	item := want(t, i, "key", "value")
	copy(item.Value, "YYYYY")
	want(t, i, "key", "value")
}

func conditionsDecide(t *testing.T, i index.Index) {
	v := must(t, i, put("b", "1"), put("m", "1")).Version
	const ok, no = -1, 0
	for _, c := range []struct {
		condition index.Condition
		want      int
	}{
		{absent("a"), ok}, {absent("b"), no}, {absent("y"), ok},
		{exists("a"), no}, {exists("b"), ok}, {exists("m"), ok},
		{atVersion("b", v), ok}, {atVersion("b", v-1), no}, {atVersion("b", v+1), no},
		{atVersion("b", 0), no}, {atVersion("a", 0), no}, {atVersion("a", v), no},
		{rangeEmpty("", ""), no}, {rangeEmpty("", "b"), ok}, {rangeEmpty("", "b\x00"), no},
		{rangeEmpty("b", ""), no}, {rangeEmpty("b\x00", "m"), ok}, {rangeEmpty("b\x00", ""), no},
		{rangeEmpty("c", "z"), no}, {rangeEmpty("n", ""), ok}, {rangeEmpty("c", "c"), ok}, {rangeEmpty("z", "a"), ok},
	} {
		txn := index.Txn{Conditions: []index.Condition{c.condition}, Mutations: []index.Mutation{put("q", "witness")}}
		_, err := i.Commit(patient(t), txn)
		if got := failedCondition(t, err); got != c.want {
			t.Errorf("%+v: failed condition %d, want %d", c.condition, got, c.want)
		}
		if c.want == no {
			wantAbsent(t, i, "q")
		} else {
			want(t, i, "q", "witness")
		}
		must(t, i, remove("q"))
	}
}

func failedConditionLeavesNothing(t *testing.T, i index.Index) {
	must(t, i, put("b", "1"), put("x", "1"))
	_, err := i.Commit(patient(t), index.Txn{
		Conditions: []index.Condition{exists("b"), absent("y"), absent("x"), exists("nothing")},
		Mutations:  []index.Mutation{put("b", "2"), put("y", "2"), removeRange("", "")},
	})
	var c *index.ConditionError
	if !errors.As(err, &c) || c.Condition != 2 || string(c.Key) != "x" {
		t.Fatalf("got %v, want a ConditionError of condition 2 on x", err)
	}
	if got := all(t, i); got != "b=1 x=1 " {
		t.Fatalf("the index holds %s", got)
	}
}

func conditionsSeeBefore(t *testing.T, i index.Index) {
	must(t, i, put("a", "1"))
	r, err := i.Commit(patient(t), index.Txn{
		Conditions: []index.Condition{exists("a"), rangeEmpty("b", "")},
		Mutations: []index.Mutation{
			remove("a"),
			guarded(put("b", "a was there"), exists("a")),
			guarded(put("z", "nothing was there"), rangeEmpty("b", "")),
		},
	})
	if err != nil || fmt.Sprint(r.Applied) != "[true true true]" {
		t.Fatalf("applied %v, %v", r.Applied, err)
	}
	if got := all(t, i); got != "b=a was there z=nothing was there " {
		t.Fatalf("the index holds %s", got)
	}
}

func guardsSkipAlone(t *testing.T, i index.Index) {
	v := must(t, i, put("a", "1"), put("b", "1"), put("z", "1")).Version
	must(t, i, put("b", "2"))
	r := must(t, i,
		guarded(put("a", "swapped"), atVersion("a", v)),
		guarded(put("b", "swapped"), atVersion("b", v)),
		guarded(remove("z"), absent("z")),
		put("y", "unguarded"),
		guarded(removeRange("", ""), exists("nothing")),
	)
	if fmt.Sprint(r.Applied) != "[true false false true false]" {
		t.Fatalf("applied %v", r.Applied)
	}
	if got := all(t, i); got != "a=swapped b=2 y=unguarded z=1 " {
		t.Fatalf("the index holds %s", got)
	}
}

func mutationsInOrder(t *testing.T, i index.Index) {
	must(t, i, put("a", "1"), put("a", "2"), remove("b"), put("b", "kept"), put("c", "1"), remove("c"),
		put("x", "1"), removeRange("", ""), put("m", "1"), put("z", "last"), put("m", "2"))
	if got := all(t, i); got != "m=2 z=last " {
		t.Fatalf("the index holds %s", got)
	}
}

func rangesDelete(t *testing.T, i index.Index) {
	for _, c := range []struct{ lo, hi, want string }{
		{"b", "y", "a=1 y=1 z=1 "},
		{"", "b", "b=1 m=1 y=1 z=1 "},
		{"m", "", "a=1 b=1 "},
		{"m\x00", "", "a=1 b=1 m=1 "},
		{"", "", ""},
		{"m", "m", "a=1 b=1 m=1 y=1 z=1 "},
		{"z", "a", "a=1 b=1 m=1 y=1 z=1 "},
	} {
		must(t, i, removeRange("", ""), put("a", "1"), put("b", "1"), put("m", "1"), put("y", "1"), put("z", "1"))
		must(t, i, removeRange(c.lo, c.hi))
		if got := all(t, i); got != c.want {
			t.Errorf("after [%q, %q): %s, want %s", c.lo, c.hi, got, c.want)
		}
	}
}

func limitsRefuse(t *testing.T, i index.Index) {
	must(t, i, put("kept", "1"))
	before, err := i.Position(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	many := make([]index.Mutation, index.MutationsMax+1)
	for n := range many {
		many[n] = put("k", "v")
	}
	conditions := make([]index.Condition, 2*index.MutationsMax+1)
	for n := range conditions {
		conditions[n] = exists("kept")
	}
	long := string(bytes.Repeat([]byte("k"), index.KeyBytesMax+1))
	for name, txn := range map[string]index.Txn{
		"mutations":  {Mutations: many},
		"conditions": {Conditions: conditions},
		"key":        {Mutations: []index.Mutation{put(long, "v")}},
		"end":        {Mutations: []index.Mutation{removeRange("", long)}},
		"bytes":      {Mutations: []index.Mutation{put("k", string(make([]byte, index.EntryBytesMax)))}},
	} {
		if _, err := i.Commit(patient(t), txn); !errors.Is(err, index.ErrTooLarge) {
			t.Errorf("too many %s: got %v, want ErrTooLarge", name, err)
		}
	}
	after, err := i.Position(patient(t))
	if err != nil || after != before {
		t.Fatalf("position moved from %x to %x, %v", before, after, err)
	}
	must(t, i, many[:index.MutationsMax]...)
	must(t, i, put(long[1:], string(make([]byte, index.EntryBytesMax-index.KeyBytesMax))))
}

func requestsDoNotRepeat(t *testing.T, i index.Index) {
	must(t, i, put("x", "1"))
	txn := index.Txn{
		RequestID:  index.RequestID{1},
		Conditions: []index.Condition{absent("a")},
		Mutations:  []index.Mutation{put("a", "1"), guarded(put("b", "1"), exists("nothing")), put("z", "1")},
	}
	first, err := i.Commit(patient(t), txn)
	if err != nil || first.Repeated {
		t.Fatalf("first: %+v, %v", first, err)
	}
	must(t, i, put("a", "2"))
	again, err := i.Commit(patient(t), txn)
	if err != nil || !again.Repeated || again.Version != first.Version || again.Position != first.Position ||
		fmt.Sprint(again.Applied) != "[true false true]" {
		t.Fatalf("again: %+v, %v; the first was %+v", again, err, first)
	}
	if got := all(t, i); got != "a=2 x=1 z=1 " {
		t.Fatalf("the index holds %s", got)
	}
	txn.RequestID = index.RequestID{2}
	_, err = i.Commit(patient(t), txn)
	if failedCondition(t, err) != 0 {
		t.Fatalf("another id: %v, want a failed condition", err)
	}
}

func concurrentRequests(t *testing.T, i index.Index) {
	const tries = 32
	results := make([]index.Result, tries)
	var wait sync.WaitGroup
	for n := range tries {
		wait.Go(func() {
			r, err := i.Commit(patient(t), index.Txn{
				RequestID: index.RequestID{7},
				Mutations: []index.Mutation{put("a", fmt.Sprint(n)), put("z", fmt.Sprint(n))},
			})
			if err != nil {
				t.Errorf("commit: %v", err)
			}
			results[n] = r
		})
	}
	wait.Wait()
	var firsts []int
	for n, r := range results {
		if !r.Repeated {
			firsts = append(firsts, n)
		}
		if r.Version != results[0].Version || r.Position != results[0].Position {
			t.Errorf("try %d: version %d, another's was %d", n, r.Version, results[0].Version)
		}
	}
	if len(firsts) != 1 {
		t.Fatalf("tries %v were all the first", firsts)
	}
	want(t, i, "a", fmt.Sprint(firsts[0]))
	want(t, i, "z", fmt.Sprint(firsts[0]))
}

func failedRequestsTryAgain(t *testing.T, i index.Index) {
	txn := index.Txn{
		RequestID:  index.RequestID{3},
		Conditions: []index.Condition{exists("a")},
		Mutations:  []index.Mutation{put("b", "1")},
	}
	_, err := i.Commit(patient(t), txn)
	if failedCondition(t, err) != 0 {
		t.Fatalf("got %v, want a failed condition", err)
	}
	must(t, i, put("a", "1"))
	if r, err := i.Commit(patient(t), txn); err != nil || r.Repeated {
		t.Fatalf("second try: %+v, %v", r, err)
	}
	want(t, i, "b", "1")
}
