package objects

import (
	"context"
	"encoding/hex"
	"fmt"
)

// Copy makes an object of another one's bytes, which are read, verified and
// written anew.
func (s *Store) Copy(ctx context.Context, r CopyRequest) (Object, error) {
	if err := checkPlace(r.Bucket, r.Key); err != nil {
		return Object{}, err
	}
	src, err := s.openSource(ctx, r.SourceBucket, r.SourceKey, r.SourceVersion, r.SourceETag)
	if err != nil {
		return Object{}, err
	}
	if src.Bytes > PutBytesMax {
		return Object{}, fmt.Errorf("%w: a copy takes at most %d bytes", ErrTooLarge, int64(PutBytesMax))
	}
	body := src.NewReader(ctx, 0, -1)
	defer body.Close()
	put := PutRequest{
		Bucket: r.Bucket, Key: r.Key, Body: body, Bytes: src.Bytes, Conditions: r.Conditions,
		ContentType: src.ContentType, Headers: src.Headers, Metadata: src.Metadata,
		ComputeChecksum: r.ComputeChecksum,
	}
	if r.ReplaceMetadata {
		put.ContentType, put.Headers, put.Metadata = r.ContentType, r.Headers, r.Metadata
	}
	put.MD5, put.Checksums = src.plainDigests()
	if put.ComputeChecksum == "" && src.Checksums.Composite {
		put.ComputeChecksum = src.Checksums.algorithm()
	}
	return s.Put(ctx, put)
}

// openSource opens what a copy reads. version and etag, where given, must be
// those of the object: ErrPrecondition.
func (s *Store) openSource(ctx context.Context, bucket, key string, version VersionID, etag string) (*ObjectReader, error) {
	src, err := s.Open(ctx, bucket, key)
	if err != nil {
		return nil, fmt.Errorf("copy source: %w", err)
	}
	if version != (VersionID{}) && src.Version != version || etag != "" && src.ETag != etag {
		return nil, fmt.Errorf("copy source: %w: it is version %s with ETag %s", ErrPrecondition, src.Version, src.ETag)
	}
	return src, nil
}

// plainDigests are those of the object's bytes: not those of a multipart
// object's parts.
func (o Object) plainDigests() (md5 []byte, sums Checksums) {
	if b, err := hex.DecodeString(o.ETag); err == nil && len(b) == 16 && o.PartBytes == nil {
		md5 = b
	}
	if !o.Checksums.Composite {
		sums = o.Checksums
	}
	return md5, sums
}

// algorithm is the first one that has a value.
func (c Checksums) algorithm() string {
	for _, a := range checksumAlgorithms {
		if *a.of(&c) != nil {
			return a.name
		}
	}
	return ""
}
