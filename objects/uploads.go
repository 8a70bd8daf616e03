package objects

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// ListUploads gives a page of a bucket's uploads, by object key and then by age.
func (s *Store) ListUploads(ctx context.Context, r UploadsRequest) (UploadsPage, error) {
	if err := checkPage(&r.Max); err != nil {
		return UploadsPage{}, err
	}
	if err := checkListing(r.Prefix, r.Delimiter, r.KeyMarker); err != nil {
		return UploadsPage{}, err
	}
	if _, err := s.Bucket(ctx, r.Bucket); err != nil {
		return UploadsPage{}, err
	}
	l := uploadsListing{bucket: r.Bucket, roll: roll{r.Prefix, r.Delimiter}, max: r.Max}
	after, err := l.start(r)
	if err != nil || r.Max == 0 {
		return UploadsPage{}, err
	}
	lo := escapedKeyPrefix(r.Bucket, r.Prefix)
	hi := PrefixEnd(lo)
	if bytes.Compare(after, lo) > 0 {
		lo = after
	}
	for lo != nil && bytes.Compare(lo, hi) < 0 {
		if lo, err = s.stepUploads(ctx, lo, hi, &l); err != nil {
			return UploadsPage{}, fmt.Errorf("list uploads of %s: %w", r.Bucket, err)
		}
	}
	return l.page, nil
}

// uploadsListing gathers a page.
type uploadsListing struct {
	bucket    string
	roll      roll
	max       int
	page      UploadsPage
	key, mark string // given last; mark is empty after a common prefix
}

func (l *uploadsListing) full() bool { return len(l.page.Uploads)+len(l.page.Prefixes) == l.max }

// start is the least index key behind the markers.
func (l *uploadsListing) start(r UploadsRequest) ([]byte, error) {
	switch {
	case r.KeyMarker == "":
		return nil, nil
	case l.roll.is(r.KeyMarker):
		return PrefixEnd(escapedKeyPrefix(r.Bucket, r.KeyMarker)), nil
	case r.UploadIDMarker == "":
		return PrefixEnd(uploadKeyPrefix(r.Bucket, r.KeyMarker)), nil
	}
	id, err := ParseVersionID(r.UploadIDMarker)
	if err != nil {
		return nil, invalid("upload id marker", "%q is no upload id", clip(r.UploadIDMarker))
	}
	return append(uploadKey(r.Bucket, r.KeyMarker, id), 0), nil
}

// stepUploads scans to the next common prefix, and returns where to go on; nil
// at the end.
func (s *Store) stepUploads(ctx context.Context, lo, hi []byte, l *uploadsListing) ([]byte, error) {
	skip := len(KindPrefix(l.bucket, KindUpload))
	for item, err := range s.Index().Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return nil, err
		}
		if l.full() {
			l.page.NextKeyMarker, l.page.NextUploadIDMarker = l.key, l.mark
			return nil, nil
		}
		key, id, ok := parseUploadKey(item.Key[skip:])
		if !ok {
			return nil, fmt.Errorf("%w: upload's key %q", ErrCorruptIndexItem, item.Key)
		}
		if common, rolled := l.roll.up(key); rolled {
			l.page.Prefixes = append(l.page.Prefixes, common)
			l.key, l.mark = common, ""
			return PrefixEnd(escapedKeyPrefix(l.bucket, common)), nil
		}
		rec, err := decodeUpload(item.Value)
		if err != nil {
			return nil, err
		}
		l.page.Uploads = append(l.page.Uploads, rec.upload(l.bucket, key, id))
		l.key, l.mark = key, id.String()
	}
	return nil, nil
}
