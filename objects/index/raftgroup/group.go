package raftgroup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/index"
)

// Options of a Group.
type Options struct {
	Host            *host.Host
	Dir             string        // below which the replicas' views lie
	Replicas        int           // default 3
	ElectionTimeout time.Duration // without word from the leader; default 1 s
	TrailingLogs    uint64        // kept after a snapshot; default 10,240
	SnapshotMax     time.Duration // how long a snapshot pins its state; default 10 min
	Shard           uint32        // whose positions this group gives
	CacheBytes      int64         // of each replica; default 64 MiB
}

func (o *Options) setDefaults() {
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if o.ElectionTimeout == 0 {
		o.ElectionTimeout = time.Second
	}
	if o.TrailingLogs == 0 {
		o.TrailingLogs = 10240
	}
	if o.SnapshotMax == 0 {
		o.SnapshotMax = 10 * time.Minute
	}
}

// Group is an Index over replicas in this process.
type Group struct {
	opts    Options
	members []*member
	closing chan struct{}

	mu struct {
		sync.Mutex
		replicas []*replica // nil where stopped
		closed   bool
	}
}

var _ index.Index = (*Group)(nil)

// Open starts an empty group. It has a leader once the first call returns.
func Open(o Options) (*Group, error) {
	o.setDefaults()
	g := &Group{opts: o, closing: make(chan struct{})}
	g.mu.replicas = make([]*replica, o.Replicas)
	var all raft.Configuration
	for n := range o.Replicas {
		name := fmt.Sprintf("replica-%d", n+1)
		g.members = append(g.members, &member{
			id: raft.ServerID(name), address: raft.ServerAddress(name), dir: o.Host.FS.PathJoin(o.Dir, name),
			logs: raft.NewInmemStore(), snapshots: raft.NewInmemSnapshotStore(),
		})
		all.Servers = append(all.Servers, raft.Server{ID: raft.ServerID(name), Address: raft.ServerAddress(name)})
	}
	for n := range g.members {
		if err := g.Start(n); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	if err := g.mu.replicas[0].raft.BootstrapCluster(all).Error(); err != nil {
		return nil, errors.Join(fmt.Errorf("bootstrap group: %w", err), g.Close())
	}
	return g, nil
}

// Start lets a stopped replica run again, from the logs that it had.
func (g *Group) Start(n int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return index.ErrClosed
	}
	if g.mu.replicas[n] != nil {
		return nil
	}
	r, err := g.newReplica(g.members[n])
	if err != nil {
		return err
	}
	g.mu.replicas[n] = r
	for _, peer := range g.mu.replicas {
		if peer != nil && peer != r {
			peer.transport.Connect(r.address, r.transport)
			r.transport.Connect(peer.address, peer.transport)
		}
	}
	return nil
}

// Stop ends a replica, as a crash would; a majority must stay.
func (g *Group) Stop(n int) error {
	g.mu.Lock()
	r := g.mu.replicas[n]
	g.mu.replicas[n] = nil
	for _, peer := range g.mu.replicas {
		if r != nil && peer != nil {
			peer.transport.Disconnect(r.address)
		}
	}
	g.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.stop()
}

// Leader is the place of the replica that leads, for as long as that lasts.
func (g *Group) Leader(ctx context.Context) (int, error) {
	for {
		n, r, err := g.leading()
		if err != nil {
			return 0, err
		}
		if r != nil && r.lead(ctx) == nil {
			return n, nil
		}
		if err := g.pause(ctx); err != nil {
			return 0, err
		}
	}
}

// Compact makes a replica take a snapshot: it keeps an image and drops the logs
// before it, but for Options.TrailingLogs.
func (g *Group) Compact(n int) error {
	g.mu.Lock()
	r := g.mu.replicas[n]
	g.mu.Unlock()
	if r == nil {
		return index.ErrClosed
	}
	return r.raft.Snapshot().Error()
}

func (g *Group) leading() (int, *replica, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return 0, nil, index.ErrClosed
	}
	for n, r := range g.mu.replicas {
		if r != nil && r.raft.State() == raft.Leader {
			return n, r, nil
		}
	}
	return 0, nil, nil
}

// pause while there is no leader.
func (g *Group) pause(ctx context.Context) error {
	return g.opts.Host.Clock.Sleep(ctx, g.opts.ElectionTimeout/20)
}

// onLeader runs f on a replica that leads, with another one as long as f says so.
func onLeader[T any](ctx context.Context, g *Group, f func(*replica) (T, bool, error)) (T, error) {
	var none T
	for {
		if err := ctx.Err(); err != nil {
			return none, err
		}
		_, r, err := g.leading()
		if err != nil {
			return none, err
		}
		if r != nil {
			got, again, err := f(r)
			if !again {
				return got, err
			}
		}
		if err := g.pause(ctx); err != nil {
			return none, err
		}
	}
}

// reading runs read on the leader's machine. A machine that was closed or
// replaced under it is no answer: another leader is asked.
func reading[T any](ctx context.Context, g *Group, read func(*replica) (T, error)) (T, error) {
	return onLeader(ctx, g, func(r *replica) (T, bool, error) {
		var none T
		if err := r.lead(ctx); err != nil {
			return none, true, err
		}
		got, err := read(r)
		again := errors.Is(err, index.ErrClosed) || r.current().Failure() != nil
		return got, again && err != nil, err
	})
}

// Commit proposes txn through the leader. It has an id in any case, so that a
// change of leader neither loses nor repeats it.
func (g *Group) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	own := txn.RequestID == (index.RequestID{})
	if own {
		if _, err := io.ReadFull(g.opts.Host.Entropy, txn.RequestID[:]); err != nil {
			return index.Result{}, fmt.Errorf("make request id: %w", err)
		}
	}
	data, err := index.Proposal{Txn: txn, Proposed: g.opts.Host.Clock.Now()}.Encode(nil)
	if err != nil {
		return index.Result{}, err
	}
	proposed := false
	done, err := onLeader(ctx, g, func(r *replica) (index.Applied, bool, error) {
		proposed = true
		return g.propose(ctx, r, data)
	})
	if err != nil && proposed {
		return index.Result{}, fmt.Errorf("%w: %w", index.ErrUnknown, err)
	}
	if err != nil {
		return index.Result{}, err
	}
	if own {
		done.Result.Repeated = false
	}
	return done.Result, done.Err
}

// propose reports whether another try is needed: this leader may have lost the
// entry, or the group may have it without this leader knowing.
func (g *Group) propose(ctx context.Context, r *replica, data []byte) (index.Applied, bool, error) {
	var future raft.ApplyFuture
	err := r.waitFor(ctx, func() error {
		future = r.raft.Apply(data, 0)
		return future.Error()
	})
	if err != nil {
		return index.Applied{}, true, err
	}
	done, ok := future.Response().(index.Applied)
	if !ok || errors.Is(done.Err, index.ErrUnknown) {
		return index.Applied{}, true, nil
	}
	return done, false, nil
}

// Get asks the leader.
func (g *Group) Get(ctx context.Context, key []byte) (index.Item, error) {
	return reading(ctx, g, func(r *replica) (index.Item, error) { return r.current().Get(key) })
}

// Snapshot pins the leader's state; it outlives the leadership, but not the replica.
func (g *Group) Snapshot(ctx context.Context) (index.Snapshot, error) {
	return reading(ctx, g, func(r *replica) (index.Snapshot, error) {
		return r.current().Snapshot(g.opts.Host.Clock, g.opts.SnapshotMax)
	})
}

// Scan reads from one replica, as of the moment when it is ranged over.
func (g *Group) Scan(ctx context.Context, lo, hi []byte, o index.ScanOptions) iter.Seq2[index.Item, error] {
	return func(yield func(index.Item, error) bool) {
		m, err := reading(ctx, g, func(r *replica) (*index.Machine, error) { return r.current(), nil })
		if err != nil {
			yield(index.Item{}, err)
			return
		}
		m.Scan(ctx, lo, hi, o)(yield)
	}
}

// Position covers every commit answered before the call.
func (g *Group) Position(ctx context.Context) (index.Position, error) {
	return reading(ctx, g, func(r *replica) (index.Position, error) {
		return index.At(g.opts.Shard, r.current().Applied()), nil
	})
}

// Watch follows the leader, and another replica once that one stops.
func (g *Group) Watch(ctx context.Context, from index.Position) (index.Watcher, error) {
	w, err := reading(ctx, g, func(r *replica) (index.Watcher, error) { return r.watch(from) })
	if err != nil {
		return nil, err
	}
	return &watcher{group: g, at: from, now: w, done: make(chan struct{})}, nil
}

// Close stops every replica.
func (g *Group) Close() error {
	g.mu.Lock()
	first := !g.mu.closed
	g.mu.closed = true
	g.mu.Unlock()
	if !first {
		return nil
	}
	close(g.closing)
	var errs []error
	for n := range g.members {
		errs = append(errs, g.Stop(n))
	}
	return errors.Join(errs...)
}
