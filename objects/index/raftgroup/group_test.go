package raftgroup_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
	"github.com/tarnlake/tarn/objects/index/raftgroup"
)

func open(t testing.TB, o raftgroup.Options) *raftgroup.Group {
	t.Helper()
	h := *host.Real(nil)
	h.FS = vfs.NewMem()
	o.Host, o.Dir, o.CacheBytes, o.ElectionTimeout = &h, "group", 1<<20, 100*time.Millisecond
	g, err := raftgroup.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestRaftGroupConforms(t *testing.T) {
	indextest.Run(t, func(t testing.TB) index.Index { return open(t, raftgroup.Options{}) })
}

// restartLeader stops the leader, waits for another, and starts it again.
func restartLeader(t *testing.T, g *raftgroup.Group) {
	t.Helper()
	n, err := g.Leader(bounded(t))
	if err == nil {
		err = g.Stop(n)
	}
	if err == nil {
		_, err = g.Leader(bounded(t))
	}
	if err == nil {
		err = g.Start(n)
	}
	if err != nil {
		t.Errorf("restart leader: %v", err)
	}
}

func TestHistoriesAreLinearizableWhileLeadersFall(t *testing.T) {
	g := open(t, raftgroup.Options{})
	indextest.Histories(t, g, func() {
		for range 3 {
			restartLeader(t, g)
		}
	})
}

func TestWatchersMissNothingWhileLeadersFall(t *testing.T) {
	g := open(t, raftgroup.Options{})
	w, err := g.Watch(bounded(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const commits = 60
	go func() {
		for n := range commits {
			if n%20 == 10 {
				restartLeader(t, g)
			}
			put := index.Mutation{Kind: index.Put, Key: []byte("k"), Value: fmt.Append(nil, n)}
			if _, err := g.Commit(bounded(t), index.Txn{Mutations: []index.Mutation{put}}); err != nil {
				t.Errorf("commit %d: %v", n, err)
			}
		}
	}()
	for n := 0; n < commits; {
		e, err := w.Next(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Mutations) == 0 {
			continue // a repeated try
		}
		if got := string(e.Mutations[0].Value); got != fmt.Sprint(n) {
			t.Fatalf("entry %s, want %d", got, n)
		}
		n++
	}
}

// TestLateReplicaStartsFromASnapshot: a replica that missed more than the
// leader's log still holds takes its image, and then leads correctly.
func TestLateReplicaStartsFromASnapshot(t *testing.T) {
	g := open(t, raftgroup.Options{TrailingLogs: 1})
	put := func(n int) {
		m := index.Mutation{Kind: index.Put, Key: fmt.Appendf(nil, "k%d", n), Value: []byte("v")}
		if _, err := g.Commit(bounded(t), index.Txn{RequestID: index.RequestID{byte(n + 1)}, Mutations: []index.Mutation{m}}); err != nil {
			t.Fatal(err)
		}
	}
	leader, err := g.Leader(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	late := (leader + 1) % 3
	if err := g.Stop(late); err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		put(n)
	}
	for n := range 3 {
		if n == late {
			continue
		}
		if err := g.Compact(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Start(late); err != nil {
		t.Fatal(err)
	}
	put(100)
	if err := g.Stop((late + 1) % 3); err != nil { // the late one is needed for a majority now
		t.Fatal(err)
	}
	put(101)
	r, err := g.Commit(bounded(t), index.Txn{RequestID: index.RequestID{1}, Mutations: []index.Mutation{{Kind: index.Delete, Key: []byte("k5")}}})
	if err != nil || !r.Repeated {
		t.Fatalf("a request from before the snapshot: %+v, %v", r, err)
	}
	items := 0
	for _, err := range g.Scan(bounded(t), nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		items++
	}
	if items != 102 {
		t.Fatalf("%d items, want 102", items)
	}
}
