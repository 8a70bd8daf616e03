package objects

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects/index"
)

// Bounds of a walk.
const (
	windowValues = 4096     // that are looked at, and put in order of urgency, at a time
	windowBytes  = 16 << 20 // of their values
	lookAtOnce   = 32       // values
	tellEach     = 64       // values after which it is told how far it came: a window of large ones takes minutes
)

// walk takes a mover through the values of the index, window after window. Within
// one the stripes with the least redundancy come first. Nothing stays pinned.
type walk struct {
	m        *mover
	only     func(spare int) bool // values of which the worst stripe can lose so many; nil: all
	progress func(done, total int64)
	told     func() // after every tellEach values, and every window
	done     int64
	total    int64
}

// urgent is a value with stripes that want places.
type urgent struct {
	key   []byte
	spare int // shards that its worst stripe can still lose
}

// through goes from the first key to the last.
func (w *walk) through(ctx context.Context) error {
	var from []byte
	for {
		window, next, err := w.read(ctx, from)
		if err != nil {
			return err
		}
		if err := w.handle(ctx, window); err != nil {
			return err
		}
		if w.progress != nil {
			w.progress(w.done, max(w.total, w.done))
		}
		if next == nil {
			return nil
		}
		from = next
	}
}

// looked is a value of a window.
type looked struct {
	key   []byte
	blobs []Blob
}

// read takes a window of values that name stripes. It returns where to go on, nil
// at the end. What does not decode is passed over: a census counts it.
func (w *walk) read(ctx context.Context, from []byte) (window []looked, next []byte, err error) {
	size := 0
	for item, err := range w.m.s.idx.Scan(ctx, from, nil, index.ScanOptions{}) {
		if err != nil {
			return nil, nil, err
		}
		if len(window) == windowValues || size > windowBytes {
			return window, bytes.Clone(item.Key), nil
		}
		w.done++
		blobs, _, err := DecodeValue(item.Value)
		if err != nil || !slices.ContainsFunc(blobs, func(b Blob) bool { return len(b.Stripes) > 0 }) {
			continue
		}
		window = append(window, looked{bytes.Clone(item.Key), blobs})
		size += len(item.Key) + len(item.Value)
	}
	return window, nil, nil
}

// fetched handles the values of some keys.
func (w *walk) fetched(ctx context.Context, keys [][]byte) error {
	var window []looked
	for _, key := range keys {
		item, err := w.m.s.idx.Get(ctx, key)
		if errors.Is(err, index.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read value of key %q: %w", key, err)
		}
		if blobs, _, err := DecodeValue(item.Value); err == nil {
			window = append(window, looked{key, blobs})
		}
	}
	return w.handle(ctx, window)
}

// handle looks at a window and moves what wants to be moved.
func (w *walk) handle(ctx context.Context, window []looked) error {
	found, err := w.look(ctx, window)
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b urgent) int {
		return cmp.Or(cmp.Compare(a.spare, b.spare), bytes.Compare(a.key, b.key))
	})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(moveValues)
	for i, u := range found {
		group.Go(func() error { return w.m.value(ctx, u.key) })
		if i%tellEach == tellEach-1 {
			w.told()
		}
	}
	err = group.Wait()
	w.told()
	return err
}

func (w *walk) look(ctx context.Context, window []looked) ([]urgent, error) {
	var mu sync.Mutex
	var found []urgent
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookAtOnce)
	for _, v := range window {
		group.Go(func() error {
			spare, wants := w.worst(ctx, v.blobs)
			if wants && (w.only == nil || w.only(spare)) {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, urgent{v.key, spare})
			}
			return ctx.Err()
		})
	}
	return found, group.Wait()
}

// worst is what the worst stripe of a value can still lose; wants: some shard of
// it wants a place.
func (w *walk) worst(ctx context.Context, blobs []Blob) (spare int, wants bool) {
	spare = ShardsMax
	for i := range blobs {
		for j := range blobs[i].Stripes {
			st := &blobs[i].Stripes[j]
			if n := len(w.m.want(ctx, st)); n > 0 {
				spare, wants = min(spare, len(st.Shards)-n-int(st.K)), true
			}
		}
	}
	return spare, wants
}
