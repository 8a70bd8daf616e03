package vectors

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// follower knows how far the engine's memory reflects the index.
type follower struct {
	mu struct {
		sync.Mutex
		at      index.Position
		changed chan struct{} // closed when at moves; nil while nobody waits
	}
}

func (f *follower) reach(p index.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.at = p
	if f.mu.changed != nil {
		close(f.mu.changed)
		f.mu.changed = nil
	}
}

// wait returns once p is covered.
func (f *follower) wait(ctx, engine context.Context, p index.Position) error {
	for {
		f.mu.Lock()
		if f.mu.at.Covers(p) {
			f.mu.Unlock()
			return nil
		}
		if f.mu.changed == nil {
			f.mu.changed = make(chan struct{})
		}
		changed := f.mu.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-engine.Done():
			return ErrClosed
		}
	}
}

// barrier returns once the engine's memory has all that was acknowledged before
// the call, by whichever process.
func (e *Engine) barrier(ctx context.Context) error {
	p, err := e.index.Position(ctx)
	if err != nil {
		return fmt.Errorf("read the index's position: %w", err)
	}
	return e.follower.wait(ctx, e.ctx, p)
}

// followRetry is the pause after the watch broke.
const followRetry = 200 * time.Millisecond

// follow applies committed entries, in order, to the open indexes. Where the
// watch breaks, all open indexes are dropped; they load again when next used.
func (e *Engine) follow(w index.Watcher) {
	for {
		err := e.followOne(w)
		_ = w.Close()
		for {
			if e.ctx.Err() != nil {
				return
			}
			e.host.Log.Warn("vectors: the watch of the index broke; open indexes are loaded again", "err", err)
			var at index.Position
			if w, at, err = e.watch(e.ctx); err == nil {
				for _, o := range e.opens() { // after the watch began, so that whatever loads anew misses nothing
					e.forget(o)
				}
				e.follower.reach(at)
				break
			}
			_ = e.host.Clock.Sleep(e.ctx, followRetry)
		}
	}
}

func (e *Engine) followOne(w index.Watcher) error {
	for {
		entry, err := w.Next(e.ctx)
		if err != nil {
			return err
		}
		e.apply(&entry)
		e.follower.reach(entry.Position)
	}
}

// apply brings one entry to the indexes that it concerns.
func (e *Engine) apply(entry *index.Entry) {
	concerned := map[*opened][]change{}
	for i := range entry.Mutations {
		m := &entry.Mutations[i]
		if key, ok := parseKey(m.Key); ok {
			e.sort(concerned, key, m, entry.Version)
		} else if bucket, version, ok := objects.ParseSourceDead(m.Key); ok {
			e.sourceDied(concerned, bucket, change{source: version, reaped: m.Kind == index.Delete})
		}
	}
	for o, changes := range concerned {
		if err := o.apply(e.ctx, entry, changes); err != nil {
			e.host.Log.Warn("vectors: a change could not be followed; the index is loaded again", "bucket", o.bucket, "index", o.rec.spec.Name, "err", err)
			e.forget(o)
		}
	}
}

// change is one mutation that concerns an index.
type change struct {
	key      ours
	mutation *index.Mutation   // nil: a source died
	source   objects.VersionID // that one
	reaped   bool              // or it need not be remembered any more
	content  any               // handed over, or nil
}

func (e *Engine) sort(concerned map[*opened][]change, key ours, m *index.Mutation, version uint64) {
	switch key.kind {
	case keyMapping, keyIDs:
		return
	case keyRecord:
		e.recordChanged(key.bucket, string(key.rest), version)
		return
	}
	var content any
	if !m.Moved {
		content = e.handover.take(m.Key, m.Value)
	}
	e.mu.Lock()
	o := e.mu.byInc[key.inc]
	e.mu.Unlock()
	if o != nil {
		concerned[o] = append(concerned[o], change{key: key, mutation: m, content: content})
	}
}

// recordChanged: the index was deleted, or its settings changed with the entry of a version.
func (e *Engine) recordChanged(bucket, name string, version uint64) {
	e.mu.Lock()
	o := e.mu.byName[indexName{bucket, name}]
	e.mu.Unlock()
	if o != nil && o.recVersion != version {
		e.forget(o)
	}
}

func (e *Engine) sourceDied(concerned map[*opened][]change, bucket string, c change) {
	for _, o := range e.opens() {
		if o.bucket == bucket {
			concerned[o] = append(concerned[o], c)
		}
	}
}
