package indextest

import (
	"fmt"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/objects/index"
)

// model is the contract as a plain map.
type model struct {
	items map[string]index.Item
}

func newModel() *model {
	return &model{items: map[string]index.Item{}}
}

func (m *model) keys(lo, hi string) []string {
	var out []string
	for k := range m.items {
		if k >= lo && (hi == "" || k < hi) {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

func (m *model) holds(c index.Condition) bool {
	item, there := m.items[string(c.Key)]
	switch c.Kind {
	case index.KeyAbsent:
		return !there
	case index.KeyExists:
		return there
	case index.KeyVersion:
		return there && item.Version == c.Version
	default:
		return len(m.keys(string(c.Key), string(c.End))) == 0
	}
}

// decide tells which condition fails, or what each mutation does.
func (m *model) decide(txn index.Txn) (failed int, applied []bool) {
	for i, c := range txn.Conditions {
		if !m.holds(c) {
			return i, nil
		}
	}
	applied = make([]bool, len(txn.Mutations))
	for i, mutation := range txn.Mutations {
		applied[i] = mutation.Guard == nil || m.holds(*mutation.Guard)
	}
	return -1, applied
}

func (m *model) apply(txn index.Txn, applied []bool, version uint64) {
	for i, mutation := range txn.Mutations {
		if !applied[i] {
			continue
		}
		switch mutation.Kind {
		case index.Put:
			m.items[string(mutation.Key)] = index.Item{Key: mutation.Key, Value: mutation.Value, Version: version}
		case index.Delete:
			delete(m.items, string(mutation.Key))
		case index.DeleteRange:
			for _, k := range m.keys(string(mutation.Key), string(mutation.End)) {
				delete(m.items, k)
			}
		}
	}
}

func (m *model) text(lo, hi string, reverse bool) string {
	out := ""
	for _, k := range m.keys(lo, hi) {
		item := fmt.Sprintf("%s=%s@%d ", k, m.items[k].Value, m.items[k].Version)
		if reverse {
			out = item + out
		} else {
			out += item
		}
	}
	return out
}

func text(t *rapid.T, scan func(func(index.Item, error) bool)) string {
	out := ""
	for item, err := range scan {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		out += fmt.Sprintf("%s=%s@%d ", item.Key, item.Value, item.Version)
	}
	return out
}

// generator draws transactions over a small alphabet, so that they meet.
type generator struct {
	t *rapid.T
	m *model
}

func (g generator) key() string {
	return rapid.SampledFrom([]string{"a", "a1", "a\x00", "b", "c/1", "c/2", "m", "n", "y", "z", "z\xff"}).Draw(g.t, "key")
}

func (g generator) bound() string {
	return rapid.SampledFrom([]string{"", "", "a", "a\x00", "b", "c/", "c0", "n", "z", "zz"}).Draw(g.t, "bound")
}

func (g generator) condition() index.Condition {
	kind := rapid.SampledFrom([]index.ConditionKind{index.KeyAbsent, index.KeyExists, index.KeyVersion, index.RangeEmpty}).Draw(g.t, "condition")
	if kind == index.RangeEmpty {
		return rangeEmpty(g.bound(), g.bound())
	}
	c := index.Condition{Kind: kind, Key: []byte(g.key())}
	if kind == index.KeyVersion {
		c.Version = g.m.items[string(c.Key)].Version + rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(g.t, "off")
	}
	return c
}

func (g generator) mutation() index.Mutation {
	m := put(g.key(), rapid.StringN(0, 4, 8).Draw(g.t, "value"))
	m.Moved = rapid.IntRange(0, 7).Draw(g.t, "moved") == 0
	switch rapid.IntRange(0, 5).Draw(g.t, "mutation") {
	case 0:
		m = remove(g.key())
	case 1:
		m = removeRange(g.bound(), g.bound())
	}
	if rapid.IntRange(0, 3).Draw(g.t, "guarded") == 0 {
		m = guarded(m, g.condition())
	}
	return m
}

func (g generator) txn() index.Txn {
	var txn index.Txn
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(g.t, "conditions") {
		txn.Conditions = append(txn.Conditions, g.condition())
	}
	for range rapid.IntRange(0, 5).Draw(g.t, "mutations") {
		txn.Mutations = append(txn.Mutations, g.mutation())
	}
	return txn
}

// behavesAsModel compares random histories with the model. All run on one index,
// emptied for each.
func behavesAsModel(t *testing.T, i index.Index) {
	round := uint32(0)
	rapid.Check(t, func(rt *rapid.T) {
		must(t, i, removeRange("", ""))
		from, err := i.Position(patient(t))
		if err != nil {
			rt.Fatal(err)
		}
		round++
		m := newModel()
		for n := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			step(rt, t, i, m, index.RequestID{0: byte(n + 1), 4: byte(round), 5: byte(round >> 8), 6: byte(round >> 16)})
		}
		f := newFollower(map[string]string{}, from)
		end, err := i.Position(patient(t))
		if err != nil {
			rt.Fatal(err)
		}
		w := watch(t, i, from)
		f.until(t, w, end)
		if got := f.text(); got != all(t, i) {
			rt.Fatalf("a follower arrived at %s, the index holds %s", got, all(t, i))
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func step(rt *rapid.T, t *testing.T, i index.Index, m *model, id index.RequestID) {
	g := generator{rt, m}
	txn := g.txn()
	if rapid.Bool().Draw(rt, "with id") {
		txn.RequestID = id
	}
	r := compareCommit(rt, t, i, m, txn)
	if txn.RequestID != (index.RequestID{}) && r.Version != 0 {
		again, err := i.Commit(patient(t), txn)
		if err != nil || !again.Repeated || again.Version != r.Version {
			rt.Fatalf("repeat of %+v: %+v, %v", r, again, err)
		}
	}
	lo, hi, reverse := g.bound(), g.bound(), rapid.Bool().Draw(rt, "reverse")
	got := text(rt, i.Scan(patient(t), []byte(lo), []byte(hi), index.ScanOptions{Reverse: reverse}))
	if want := m.text(lo, hi, reverse); got != want {
		rt.Fatalf("scan [%q, %q): %s, want %s", lo, hi, got, want)
	}
}

func compareCommit(rt *rapid.T, t *testing.T, i index.Index, m *model, txn index.Txn) index.Result {
	failed, applied := m.decide(txn)
	r, err := i.Commit(patient(t), txn)
	if got := failedCondition(t, err); got != failed {
		rt.Fatalf("%+v: failed condition %d, want %d", txn, got, failed)
	}
	if failed >= 0 {
		return index.Result{}
	}
	if fmt.Sprint(r.Applied) != fmt.Sprint(applied) {
		rt.Fatalf("%+v: applied %v, want %v", txn, r.Applied, applied)
	}
	m.apply(txn, applied, r.Version)
	return r
}
