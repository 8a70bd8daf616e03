package objects

import (
	"context"
	"fmt"
	"io"

	"github.com/tarnlake/tarn/objects/index"
)

// checkpoints keeps the index's images in stripes, and their place in the root record.
type checkpoints struct{ s *Store }

var _ index.Checkpoints = checkpoints{}

// Save writes the image as a blob and then names it in the roots.
func (c checkpoints) Save(ctx context.Context, through uint64, write func(io.Writer) error) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(write(w))
	}()
	blob, err := c.s.WriteBlob(ctx, r, -1)
	_ = r.CloseWithError(err) // lets the writer go where the blob failed
	<-done
	if err == nil {
		value := EncodeValue([]Blob{blob}, nil)
		err = c.s.roots.save(ctx, func(r *rootRecord) { r.through, r.checkpoint = through, value })
	}
	if err == nil {
		c.s.pins.committed(blob.Stripes) // the root keeps them
	}
	if c.s.o.Events.Checkpoint != nil {
		c.s.o.Events.Checkpoint(through, err)
	}
	if err != nil {
		return fmt.Errorf("save checkpoint through entry %d: %w", through, err)
	}
	return nil
}

// Load opens the newest image.
func (c checkpoints) Load(ctx context.Context) (uint64, io.ReadCloser, error) {
	record := c.s.roots.get()
	blobs, err := record.blobs()
	if err != nil {
		return 0, nil, fmt.Errorf("load checkpoint: %w", err)
	}
	if len(blobs) == 0 {
		return 0, nil, index.ErrNotFound
	}
	return record.through, c.s.OpenBlob(blobs[0]).NewReader(ctx, 0, -1), nil
}
