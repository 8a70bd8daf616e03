package objects

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects/erasure"
)

// blobStripesInFlight bounds what one blob takes of Options.StripesInFlight.
const blobStripesInFlight = 4

// WriteBlob makes the bytes of r durable: inline to 1 KiB, as whole copies on
// m+1 drives to 128 KiB, else in stripes. size is their number, or -1; of a
// longer r only so much is read. The blob has no name: unless a transaction
// commits it within Options.StageKept, its space is taken back.
//
// ErrReadOnly, ErrFull: too few drives took it. ErrIncompleteBody: r ended before size.
func (s *Store) WriteBlob(ctx context.Context, r io.Reader, size int64) (Blob, error) {
	w := &blobWriter{s: s, r: r, left: size, unknown: size < 0}
	return w.blob(ctx)
}

// blobWriter is one blob on its way to the drives.
type blobWriter struct {
	s       *Store
	r       io.Reader
	left    int64 // to be read, unless unknown
	unknown bool
	body    gathered
	hold    *hold // keeps what was written from being swept

	bucket string       // of which other blobs may share the blob's stripe; "": none may
	prove  func() error // asked once about a small body that was read whole, before it is written; may be nil
	proved bool
	joint  *joint // the stripe that the blob shares; nil: none
}

// blob makes the bytes durable, and pins them.
func (w *blobWriter) blob(ctx context.Context) (Blob, error) {
	if err := w.s.drives.writable(w.s.o.DataShards, w.s.o.ParityShards, usesReserve(ctx)); err != nil {
		return Blob{}, err
	}
	w.hold = w.s.pins.hold()
	defer w.body.release()
	b, err := w.write(ctx)
	if err != nil {
		w.hold.end()
		return Blob{}, err
	}
	w.hold.stage(w.s.host.Clock.Now(), &b)
	return b, nil
}

func (w *blobWriter) write(ctx context.Context) (b Blob, err error) {
	if err = w.fill(SmallBytesMax + 1); err != nil {
		return b, fmt.Errorf("write blob: %w", err)
	}
	n := w.body.bytes
	if n <= SmallBytesMax && w.prove != nil {
		if w.proved, err = true, w.prove(); err != nil {
			return b, err
		}
	}
	switch {
	case n <= InlineBytesMax:
		return Blob{Bytes: int64(n), Inline: w.body.clone()}, nil
	case n <= SmallBytesMax:
		b, err = w.small(ctx)
	default:
		b, err = w.large(ctx)
	}
	if err != nil {
		return b, fmt.Errorf("write blob: %w", err)
	}
	return b, nil
}

// fill gathers until there are most bytes, or all.
func (w *blobWriter) fill(most int) error {
	before := w.body.bytes
	if !w.unknown {
		most = min(most, before+int(min(w.left, int64(most))))
	}
	if err := w.body.fill(w.r, most); err != nil {
		return err
	}
	w.left -= int64(w.body.bytes - before)
	if w.body.ended && !w.unknown && w.left > 0 {
		return fmt.Errorf("%w: %d bytes are missing", ErrIncompleteBody, w.left)
	}
	return nil
}

// small writes a blob together with others, or else whole copies. The drives get
// memory of their own: one of them may use it for longer than this call lasts.
func (w *blobWriter) small(ctx context.Context) (Blob, error) {
	body := w.body.clone()
	if w.bucket != "" && len(body) <= jointBlobMax && w.s.o.JointLeast > 0 {
		one, err := w.s.joints.enter(ctx, w.bucket, body)
		if err != nil {
			return Blob{}, err
		}
		if one != nil {
			w.joint = one.joint
			return one.blob, nil
		}
		defer w.s.joints.leave(1)
	}
	st, err := w.copies(ctx, body)
	return Blob{Bytes: int64(len(body)), Stripes: []Stripe{st}}, err
}

// copies writes whole copies.
func (w *blobWriter) copies(ctx context.Context, body []byte) (Stripe, error) {
	st := Stripe{Bytes: uint32(len(body)), K: 1, M: uint8(w.s.o.ParityShards)}
	payloads := make([][]byte, w.s.o.ParityShards+1)
	for i := range payloads {
		payloads[i] = body
	}
	if err := w.s.newID(&st.ID); err != nil {
		return Stripe{}, err
	}
	_, err := w.s.lay(ctx, w.hold, &st, payloads)
	return st, err
}

// large writes stripes, several at once. With very many bodies at once they are
// shorter, so that what is gathered, however slowly, stays within bounds.
func (w *blobWriter) large(ctx context.Context) (Blob, error) {
	var b Blob
	var written []*Stripe
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(blobStripesInFlight)
	stripeBytes := w.s.o.DataShards * ShardBytesMax
	w.s.gathers.enter()
	defer w.s.gathers.leave()
	for {
		if err := w.fill(max(w.stripeShare(b.Bytes, stripeBytes), w.body.bytes)); err != nil {
			_ = group.Wait() // the body's error came first
			return b, err
		}
		n := w.body.bytes
		if n == 0 {
			break
		}
		buffer, err := w.s.pool.Get(groupCtx)
		if err != nil {
			break // group.Wait tells why
		}
		w.body.copyTo(buffer.Payload(n))
		w.body.release()
		st := &Stripe{}
		written, b.Bytes = append(written, st), b.Bytes+int64(n)
		group.Go(func() error { return w.stripe(groupCtx, st, buffer, n) })
	}
	if err := group.Wait(); err != nil {
		return Blob{}, err
	}
	for _, st := range written {
		b.Stripes = append(b.Stripes, *st)
	}
	return b, ctx.Err()
}

// stripesFine is after how many stripes of a blob the next ones may not be as short
// any more, so that its list fits the transaction that names it.
const stripesFine = 512

// stripeShare is the length of the next stripe of a blob of which so much is written.
func (w *blobWriter) stripeShare(written int64, most int) int {
	return min(max(w.s.gathers.each(most), int(written/stripesFine)), most)
}

// stripe encodes and writes the first n bytes of a buffer, and ends it.
func (w *blobWriter) stripe(ctx context.Context, st *Stripe, buffer *erasure.Buffer, n int) error {
	*st = Stripe{Bytes: uint32(n), K: uint8(w.s.o.DataShards), M: uint8(w.s.o.ParityShards)}
	shards := buffer.Shards(n)
	err := w.s.code.Encode(shards)
	if err == nil {
		err = w.s.newID(&st.ID)
	}
	late := false
	if err == nil {
		late, err = w.s.lay(ctx, w.hold, st, shards)
	}
	if late {
		buffer.Abandon()
	} else {
		buffer.Release()
	}
	return err
}

func (s *Store) newID(id *[16]byte) error {
	if _, err := io.ReadFull(s.host.Entropy, id[:]); err != nil {
		return fmt.Errorf("draw a stripe's id: %w", err)
	}
	return nil
}
