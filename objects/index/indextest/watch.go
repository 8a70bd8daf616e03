package indextest

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

func watch(t testing.TB, i index.Index, from index.Position) index.Watcher {
	t.Helper()
	w, err := i.Watch(patient(t), from)
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// follower rebuilds the state from what a watcher delivers.
type follower struct {
	state    map[string]string
	position index.Position
	version  uint64
	byCommit map[uint64][]index.Mutation
}

func newFollower(state map[string]string, from index.Position) *follower {
	return &follower{state: state, position: from, byCommit: map[uint64][]index.Mutation{}}
}

// until takes entries until everything that p covers was delivered.
func (f *follower) until(t testing.TB, w index.Watcher, p index.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !f.position.Covers(p) {
		e, err := w.Next(ctx)
		if err != nil {
			t.Errorf("next after %x of %x: %v", f.position, p, err)
			return
		}
		f.take(t, e)
	}
}

func (f *follower) take(t testing.TB, e index.Entry) {
	if !e.Position.Covers(f.position) || f.position.Covers(e.Position) {
		t.Errorf("entry at %x after %x", e.Position, f.position)
	}
	if len(e.Mutations) > 0 {
		if e.Version < f.version {
			t.Errorf("entry with version %d after %d", e.Version, f.version)
		}
		f.version = e.Version
		f.byCommit[e.Version] = append(f.byCommit[e.Version], e.Mutations...)
	}
	f.position = e.Position
	for _, m := range e.Mutations {
		if m.Guard != nil {
			t.Errorf("a watcher sees a guard")
		}
		f.apply(m)
	}
}

func (f *follower) apply(m index.Mutation) {
	switch m.Kind {
	case index.Put:
		f.state[string(m.Key)] = string(m.Value)
	case index.Delete:
		delete(f.state, string(m.Key))
	case index.DeleteRange:
		for k := range f.state {
			if k >= string(m.Key) && (len(m.End) == 0 || k < string(m.End)) {
				delete(f.state, k)
			}
		}
	}
}

func (f *follower) text() string {
	keys := make([]string, 0, len(f.state))
	for k := range f.state {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	out := ""
	for _, k := range keys {
		out += fmt.Sprintf("%s=%s ", k, f.state[k])
	}
	return out
}

// watchersSeeAll lets watchers begin before, among and after concurrent commits
// of every kind. Each must arrive at the state that the index is in.
func watchersSeeAll(t *testing.T, i index.Index) {
	const committers, commits = 8, 60
	first := watch(t, i, "")
	var mu sync.Mutex
	applied := map[uint64]int{} // mutations by version
	late := make(chan index.Watcher, 1)
	var wait sync.WaitGroup
	for c := range committers {
		wait.Go(func() {
			for n := range commits {
				if c == 0 && n == commits/2 {
					late <- watch(t, i, "")
				}
				r, err := i.Commit(patient(t), mixed(c, n))
				if failedCondition(t, err) >= 0 {
					continue
				}
				mu.Lock()
				applied[r.Version] += count(r.Applied)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	end, err := i.Position(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	state := all(t, i)
	for n, w := range []index.Watcher{first, <-late, watch(t, i, "")} {
		f := newFollower(map[string]string{}, "")
		f.until(t, w, end)
		if got := f.text(); got != state {
			t.Errorf("watcher %d arrived at %s, the index holds %s", n, got, state)
		}
		for version, want := range applied {
			if got := len(f.byCommit[version]); got != want {
				t.Errorf("watcher %d saw %d mutations of version %d, %d were applied", n, got, version, want)
			}
		}
	}
}

// mixed transactions overwrite each other, fail, skip and delete.
func mixed(committer, n int) index.Txn {
	key := fmt.Sprintf("%c%d", "az"[n%2], n%7)
	value := fmt.Sprintf("%d-%d", committer, n)
	switch n % 5 {
	case 0:
		return index.Txn{Conditions: []index.Condition{absent(key)}, Mutations: []index.Mutation{put(key, value)}}
	case 1:
		return index.Txn{Mutations: []index.Mutation{remove(key), guarded(put("m"+key, value), exists(key))}}
	case 2:
		return index.Txn{Mutations: []index.Mutation{removeRange("a2", "a5"), put("z"+key, value)}}
	default:
		return index.Txn{Mutations: []index.Mutation{put(key, value), put("a"+value, ""), put("z"+value, "")}}
	}
}

func count(applied []bool) int {
	n := 0
	for _, ok := range applied {
		if ok {
			n++
		}
	}
	return n
}

func watchContinuesSnapshot(t *testing.T, i index.Index) {
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := i.Commit(patient(t), mixed(0, n%100)); err != nil {
				failedCondition(t, err)
			}
		}
	})
	defer wait.Wait()
	defer close(stop)
	for range 5 {
		s, err := i.Snapshot(patient(t))
		if err != nil {
			t.Fatal(err)
		}
		state := map[string]string{}
		for item, err := range s.Scan(patient(t), nil, nil, index.ScanOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			state[string(item.Key)] = string(item.Value)
		}
		f := newFollower(state, s.Position())
		w := watch(t, i, s.Position())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			e, err := w.Next(patient(t))
			if err != nil {
				t.Fatal(err)
			}
			f.take(t, e)
		}
		later, err := i.Snapshot(patient(t))
		if err != nil {
			t.Fatal(err)
		}
		f.until(t, w, later.Position())
		state2 := contents(t, later.Scan(patient(t), nil, nil, index.ScanOptions{}))
		if later.Position() == f.position && f.text() != state2 {
			t.Fatalf("the follower arrived at %s, the snapshot at its position holds %s", f.text(), state2)
		}
		if err := later.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func watchersSeeFailedEmpty(t *testing.T, i index.Index) {
	must(t, i, put("a", "1"))
	id := index.Txn{RequestID: index.RequestID{9}, Mutations: []index.Mutation{put("b", "1")}}
	if _, err := i.Commit(patient(t), id); err != nil {
		t.Fatal(err)
	}
	from, err := i.Position(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = i.Commit(patient(t), index.Txn{Conditions: []index.Condition{absent("a")}, Mutations: []index.Mutation{put("c", "1")}})
	if failedCondition(t, err) != 0 {
		t.Fatalf("got %v, want a failed condition", err)
	}
	if _, err := i.Commit(patient(t), id); err != nil {
		t.Fatal(err)
	}
	end, err := i.Position(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	w := watch(t, i, from)
	f := newFollower(map[string]string{}, from)
	f.until(t, w, end)
	if len(f.byCommit) != 0 {
		t.Fatalf("nothing took effect, the watcher saw %v", f.byCommit)
	}
	last := must(t, i, put("a", "2"))
	e, err := w.Next(patient(t))
	if err != nil || e.Version != last.Version || len(e.Mutations) != 1 || string(e.Mutations[0].Key) != "a" {
		t.Fatalf("the next entry is %+v, %v; want the put of a at %d", e, err, last.Version)
	}
}

// watchersTellMoved: a moved value is put like any other, so that whoever read
// the former one conflicts, and only watchers can tell the two apart.
func watchersTellMoved(t *testing.T, i index.Index) {
	first := must(t, i, put("a", "here")).Version
	from, err := i.Position(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	live := watch(t, i, from)
	move := put("a", "there")
	move.Moved = true
	skipped := guarded(put("b", "there"), exists("b"))
	skipped.Moved = true
	r := must(t, i, guarded(move, atVersion("a", first)), skipped, put("c", "new"))
	if item := want(t, i, "a", "there"); item.Version != r.Version || fmt.Sprint(r.Applied) != "[true false true]" {
		t.Fatalf("version %d, applied %v; the commit said version %d", item.Version, r.Applied, r.Version)
	}
	wantAbsent(t, i, "b")
	stale := index.Txn{Conditions: []index.Condition{atVersion("a", first)}, Mutations: []index.Mutation{put("a", "lost")}}
	if _, err := i.Commit(patient(t), stale); failedCondition(t, err) != 0 {
		t.Fatal("a transaction that read the value before it moved was applied")
	}
	for _, w := range []index.Watcher{live, watch(t, i, from)} {
		e, err := w.Next(patient(t))
		if err != nil || len(e.Mutations) != 2 || !e.Mutations[0].Moved || e.Mutations[1].Moved {
			t.Fatalf("the entry is %+v, %v; want a moved value and a new one", e, err)
		}
	}
	unmovable := remove("a")
	unmovable.Moved = true
	if _, err := i.Commit(patient(t), index.Txn{Mutations: []index.Mutation{unmovable}}); !errors.Is(err, index.ErrMalformed) {
		t.Fatalf("a moved delete: %v, want ErrMalformed", err)
	}
}

// slowWatchersMissNothing: nobody waits for a watcher, and it reads what it
// missed from where it is kept.
func slowWatchersMissNothing(t *testing.T, i index.Index) {
	const commits, committers = 6400, 64
	w := watch(t, i, "")
	must(t, i, put("a", "first"))
	if _, err := w.Next(patient(t)); err != nil {
		t.Fatal(err)
	}
	ctx := patient(t)
	var wait sync.WaitGroup
	for c := range committers {
		wait.Go(func() {
			for n := range commits / committers {
				key := fmt.Sprintf("a%02d", c)
				txn := index.Txn{Mutations: []index.Mutation{put(key, fmt.Sprint(n)), guarded(put("never", ""), exists("nothing"))}}
				if _, err := i.Commit(ctx, txn); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	wait.Wait()
	last := map[string]int{}
	for range commits {
		e, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Mutations) != 1 {
			t.Fatalf("entry %x has mutations %v, want the one that took effect", e.Position, e.Mutations)
		}
		key := string(e.Mutations[0].Key)
		if string(e.Mutations[0].Value) != fmt.Sprint(last[key]) {
			t.Fatalf("%s=%s, want %d: an entry is missing", key, e.Mutations[0].Value, last[key])
		}
		last[key]++
	}
}

func watchersWait(t *testing.T, i index.Index) {
	w := watch(t, i, "")
	ctx, cancel := context.WithCancel(patient(t))
	answer := make(chan error, 1)
	go func() {
		_, err := w.Next(ctx)
		answer <- err
	}()
	cancel()
	if err := <-answer; !errors.Is(err, context.Canceled) {
		t.Fatalf("next: %v, want context.Canceled", err)
	}
	go func() {
		e, err := w.Next(patient(t))
		if err == nil && len(e.Mutations) != 1 {
			err = fmt.Errorf("entry %+v", e)
		}
		answer <- err
	}()
	must(t, i, put("a", "1"))
	if err := <-answer; err != nil {
		t.Fatalf("next after a cancelled one: %v", err)
	}
	go func() {
		_, err := w.Next(patient(t))
		answer <- err
	}()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; !errors.Is(err, index.ErrClosed) {
		t.Fatalf("next of a closed watcher: %v, want ErrClosed", err)
	}
	must(t, i, put("a", "2"))
}
