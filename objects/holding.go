package objects

import (
	"context"
	"fmt"
	"time"
)

// Holding is what the index names on one drive.
type Holding struct{ Shards, Bytes int64 }

// Drain says how far a drive is drained.
type Drain struct {
	Holding           // what is left, as it was last counted
	Done    bool      // nothing is left: the drive can be removed
	Counted time.Time // zero: not yet
}

// Holdings counts what the index names on each drive. It reads the whole index.
func (s *Store) Holdings(ctx context.Context) (map[uint16]Holding, error) {
	held := map[uint16]Holding{}
	var bad error
	err := s.eachValue(ctx, func(key []byte, blobs []Blob, err error) {
		if err != nil && bad == nil {
			bad = fmt.Errorf("value of key %q: %w", key, err)
		}
		for i := range blobs {
			for j := range blobs[i].Stripes {
				st := &blobs[i].Stripes[j]
				for _, sh := range st.Shards {
					if !sh.Address.IsZero() {
						h := held[sh.Drive]
						held[sh.Drive] = Holding{h.Shards + 1, h.Bytes + int64(st.ShardBytes())}
					}
				}
			}
		}
	})
	if err == nil {
		err = bad // what it names is not known
	}
	if err != nil {
		return nil, fmt.Errorf("count what the drives hold: %w", err)
	}
	s.moves.counted(held, s.host.Clock.Now())
	return held, nil
}
