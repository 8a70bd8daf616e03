package objects

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tarnlake/tarn/objects/index"
)

// CompleteUpload makes an object of an upload's parts in one transaction, which
// moves no bytes and no stripe lists: the object refers to the parts where they
// are. Completing again with the same parts gives the same object, as long as
// it is there.
func (s *Store) CompleteUpload(ctx context.Context, r CompleteRequest) (Object, error) {
	if err := checkComplete(r); err != nil {
		return Object{}, err
	}
	var done Object
	res, err := s.apply(ctx, r.Conditions.any(), func(tx *Tx) (err error) {
		done, err = s.complete(ctx, tx, r)
		return err
	})
	if errors.Is(err, ErrNoUpload) {
		return s.completedBefore(ctx, r, err)
	}
	if err != nil {
		return Object{}, fmt.Errorf("complete upload %s: %w", clip(r.UploadID), err)
	}
	done.Revision = res.Version
	return done, nil
}

// checkComplete finds what is wrong with a request by itself.
func checkComplete(r CompleteRequest) error {
	if len(r.Parts) == 0 || len(r.Parts) > PartsMax {
		return invalid("parts", "1 to %d are named, not %d", PartsMax, len(r.Parts))
	}
	last := 0
	for _, p := range r.Parts {
		if err := checkPartNumber(p.Number); err != nil {
			return err
		}
		if p.Number <= last {
			return fmt.Errorf("%w: %d after %d", ErrPartOrder, p.Number, last)
		}
		last = p.Number
		if err := p.Checksums.check(); err != nil {
			return err
		}
	}
	return r.Checksums.check()
}

// complete reads the upload and builds the transaction that ends it.
func (s *Store) complete(ctx context.Context, tx *Tx, r CompleteRequest) (Object, error) {
	u, err := s.upload(ctx, r.Bucket, r.Key, r.UploadID)
	if err != nil {
		return Object{}, err
	}
	touched, err := s.touched(ctx, &u)
	if err != nil {
		return Object{}, err
	}
	a := assembly{upload: &u, wanted: r.Parts, partBytesMin: s.o.PartBytesMin}
	if err := s.parts(ctx, &u, 1, a.add); err != nil {
		return Object{}, err
	}
	rec, err := a.finish(r.Checksums)
	if err != nil {
		return Object{}, err
	}
	if rec.version, err = s.newVersionID(); err != nil {
		return Object{}, err
	}
	rec.modified = s.Host().Clock.Now().UTC()
	puts := append([]index.Mutation{
		{Kind: index.Put, Key: ObjectKey(r.Bucket, r.Key), Value: EncodeValue(nil, rec.encode())},
		{Kind: index.Delete, Key: uploadKey(r.Bucket, r.Key, u.id)},
		{Kind: index.Delete, Key: u.touchKey()},
	}, a.discard()...)
	tx.Check(u.unchanged())
	tx.Check(touched)
	return rec.object(r.Bucket, r.Key, 0), tx.putVersion(ctx, r.Bucket, r.Key, rec.version, r.Conditions, puts)
}

// touched demands that no part is written after this call.
func (s *Store) touched(ctx context.Context, u *openUpload) (index.Condition, error) {
	item, err := s.Index().Get(ctx, u.touchKey())
	if errors.Is(err, index.ErrNotFound) {
		return index.Condition{Kind: index.KeyAbsent, Key: u.touchKey()}, nil
	}
	return index.Condition{Kind: index.KeyVersion, Key: u.touchKey(), Version: item.Version}, err
}

// completedBefore finds the object that an earlier completion of the same parts
// made; where there is none it returns the given error.
func (s *Store) completedBefore(ctx context.Context, r CompleteRequest, none error) (Object, error) {
	now, err := s.present(ctx, r.Bucket, r.Key)
	if err != nil {
		return Object{}, err
	}
	if now == nil || now.record.segments.kind != KindPart || now.record.segments.id.String() != strings.ToLower(r.UploadID) {
		return Object{}, none
	}
	numbers := now.record.segments.numbers()
	same := slices.EqualFunc(r.Parts, numbers, func(p CompletePart, n int) bool { return p.Number == n })
	if !same || compositeETag(r.Parts) != now.record.etag {
		return Object{}, none
	}
	return now.record.object(r.Bucket, r.Key, now.revision), nil
}

// compositeETag is MD5 of the parts' MD5s, and their count.
func compositeETag(parts []CompletePart) string {
	h := md5.New()
	for _, p := range parts {
		sum, _ := hex.DecodeString(plainETag(p.ETag))
		h.Write(sum)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(parts))
}

// plainETag is without the quotes that some clients send, and in lower case.
func plainETag(etag string) string { return strings.ToLower(strings.Trim(etag, `"`)) }

// assembly matches the parts that are there with those that are wanted; both
// come by rising number.
type assembly struct {
	upload       *openUpload
	wanted       []CompletePart
	partBytesMin int64

	record   objectRecord
	sums     []Checksums
	sizes    []int64
	unwanted []int // numbers
	err      error
}

// add takes the next part that is there.
func (a *assembly) add(p Part) bool {
	at := len(a.sizes)
	if at == len(a.wanted) || p.Number < a.wanted[at].Number {
		a.unwanted = append(a.unwanted, p.Number)
		return true
	}
	a.err = a.match(a.wanted[at], p)
	a.record.segments.add(p.Number, p.Bytes)
	a.record.bytes += p.Bytes
	a.sizes = append(a.sizes, p.Bytes)
	a.sums = append(a.sums, p.Checksums)
	return a.err == nil
}

func (a *assembly) match(want CompletePart, p Part) error {
	switch {
	case p.Number != want.Number:
		return fmt.Errorf("%w: part %d is missing", ErrInvalidPart, want.Number)
	case plainETag(want.ETag) != p.ETag:
		return fmt.Errorf("%w: part %d has ETag %s", ErrInvalidPart, p.Number, p.ETag)
	case want.Checksums.agree(p.Checksums) != nil:
		return fmt.Errorf("%w: part %d has another checksum", ErrInvalidPart, p.Number)
	case p.Bytes < a.partBytesMin && len(a.sizes)+1 < len(a.wanted):
		return fmt.Errorf("%w: part %d has %d bytes, the least is %d", ErrPartTooSmall, p.Number, p.Bytes, a.partBytesMin)
	}
	return nil
}

// finish is the record of the object; version and time are the caller's.
func (a *assembly) finish(expected Checksums) (objectRecord, error) {
	r := &a.record
	switch {
	case a.err != nil:
		return *r, a.err
	case len(a.sizes) < len(a.wanted):
		return *r, fmt.Errorf("%w: part %d is missing", ErrInvalidPart, a.wanted[len(a.sizes)].Number)
	case r.bytes > ObjectBytesMax:
		return *r, fmt.Errorf("%w: the parts have %d bytes, at most %d", ErrTooLarge, r.bytes, int64(ObjectBytesMax))
	}
	r.etag = compositeETag(a.wanted)
	r.about = a.upload.record.about
	r.segments.kind, r.segments.id = KindPart, a.upload.id
	a.sum()
	return *r, expected.agree(r.sums)
}

// sum is the object's checksum, from those of the parts.
func (a *assembly) sum() {
	name := a.upload.record.algorithm
	switch {
	case name == "":
	case a.upload.record.composite:
		a.record.sums.Set(name, compositeSum(name, a.sums))
		a.record.sums.Composite = true
	default:
		a.record.sums.Set(name, combineCRC(name, a.sums, a.sizes))
	}
}

// discardMax bounds the mutations that discard; the transaction has few others.
const discardMax = 900

// discard removes the parts that are not wanted, a mutation for each gap that
// has some. Those of more gaps than fit stay until the object goes.
func (a *assembly) discard() []index.Mutation {
	var out []index.Mutation
	u, last := a.upload, -1
	for i, n := range a.unwanted {
		gap, _ := slices.BinarySearchFunc(a.wanted, n, func(p CompletePart, n int) int { return p.Number - n })
		end := segmentKey(u.bucket, KindPart, u.id, n+1)
		switch {
		case i > 0 && gap == last:
			out[len(out)-1].End = end
		case len(out) == discardMax:
			return out
		default:
			out = append(out, index.Mutation{Kind: index.DeleteRange, Key: segmentKey(u.bucket, KindPart, u.id, n), End: end})
		}
		last = gap
	}
	return out
}
