package vectors

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// reap deletes the vectors whose source died since it last ran. They are hidden
// already; afterwards they are superseded like any others, and upkeep drops their rows.
// Then the bucket need not remember those sources.
func (o *opened) reap(ctx context.Context) error {
	if o.loadErr != nil {
		return nil
	}
	m := o.moment()
	if m.died == o.reaped.Load() {
		return nil
	}
	err := o.reapAll(ctx, o.deadSources(&m))
	if errors.Is(err, errGone) {
		o.e.forget(o) // whoever opens it anew reaps it
		return nil
	}
	if err != nil {
		return err
	}
	o.reaped.Store(m.died)
	return o.e.forgetSources(ctx, o.bucket)
}

func (o *opened) reapAll(ctx context.Context, sources map[objects.VersionID]uint64) error {
	if len(sources) == 0 {
		return nil
	}
	after := []byte(nil)
	for {
		keys, last, err := o.orphans(ctx, sources, after)
		if err != nil {
			return err
		}
		if len(keys) > 0 {
			if err := o.deleteOrphans(ctx, keys, sources); err != nil {
				return err
			}
		}
		if last == nil {
			return nil
		}
		after = last
	}
}

// Bounds of one delete of the reaper: mappings read before it, and keys in it.
const (
	reapScanned = 10_000
	reapKeysMax = 200
)

// orphans lists keys whose vector's source is dead, from after on; last is where
// to go on, nil at the end.
func (o *opened) orphans(ctx context.Context, sources map[objects.VersionID]uint64, after []byte) (keys []string, last []byte, err error) {
	lo, hi := o.keys.all(keyMapping)
	prefix := len(lo)
	if after != nil {
		lo = append(after, 0)
	}
	scanned := 0
	for it, err := range o.e.index.Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return nil, nil, fmt.Errorf("scan for vectors of dead sources: %w", err)
		}
		_, payload, err := objects.DecodeValue(it.Value)
		if err != nil {
			return nil, nil, err
		}
		m, err := decodeMapping(payload)
		if err != nil {
			return nil, nil, err
		}
		if _, dead := sources[m.source]; dead {
			keys = append(keys, string(it.Key[prefix:]))
		}
		if scanned++; scanned == reapScanned || len(keys) == reapKeysMax {
			return keys, append([]byte(nil), it.Key...), nil
		}
	}
	return keys, nil, nil
}

// deleteOrphans deletes keys as long as they mean a vector of a dead source: a
// new vector under such a key must live.
func (o *opened) deleteOrphans(ctx context.Context, keys []string, sources map[objects.VersionID]uint64) error {
	for range attemptsMax {
		w := &write{keys: keys}
		if err := o.nameTail(w); err != nil {
			return err
		}
		err := o.commitOnce(ctx, w, func(m mapping) bool { _, dead := sources[m.source]; return dead })
		var failed *index.ConditionError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &failed):
			return fmt.Errorf("delete vectors of dead sources: %w", err)
		case failed.Condition == 0:
			return errGone // the index was deleted, or only its settings changed: then they are still there
		}
	}
	return objects.ErrConflict
}
