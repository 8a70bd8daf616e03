package indextest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

func scansKeepBounds(t *testing.T, i index.Index) {
	var ms []index.Mutation
	for _, k := range strings.Split("a b c m n o x y z", " ") {
		ms = append(ms, put(k, strings.ToUpper(k)))
	}
	v := must(t, i, ms...).Version
	snapshot, err := i.Snapshot(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	for _, c := range []struct{ lo, hi, want string }{
		{"", "", "abcmnoxyz"}, {"b", "", "bcmnoxyz"}, {"", "o", "abcmn"}, {"b", "y", "bcmnox"},
		{"b\x00", "y\x00", "cmnoxy"}, {"m", "m", ""}, {"z", "a", ""}, {"zz", "", ""}, {"", "a", ""},
	} {
		lo, hi := []byte(c.lo), []byte(c.hi)
		for _, o := range []index.ScanOptions{{}, {Reverse: true}, {KeysOnly: true}, {Reverse: true, KeysOnly: true}} {
			for _, scan := range []func(func(index.Item, error) bool){i.Scan(patient(t), lo, hi, o), snapshot.Scan(patient(t), lo, hi, o)} {
				if got := keysOf(t, scan, o, v); got != c.want {
					t.Errorf("[%q, %q) %+v: %q, want %q", c.lo, c.hi, o, got, c.want)
				}
			}
		}
	}
}

// keysOf a scan, in rising order; it checks values and versions on the way.
func keysOf(t *testing.T, scan func(func(index.Item, error) bool), o index.ScanOptions, version uint64) string {
	t.Helper()
	out := ""
	for item, err := range scan {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		value := strings.ToUpper(string(item.Key))
		if o.KeysOnly {
			value = ""
		}
		if string(item.Value) != value || item.Version != version || o.KeysOnly && item.Value != nil {
			t.Errorf("%+v: %s=%q at %d, want %q at %d", o, item.Key, item.Value, item.Version, value, version)
		}
		if o.Reverse {
			out = string(item.Key) + out
		} else {
			out += string(item.Key)
		}
	}
	return out
}

func scansSeeOneMoment(t *testing.T, i index.Index) {
	for n := range 100 {
		must(t, i, put(fmt.Sprintf("%03d", n), "old"), put(fmt.Sprintf("z%03d", n), "old"))
	}
	seen := 0
	for item, err := range i.Scan(patient(t), nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(item.Value) != "old" {
			t.Fatalf("%s=%s was put after the scan began", item.Key, item.Value)
		}
		if seen == 10 {
			must(t, i, put("050", "new"), put("050x", "new"), removeRange("060", "070"), put("zzzz", "new"))
			want(t, i, "050", "new")
		}
		seen++
	}
	if seen != 200 {
		t.Fatalf("%d items, want 200", seen)
	}
}

func scansEndWithContext(t *testing.T, i index.Index) {
	for n := range 20 {
		must(t, i, put(fmt.Sprint(n), ""))
	}
	ctx, cancel := context.WithCancel(patient(t))
	defer cancel()
	var last error
	items := 0
	for _, err := range i.Scan(ctx, nil, nil, index.ScanOptions{}) {
		if last = err; err == nil {
			items++
		}
		cancel()
	}
	if !errors.Is(last, context.Canceled) || items >= 20 {
		t.Fatalf("%d items, then %v; want context.Canceled", items, last)
	}
	if _, err := i.Get(ctx, []byte("1")); !errors.Is(err, context.Canceled) {
		t.Fatalf("get: %v, want context.Canceled", err)
	}
	for range 50 { // a scan that is left early holds nothing that Close would wait for
		for range i.Scan(patient(t), nil, nil, index.ScanOptions{}) {
			break
		}
	}
}

func snapshotsStandStill(t *testing.T, i index.Index) {
	must(t, i, put("a", "1"), put("b", "1"), put("z", "1"))
	s, err := i.Snapshot(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	must(t, i, put("a", "2"), remove("b"), put("c", "2"), put("y", "2"))
	if item, err := s.Get(patient(t), []byte("a")); err != nil || string(item.Value) != "1" {
		t.Fatalf("get a: %q, %v", item.Value, err)
	}
	if _, err := s.Get(patient(t), []byte("c")); !errors.Is(err, index.ErrNotFound) {
		t.Fatalf("get c: %v, want ErrNotFound", err)
	}
	if got := contents(t, s.Scan(patient(t), nil, nil, index.ScanOptions{})); got != "a=1 b=1 z=1 " {
		t.Fatalf("forward: %s", got)
	}
	if got := contents(t, s.Scan(patient(t), nil, nil, index.ScanOptions{Reverse: true})); got != "z=1 b=1 a=1 " {
		t.Fatalf("reverse: %s", got)
	}
	if got := all(t, i); got != "a=2 c=2 y=2 z=1 " {
		t.Fatalf("the index holds %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(patient(t), []byte("a")); !errors.Is(err, index.ErrClosed) {
		t.Fatalf("after close: %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("second close: %v", err)
	}
}

func positionsCover(t *testing.T, i index.Index) {
	last := index.Position("")
	for n := range 20 {
		r := must(t, i, put(fmt.Sprint(n%3), "1"), put("z", "1"))
		if !r.Position.Covers(last) || last.Covers(r.Position) {
			t.Fatalf("position %x does not lie after %x", r.Position, last)
		}
		p, err := i.Position(patient(t))
		if err != nil || !p.Covers(r.Position) {
			t.Fatalf("barrier %x, %v does not cover the answered %x", p, err, r.Position)
		}
		if again, err := index.ParsePosition([]byte(p)); err != nil || again != p {
			t.Fatalf("position %x does not parse: %v", p, err)
		}
		last = p
	}
	s, err := i.Snapshot(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Position().Covers(last) {
		t.Fatalf("snapshot at %x does not cover %x", s.Position(), last)
	}
}

func closedSaysSo(t *testing.T, i index.Index) {
	must(t, i, put("a", "1"))
	s, err := i.Snapshot(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	w, err := i.Watch(patient(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	_, getErr := i.Get(patient(t), []byte("a"))
	_, commitErr := i.Commit(patient(t), index.Txn{})
	_, snapshotErr := i.Snapshot(patient(t))
	_, positionErr := i.Position(patient(t))
	_, watchErr := i.Watch(patient(t), "")
	_, pinnedErr := s.Get(patient(t), []byte("a"))
	var nextErr error
	for nextErr == nil {
		_, nextErr = w.Next(patient(t))
	}
	var scanErr error
	for _, scanErr = range i.Scan(patient(t), nil, nil, index.ScanOptions{}) {
	}
	for what, err := range map[string]error{
		"get": getErr, "commit": commitErr, "snapshot": snapshotErr, "position": positionErr,
		"watch": watchErr, "pinned get": pinnedErr, "next": nextErr, "scan": scanErr,
	} {
		if !errors.Is(err, index.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
	if err := i.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
