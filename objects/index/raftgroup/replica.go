package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/tarnlake/tarn/objects/index"
)

// member is what of a replica outlives its being stopped.
type member struct {
	id        raft.ServerID
	address   raft.ServerAddress
	logs      *raft.InmemStore
	snapshots *raft.InmemSnapshotStore
	dir       string
	views     int // made so far, each in a folder of its own
}

// replica is a running member: Raft and the machine that it feeds.
type replica struct {
	*member
	group     *Group
	raft      *raft.Raft
	transport *raft.InmemTransport
	feed      *index.Feed
	ending    sync.Once
	ended     chan struct{} // closed when Raft was told to shut down

	mu      sync.RWMutex // held while machine is replaced
	machine *index.Machine

	caughtUp atomic.Uint64 // term in which this replica led and had applied all before it
}

var (
	_ raft.BatchingFSM = (*replica)(nil)
	_ raft.FSMSnapshot = (*image)(nil)
)

func (g *Group) newReplica(m *member) (*replica, error) {
	r := &replica{member: m, group: g, ended: make(chan struct{})}
	machine, err := index.RestoreMachine(r.machineOptions(), nil)
	if err != nil {
		return nil, err
	}
	r.machine = machine
	r.feed = index.NewFeed(g.opts.Shard, 0, r.history)
	_, r.transport = raft.NewInmemTransport(m.address)
	r.raft, err = raft.NewRaft(g.config(m.id), r, m.logs, m.logs, m.snapshots, r.transport)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start replica %s: %w", m.id, err), machine.Close())
	}
	return r, nil
}

func (g *Group) config(id raft.ServerID) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = id
	c.HeartbeatTimeout = g.opts.ElectionTimeout
	c.ElectionTimeout = g.opts.ElectionTimeout
	c.LeaderLeaseTimeout = g.opts.ElectionTimeout
	c.CommitTimeout = g.opts.ElectionTimeout / 20
	c.TrailingLogs = g.opts.TrailingLogs
	c.BatchApplyCh = true
	c.Logger = hclog.NewNullLogger()
	return c
}

func (r *replica) machineOptions() index.MachineOptions {
	r.views++
	return index.MachineOptions{
		FS: r.group.opts.Host.FS, Dir: r.group.opts.Host.FS.PathJoin(r.dir, strconv.Itoa(r.views)),
		Shard: r.group.opts.Shard, CacheBytes: r.group.opts.CacheBytes, Log: r.group.opts.Host.Log,
	}
}

func (r *replica) current() *index.Machine {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.machine
}

// Apply is one entry's ApplyBatch.
func (r *replica) Apply(l *raft.Log) any { return r.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch answers each command with what it did. A replica whose machine
// fails stops: what it could not apply, others have.
func (r *replica) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	var entries []index.LogEntry
	var places []int
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			entries = append(entries, index.LogEntry{Sequence: l.Index, Data: l.Data})
			places = append(places, i)
		}
	}
	if len(entries) == 0 {
		return answers
	}
	done, err := r.current().Apply(entries)
	if err != nil {
		r.group.opts.Host.Log.Error("raft replica failed", "replica", r.id, "error", err)
		r.end()
		done = make([]index.Applied, len(entries))
		for i := range done {
			done[i].Err = fmt.Errorf("%w: replica %s: %w", index.ErrUnknown, r.id, err)
		}
	} else {
		r.publish(done)
	}
	for i, place := range places {
		answers[place] = done[i]
	}
	return answers
}

func (r *replica) publish(done []index.Applied) {
	entries := make([]index.Entry, len(done))
	for i := range done {
		entries[i] = done[i].Entry
	}
	r.feed.Publish(entries)
}

// Snapshot pins the machine's state; Raft drops logs after it was kept, and the
// machine the outcomes of those dropped before.
func (r *replica) Snapshot() (raft.FSMSnapshot, error) {
	first, err := r.logs.FirstIndex()
	if err != nil {
		return nil, fmt.Errorf("first log of replica %s: %w", r.id, err)
	}
	m := r.current()
	if first > 1 {
		if err := m.Forget(first - 1); err != nil {
			return nil, err
		}
	}
	i, err := m.Image()
	if err != nil {
		return nil, err
	}
	return &image{i}, nil
}

type image struct{ *index.Image }

func (i *image) Persist(sink raft.SnapshotSink) error {
	if err := i.Write(sink); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (i *image) Release() { _ = i.Close() }

// Restore replaces the machine by one made from another replica's image.
func (r *replica) Restore(from io.ReadCloser) error {
	defer from.Close()
	m, err := index.RestoreMachine(r.machineOptions(), from)
	if err != nil {
		return fmt.Errorf("restore replica %s: %w", r.id, err)
	}
	r.mu.Lock()
	old := r.machine
	r.machine = m
	r.mu.Unlock()
	old.Abandon()
	r.feed.Skip(m.Applied())
	return nil
}

// history reads entries from this replica's log, for watchers that are behind.
func (r *replica) history(ctx context.Context, after uint64) iter.Seq2[index.Entry, error] {
	return r.current().Entries(ctx, r.commands(after))
}

func (r *replica) commands(after uint64) iter.Seq2[index.LogEntry, error] {
	return func(yield func(index.LogEntry, error) bool) {
		first, firstErr := r.logs.FirstIndex()
		last, lastErr := r.logs.LastIndex()
		err := errors.Join(firstErr, lastErr)
		if err == nil && first > after+1 {
			err = index.ErrCompacted
		}
		for n := after + 1; n <= last && err == nil; n++ {
			var l raft.Log
			if err = r.logs.GetLog(n, &l); errors.Is(err, raft.ErrLogNotFound) {
				err = index.ErrCompacted // dropped meanwhile
			}
			if err == nil && l.Type == raft.LogCommand && !yield(index.LogEntry{Sequence: n, Data: l.Data}, nil) {
				return
			}
		}
		if err != nil {
			yield(index.LogEntry{}, err)
		}
	}
}

// lead makes sure that this replica leads and holds all that any leader answered
// before the call. A majority is asked each time; what earlier leaders left is
// applied once a term.
func (r *replica) lead(ctx context.Context) error {
	if err := r.waitFor(ctx, func() error { return r.raft.VerifyLeader().Error() }); err != nil {
		return err
	}
	term := r.raft.CurrentTerm()
	if r.caughtUp.Load() == term {
		return nil
	}
	if err := r.waitFor(ctx, func() error { return r.raft.Barrier(0).Error() }); err != nil {
		return err
	}
	if r.raft.CurrentTerm() != term {
		return raft.ErrLeadershipLost
	}
	r.caughtUp.Store(term)
	return nil
}

func (r *replica) watch(from index.Position) (index.Watcher, error) {
	first, err := r.logs.FirstIndex()
	if err != nil {
		return nil, fmt.Errorf("first log of replica %s: %w", r.id, err)
	}
	m := r.current()
	known, through, err := m.Known()
	if err != nil {
		return nil, err
	}
	return r.feed.Watch(from, max(first, known+1), through)
}

// end tells Raft to shut down, and whoever waits for it that no answer may come:
// what sits in Raft's queues then is dropped without a word.
func (r *replica) end() raft.Future {
	f := r.raft.Shutdown()
	r.ending.Do(func() { close(r.ended) })
	return f
}

// waitFor waits for f no longer than ctx lasts and the replica runs.
func (r *replica) waitFor(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-r.ended:
		return raft.ErrRaftShutdown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends the replica. Its watchers and reads end with ErrClosed.
func (r *replica) stop() error {
	err := r.end().Error()
	r.feed.Close(index.ErrClosed)
	return errors.Join(err, r.transport.Close(), r.current().Close())
}
