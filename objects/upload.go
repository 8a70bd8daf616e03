package objects

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// CreateUpload begins a multipart upload. ErrNoBucket.
func (s *Store) CreateUpload(ctx context.Context, r UploadRequest) (Upload, error) {
	rec, err := newUploadRecord(r)
	if err != nil {
		return Upload{}, err
	}
	rec.created = s.Host().Clock.Now().UTC()
	id, err := s.newVersionID()
	if err != nil {
		return Upload{}, err
	}
	tx := s.Begin()
	tx.needBucket(r.Bucket)
	tx.Mutate(index.Mutation{Kind: index.Put, Key: uploadKey(r.Bucket, r.Key, id), Value: EncodeValue(nil, rec.encode())})
	if _, err := s.Commit(ctx, tx); err != nil {
		return Upload{}, fmt.Errorf("create upload of %s/%s: %w", r.Bucket, clip(r.Key), err)
	}
	return rec.upload(r.Bucket, r.Key, id), nil
}

// newUploadRecord checks a request and settles its checksum type.
func newUploadRecord(r UploadRequest) (uploadRecord, error) {
	rec := uploadRecord{about: about{r.ContentType, r.Headers, r.Metadata}.clone(), algorithm: r.ChecksumAlgorithm}
	if err := checkPlace(r.Bucket, r.Key); err != nil {
		return rec, err
	}
	if err := rec.about.check(); err != nil {
		return rec, err
	}
	composite, err := checksumType(r.ChecksumAlgorithm, r.ChecksumType)
	rec.composite = composite
	return rec, err
}

// checksumType tells whether an upload's checksum is composite: S3 has no
// composite crc64nvme, and nobody can combine SHA sums.
func checksumType(algorithm, kind string) (composite bool, err error) {
	_, combines := crcFields[algorithm]
	switch {
	case algorithm == "" && kind == "":
		return false, nil
	case !knownChecksum(algorithm):
		return false, invalid("checksum algorithm", "%q is not known", clip(algorithm))
	case kind == "":
		return algorithm != CRC64NVME, nil
	case kind == ChecksumComposite && algorithm != CRC64NVME:
		return true, nil
	case kind == ChecksumFullObject && combines:
		return false, nil
	}
	return false, invalid("checksum type", "%q is not one that %s has", clip(kind), algorithm)
}

func (r *uploadRecord) upload(bucket, key string, id VersionID) Upload {
	u := Upload{
		ID: id.String(), Bucket: bucket, Key: key, Created: r.created,
		ContentType: r.about.contentType, Headers: r.about.headers, Metadata: r.about.metadata,
		ChecksumAlgorithm: r.algorithm,
	}
	switch {
	case r.composite:
		u.ChecksumType = ChecksumComposite
	case r.algorithm != "":
		u.ChecksumType = ChecksumFullObject
	}
	return u
}

// openUpload is an upload under way, as it was read.
type openUpload struct {
	id          VersionID
	bucket, key string
	revision    uint64
	record      uploadRecord
}

// upload looks an upload up. ErrNoUpload.
func (s *Store) upload(ctx context.Context, bucket, key, id string) (openUpload, error) {
	u := openUpload{bucket: bucket, key: key}
	if err := checkPlace(bucket, key); err != nil {
		return u, err
	}
	var err error
	if u.id, err = ParseVersionID(id); err != nil {
		return u, noUpload(id)
	}
	item, err := s.Index().Get(ctx, uploadKey(bucket, key, u.id))
	if errors.Is(err, index.ErrNotFound) {
		return u, s.whyNoUpload(ctx, bucket, id)
	}
	if err != nil {
		return u, fmt.Errorf("look up upload %s: %w", id, err)
	}
	u.revision = item.Version
	u.record, err = decodeUpload(item.Value)
	return u, err
}

func noUpload(id string) error { return fmt.Errorf("%w: %q", ErrNoUpload, clip(id)) }

func (s *Store) whyNoUpload(ctx context.Context, bucket, id string) error {
	if _, err := s.Bucket(ctx, bucket); err != nil {
		return err
	}
	return noUpload(id)
}

func decodeUpload(value []byte) (uploadRecord, error) {
	_, payload, err := DecodeValue(value)
	if err != nil {
		return uploadRecord{}, fmt.Errorf("read upload: %w", err)
	}
	return decodeUploadRecord(payload)
}

// unchanged demands that the upload is still under way.
func (u *openUpload) unchanged() index.Condition {
	return index.Condition{Kind: index.KeyVersion, Key: uploadKey(u.bucket, u.key, u.id), Version: u.revision}
}

// AbortUpload ends an upload and gives its parts up. ErrNoUpload.
func (s *Store) AbortUpload(ctx context.Context, bucket, key, id string) error {
	u, err := s.upload(ctx, bucket, key, id)
	if err != nil {
		return err
	}
	tx := s.Begin()
	tx.Check(u.unchanged())
	tx.Mutate(index.Mutation{Kind: index.Delete, Key: uploadKey(bucket, key, u.id)})
	parts := segmentsPrefix(bucket, KindPart, u.id)
	tx.Mutate(index.Mutation{Kind: index.DeleteRange, Key: parts, End: PrefixEnd(parts)})
	if _, err := s.Commit(ctx, tx); errors.Is(err, ErrConflict) {
		return noUpload(id)
	} else if err != nil {
		return fmt.Errorf("abort upload %s: %w", id, err)
	}
	return nil
}
