package objects

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/tarnlake/tarn/objects/index"
)

// checkpoints keeps the index's images in stripes, and their place in the root record.
type checkpoints struct{ s *Store }

var _ index.Checkpoints = checkpoints{}

// Save writes the image as a blob and then names it in the roots.
func (c checkpoints) Save(ctx context.Context, through uint64, write func(io.Writer) error) error {
	ctx = mayUseReserve(ctx) // without checkpoints the journal would only grow
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(write(w))
	}()
	image, err := c.s.WriteBlob(ctx, r, -1)
	_ = r.CloseWithError(err) // lets the writer go where the blob failed
	<-done
	if err == nil {
		err = c.name(ctx, through, image)
	}
	if c.s.o.Events.Checkpoint != nil {
		c.s.o.Events.Checkpoint(through, err)
	}
	if err != nil {
		return fmt.Errorf("save checkpoint through entry %d: %w", through, err)
	}
	return nil
}

func (c checkpoints) name(ctx context.Context, through uint64, image Blob) error {
	named, err := c.s.nameCheckpoint(ctx, image)
	if err != nil {
		return err
	}
	if err := c.s.roots.save(ctx, func(r *rootRecord) { r.through, r.checkpoint = through, named.value }); err != nil {
		return err
	}
	named.kept(c.s)
	return nil
}

// Load opens the newest image.
func (c checkpoints) Load(ctx context.Context) (uint64, io.ReadCloser, error) {
	record := c.s.roots.get()
	named, err := c.s.checkpoint(ctx, &record)
	if err != nil {
		return 0, nil, fmt.Errorf("load checkpoint: %w", err)
	}
	if len(named.image) == 0 {
		return 0, nil, index.ErrNotFound
	}
	return record.through, c.s.OpenBlob(named.image[0]).NewReader(ctx, 0, -1), nil
}

// namedCheckpoint is what the root record says of the newest image. The value is
// an envelope of the image's blob; where its stripes are too many for a root, of the
// blob of a list, with the payload checkpointListed. The list's bytes are an
// envelope of the image's blob.
type namedCheckpoint struct {
	value []byte
	image []Blob // one, or none
	list  []Blob // one, or none
}

const (
	checkpointListed = "\x01"
	checkpointInRoot = 64 << 10 // bytes of the value, to which it lies in the root itself
)

func (n *namedCheckpoint) blobs() []Blob { return slices.Concat(n.image, n.list) }

// kept tells that a root names it now.
func (n *namedCheckpoint) kept(s *Store) {
	for _, b := range n.blobs() {
		s.pins.committed(b.Stripes)
	}
}

// nameCheckpoint makes a value for the roots.
func (s *Store) nameCheckpoint(ctx context.Context, image Blob) (n namedCheckpoint, err error) {
	n.image = []Blob{image}
	n.value = EncodeValue(n.image, nil)
	if len(n.value) <= s.o.checkpointInRoot {
		return n, nil
	}
	if len(n.value) > valueBytesMax {
		return n, fmt.Errorf("%w: an image of %d stripes", ErrTooLarge, len(image.Stripes))
	}
	list, err := s.WriteBlob(ctx, bytes.NewReader(n.value), int64(len(n.value)))
	if err != nil {
		return n, fmt.Errorf("write the list of the image's stripes: %w", err)
	}
	n.list = []Blob{list}
	n.value = EncodeValue(n.list, []byte(checkpointListed))
	return n, nil
}

// renameCheckpoint puts the image at other places, unless the roots name another by now.
// A list is written anew, whichever of its stripes or the image's have moved.
func (s *Store) renameCheckpoint(ctx context.Context, old []byte, image Blob) error {
	named, err := s.nameCheckpoint(ctx, image)
	if err != nil {
		return err
	}
	err = s.roots.save(ctx, func(now *rootRecord) {
		if bytes.Equal(now.checkpoint, old) {
			now.checkpoint = named.value
		}
	})
	if err == nil {
		named.kept(s)
	}
	return err
}

// checkpoint reads what a root record says.
func (s *Store) checkpoint(ctx context.Context, r *rootRecord) (n namedCheckpoint, err error) {
	if n.value = r.checkpoint; len(n.value) == 0 {
		return n, nil
	}
	blobs, payload, err := DecodeValue(n.value)
	if err == nil && len(blobs) != 1 {
		err = fmt.Errorf("%w: a checkpoint of %d blobs", ErrCorruptIndexItem, len(blobs))
	}
	if err != nil || string(payload) != checkpointListed {
		n.image = blobs
		return n, err
	}
	n.list = blobs
	if blobs[0].Bytes > valueBytesMax {
		return n, fmt.Errorf("%w: a list of %d bytes", ErrCorruptIndexItem, blobs[0].Bytes)
	}
	list := make([]byte, blobs[0].Bytes)
	if _, err := s.OpenBlob(blobs[0]).ReadAt(ctx, list, 0); err != nil {
		return n, fmt.Errorf("read the list of the image's stripes: %w", err)
	}
	n.image, _, err = DecodeValue(list)
	if err == nil && len(n.image) != 1 {
		err = fmt.Errorf("%w: a listed checkpoint of %d blobs", ErrCorruptIndexItem, len(n.image))
	}
	return n, err
}
