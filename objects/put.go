package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tarnlake/tarn/objects/index"
)

// Staged is an object version whose bytes are durable and which nobody sees:
// a Tx makes it visible, or its bytes are collected some day.
type Staged struct {
	bucket, key string
	record      objectRecord
	value       []byte           // of the object's entry
	pieces      []index.Mutation // of its stripe list, where that is long
	shared      *Packed          // where its bytes share a stripe from the start; else nil
}

// Object is what the version will be. Its Revision is that of the commit.
func (st *Staged) Object() Object { return st.record.object(st.bucket, st.key, 0) }

func (st *Staged) version() VersionID { return st.record.version }

func (st *Staged) mutations() []index.Mutation {
	entry := index.Mutation{Kind: index.Put, Key: ObjectKey(st.bucket, st.key), Value: st.value}
	return append([]index.Mutation{entry}, st.pieces...)
}

// Put writes an object. On return it is durable and everyone sees it.
func (s *Store) Put(ctx context.Context, r PutRequest) (Object, error) {
	if err := s.precheck(ctx, r.Bucket, r.Key, r.Conditions); err != nil {
		return Object{}, err
	}
	st, err := s.Stage(ctx, r)
	if err != nil {
		return Object{}, err
	}
	res, err := s.apply(ctx, r.Conditions.any(), func(tx *Tx) error {
		return tx.PutObject(ctx, st, r.Conditions)
	})
	if err != nil {
		s.drop(st, err)
		return Object{}, err
	}
	o := st.Object()
	o.Revision = res.Version
	return o, nil
}

// drop lets go of what will not be committed, unless it may have been.
func (s *Store) drop(st *Staged, cause error) {
	if st.shared != nil && !errors.Is(cause, index.ErrUnknown) {
		s.pins.drop(st.shared)
	}
}

// precheck refuses early, before a body is read, what cannot succeed now.
func (s *Store) precheck(ctx context.Context, bucket, key string, c Conditions) error {
	if !c.any() {
		return nil
	}
	if err := checkPlace(bucket, key); err != nil {
		return err
	}
	if _, err := s.Bucket(ctx, bucket); err != nil {
		return err
	}
	now, err := s.present(ctx, bucket, key)
	if err != nil {
		return err
	}
	if err := c.hold(now); err != nil {
		return fmt.Errorf("put %s/%s: %w", bucket, clip(key), err)
	}
	return nil
}

// Stage makes an object's bytes durable without making it visible. The
// request's Conditions are those that are given to Tx.PutObject.
func (s *Store) Stage(ctx context.Context, r PutRequest) (*Staged, error) {
	said := about{r.ContentType, r.Headers, r.Metadata}
	if err := checkPut(r, said); err != nil {
		return nil, err
	}
	if _, err := s.Bucket(ctx, r.Bucket); err != nil {
		return nil, err
	}
	in := intake{r.Bucket, r.Body, r.Bytes, r.MD5, r.Checksums, []string{r.ComputeChecksum}, r.Verify, r.Computed}
	blob, d, joint, err := s.take(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("put %s/%s: %w", r.Bucket, clip(r.Key), err)
	}
	v, err := s.newVersionID()
	if err != nil {
		return nil, err
	}
	st := &Staged{bucket: r.Bucket, key: r.Key, record: objectRecord{
		version: v, modified: s.Host().Clock.Now().UTC(), bytes: d.bytes,
		etag: d.etag(), about: said.clone(), sums: d.checksums(),
	}}
	st.seal(blob, entryBytesMax)
	if joint != nil {
		st.pieces, st.shared = append(st.pieces, joint.entry()), blob.Packed
	}
	return st, nil
}

func checkPut(r PutRequest, said about) error {
	if err := checkPlace(r.Bucket, r.Key); err != nil {
		return err
	}
	if err := said.check(); err != nil {
		return err
	}
	return checkBody(r.Bytes, r.MD5, r.Checksums, r.ComputeChecksum)
}

// intake is a body, and what it must be.
type intake struct {
	bucket   string // of which other blobs may share its stripe; "": none may
	body     io.Reader
	bytes    int64
	md5      []byte
	sums     Checksums
	compute  []string
	verify   func() error
	computed func(Checksums) error
}

// take makes a body durable and verifies it: a small one before it is written. What
// fails leaves bytes that nothing names.
func (s *Store) take(ctx context.Context, in intake) (Blob, *digest, *joint, error) {
	if in.body == nil {
		in.body = strings.NewReader("")
	}
	d := newDigest(in.body, in.bytes, PutBytesMax, in.sums, in.compute...)
	w := &blobWriter{s: s, r: d, left: in.bytes, unknown: in.bytes < 0, bucket: in.bucket, prove: func() error { return in.prove(d) }}
	blob, err := w.blob(ctx)
	if err == nil && !w.proved {
		err = w.prove()
	}
	if err != nil {
		return Blob{}, nil, nil, err
	}
	return blob, d, w.joint, nil
}

// prove reads what follows the body, and compares the body with what it must be.
func (in *intake) prove(d *digest) error {
	if err := d.drain(); err != nil {
		return err
	}
	if in.verify != nil {
		if err := in.verify(); err != nil {
			return err
		}
	}
	if err := d.verify(in.md5, in.sums); err != nil {
		return err
	}
	if in.computed != nil {
		return in.computed(d.checksums())
	}
	return nil
}

// entryBytesMax is the size of an index value above which an object's stripe
// list leaves it, so that listings stay cheap: at 4+2 this is an object of
// about 2.5 GiB. A put of 5 GiB has some 130 KB of list, so that a few pieces
// hold it, and they fit into the transaction of the object itself.
const entryBytesMax = 64 << 10

// seal makes the entry, and pieces where it would pass limit.
func (st *Staged) seal(blob Blob, limit int) {
	st.value = EncodeValue([]Blob{blob}, st.record.encode())
	if len(st.value) <= limit || len(blob.Stripes) < 2 {
		return
	}
	each := max(1, len(blob.Stripes)*limit/len(st.value))
	st.record.segments = segments{kind: KindPiece, id: st.record.version}
	for n := 1; len(blob.Stripes) > 0; n++ {
		var piece Blob
		piece, blob = splitBlob(blob, each)
		st.record.segments.add(n, piece.Bytes)
		st.pieces = append(st.pieces, index.Mutation{
			Kind:  index.Put,
			Key:   segmentKey(st.bucket, KindPiece, st.record.version, n),
			Value: EncodeValue([]Blob{piece}, nil),
		})
	}
	st.value = EncodeValue(nil, st.record.encode())
}

// splitBlob takes the first n stripes off b.
func splitBlob(b Blob, n int) (head, rest Blob) {
	n = min(n, len(b.Stripes))
	head, rest = Blob{Stripes: b.Stripes[:n]}, Blob{Stripes: b.Stripes[n:]}
	for _, s := range head.Stripes {
		head.Bytes += int64(s.Bytes)
	}
	rest.Bytes = b.Bytes - head.Bytes
	return head, rest
}
