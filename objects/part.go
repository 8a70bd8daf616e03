package objects

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// UploadPart writes one part; a part of its number that was there is replaced.
// ErrNoUpload also where the upload ends while the body comes.
func (s *Store) UploadPart(ctx context.Context, r PartRequest) (Part, error) {
	if err := checkPartNumber(r.Number); err != nil {
		return Part{}, err
	}
	if err := checkBody(r.Bytes, r.MD5, r.Checksums, r.ComputeChecksum); err != nil {
		return Part{}, err
	}
	u, err := s.upload(ctx, r.Bucket, r.Key, r.UploadID)
	if err != nil {
		return Part{}, err
	}
	in := intake{"", r.Body, r.Bytes, r.MD5, r.Checksums, []string{r.ComputeChecksum, u.record.algorithm}, r.Verify, r.Computed}
	blob, d, _, err := s.take(ctx, in)
	if err != nil {
		return Part{}, fmt.Errorf("part %d of upload %s: %w", r.Number, r.UploadID, err)
	}
	rec := partRecord{modified: s.Host().Clock.Now().UTC(), bytes: d.bytes, sums: d.checksums()}
	copy(rec.md5[:], d.md5.Sum(nil))
	if err := s.addPart(ctx, &u, r.Number, blob, &rec); err != nil {
		return Part{}, err
	}
	return rec.part(r.Number), nil
}

// addPart makes a part visible. It touches the upload's parts as a whole, so
// that a completion which read them before fails and reads again.
func (s *Store) addPart(ctx context.Context, u *openUpload, number int, blob Blob, rec *partRecord) error {
	tx := s.Begin()
	tx.Check(u.unchanged())
	tx.Mutate(index.Mutation{
		Kind:  index.Put,
		Key:   segmentKey(u.bucket, KindPart, u.id, number),
		Value: EncodeValue([]Blob{blob}, rec.encode()),
	})
	tx.Mutate(index.Mutation{Kind: index.Put, Key: u.touchKey(), Value: EncodeValue(nil, nil)})
	if _, err := s.Commit(ctx, tx); errors.Is(err, ErrConflict) {
		return noUpload(u.id.String())
	} else if err != nil {
		return fmt.Errorf("part %d of upload %s: %w", number, u.id, err)
	}
	return nil
}

func (u *openUpload) touchKey() []byte { return segmentsPrefix(u.bucket, KindPart, u.id) }

func (r *partRecord) part(number int) Part {
	return Part{Number: number, ETag: hex.EncodeToString(r.md5[:]), Bytes: r.bytes, Modified: r.modified, Checksums: r.sums}
}

// UploadPartCopy writes one part from the bytes of an object.
func (s *Store) UploadPartCopy(ctx context.Context, r PartCopyRequest) (Part, error) {
	src, err := s.openSource(ctx, r.SourceBucket, r.SourceKey, r.SourceVersion, r.SourceETag)
	if err != nil {
		return Part{}, err
	}
	if r.Bytes < 0 {
		r.Bytes = src.Bytes - r.Offset
	}
	if r.Offset < 0 || r.Offset > src.Bytes || r.Bytes > src.Bytes-r.Offset {
		return Part{}, fmt.Errorf("%w: %d bytes from %d of %d", ErrRange, r.Bytes, r.Offset, src.Bytes)
	}
	body := src.NewReader(ctx, r.Offset, r.Bytes)
	defer body.Close()
	put := PartRequest{Bucket: r.Bucket, Key: r.Key, UploadID: r.UploadID, Number: r.Number, Body: body, Bytes: r.Bytes}
	if r.Bytes == src.Bytes {
		put.MD5, put.Checksums = src.plainDigests()
	}
	return s.UploadPart(ctx, put)
}

// ListParts gives a page of an upload's parts with numbers above after.
func (s *Store) ListParts(ctx context.Context, bucket, key, id string, after, most int) (PartPage, error) {
	if err := checkPage(&most); err != nil {
		return PartPage{}, err
	}
	if after < 0 {
		return PartPage{}, invalid("part number marker", "cannot be %d", after)
	}
	u, err := s.upload(ctx, bucket, key, id)
	if err != nil {
		return PartPage{}, err
	}
	page := PartPage{Upload: u.record.upload(bucket, key, u.id)}
	if most == 0 || after >= PartsMax {
		return page, nil
	}
	err = s.parts(ctx, &u, after+1, func(p Part) bool {
		if len(page.Parts) == most {
			page.Next = page.Parts[most-1].Number
			return false
		}
		page.Parts = append(page.Parts, p)
		return true
	})
	return page, err
}

// parts yields an upload's parts from a number on, until yield returns false.
func (s *Store) parts(ctx context.Context, u *openUpload, from int, yield func(Part) bool) error {
	prefix := segmentsPrefix(u.bucket, KindPart, u.id)
	lo, hi := segmentKey(u.bucket, KindPart, u.id, from), PrefixEnd(prefix)
	for item, err := range s.Index().Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return fmt.Errorf("read the parts of upload %s: %w", u.id, err)
		}
		p, err := decodePart(item, len(prefix))
		if err != nil {
			return fmt.Errorf("read the parts of upload %s: %w", u.id, err)
		}
		if !yield(p) {
			return nil
		}
	}
	return nil
}

func decodePart(item index.Item, prefix int) (Part, error) {
	number, err := parseSegmentNumber(item.Key, prefix)
	if err != nil {
		return Part{}, err
	}
	_, payload, err := DecodeValue(item.Value)
	if err != nil {
		return Part{}, err
	}
	rec, err := decodePartRecord(payload)
	return rec.part(number), err
}
