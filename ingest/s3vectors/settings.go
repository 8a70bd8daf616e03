package s3vectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// Settings are what this door keeps of a bucket or an index beside the store's own
// records. They lie in the bucket's part of the index and go with the bucket:
//
//	b/<bucket>/c/s3vectors           of the bucket
//	b/<bucket>/c/s3vectors/<index>   of an index
//
// each an envelope with JSON in it:
//
//	"format"  1
//	"of"      when the bucket or index was created, in nanoseconds since 1970
//	"tags"    names and values; absent: none
//	"policy"  the text as it was put, of a bucket only; absent: none
//
// Settings of another creation time are those of a predecessor of the same name, and mean nothing.
type settings struct {
	Format int               `json:"format"`
	Of     int64             `json:"of"`
	Tags   map[string]string `json:"tags,omitempty"`
	Policy string            `json:"policy,omitempty"`
}

const (
	settingsFormat   = 1
	settingsBytesMax = 1 << 20 // 50 tags and a policy have less than 100 KiB
	settingsAttempts = 16      // at a change that others race with
)

func (s *settings) empty() bool { return len(s.Tags) == 0 && s.Policy == "" }

func (s *settings) encode() ([]byte, error) {
	s.Format = settingsFormat
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return objects.EncodeValue(nil, bytes.TrimSpace(b.Bytes())), nil
}

func decodeSettings(value []byte) (s settings, err error) {
	_, payload, err := objects.DecodeValue(value)
	if err != nil {
		return s, err
	}
	if len(payload) > settingsBytesMax {
		return s, fmt.Errorf("decode settings: %d bytes, at most %d", len(payload), settingsBytesMax)
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fmt.Errorf("decode settings: %w", err)
	}
	if s.Format != settingsFormat {
		return s, fmt.Errorf("decode settings: format %d is not known to this version", s.Format)
	}
	return s, nil
}

// resource is what settings are of.
type resource struct {
	bucket string
	index  string // "": the bucket itself
}

// resourceOf reads an ARN.
func resourceOf(arn string) (resource, bool) {
	if m := bucketARN.FindStringSubmatch(arn); m != nil {
		return resource{bucket: m[1]}, true
	}
	if m := indexARN.FindStringSubmatch(arn); m != nil {
		return resource{bucket: m[1], index: m[2]}, true
	}
	return resource{}, false
}

func (r resource) key() []byte {
	key := append(objects.KindPrefix(r.bucket, objects.KindSetting), "s3vectors"...)
	if r.index != "" {
		key = append(append(key, '/'), r.index...)
	}
	return key
}

// firstSettings are those that a bucket or an index is made with.
func firstSettings(r resource, made time.Time, tags map[string]string) ([]index.Mutation, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	s := settings{Of: made.UnixNano(), Tags: tags}
	value, err := s.encode()
	if err != nil {
		return nil, err
	}
	return []index.Mutation{{Kind: index.Put, Key: r.key(), Value: value}}, nil
}

// created tells when the present bucket or index of the name was made.
func (d *Door) created(ctx context.Context, r resource) (time.Time, error) {
	if r.index == "" {
		b, err := d.o.Buckets.Bucket(ctx, r.bucket)
		return b.Created, err
	}
	info, err := d.o.Engine.Index(ctx, r.bucket, r.index)
	return info.Created, err
}

// settings reads those of a resource that exists; version 0: there is no entry.
func (d *Door) settings(ctx context.Context, r resource) (s settings, version uint64, err error) {
	made, err := d.created(ctx, r)
	if err != nil {
		return s, 0, err
	}
	fresh := settings{Of: made.UnixNano()}
	item, err := d.o.Buckets.Index().Get(ctx, r.key())
	if errors.Is(err, index.ErrNotFound) {
		return fresh, 0, nil
	}
	if err != nil {
		return s, 0, fmt.Errorf("read settings of bucket %s, index %q: %w", r.bucket, r.index, err)
	}
	s, err = decodeSettings(item.Value)
	if err == nil && s.Of != fresh.Of {
		s = fresh
	}
	return s, item.Version, err
}

// change applies a change to the settings of a resource, durably, as if nobody else changed
// them meanwhile.
func (d *Door) change(ctx context.Context, r resource, by func(s *settings) error) error {
	for range settingsAttempts {
		s, version, err := d.settings(ctx, r)
		if err != nil {
			return err
		}
		if err := by(&s); err != nil {
			return err
		}
		if err = d.keep(ctx, r, &s, version); err == nil || !errors.Is(err, objects.ErrConflict) {
			return err
		}
	}
	return objects.ErrConflict
}

func (d *Door) keep(ctx context.Context, r resource, s *settings, version uint64) error {
	if version == 0 && s.empty() {
		return nil
	}
	key := r.key()
	tx := d.o.Buckets.Begin()
	tx.Check(index.Condition{Kind: index.KeyExists, Key: objects.BucketKey(r.bucket)})
	if version == 0 {
		tx.Check(index.Condition{Kind: index.KeyAbsent, Key: key})
	} else {
		tx.Check(index.Condition{Kind: index.KeyVersion, Key: key, Version: version})
	}
	if s.empty() {
		tx.Mutate(index.Mutation{Kind: index.Delete, Key: key})
	} else {
		value, err := s.encode()
		if err != nil {
			return err
		}
		tx.Mutate(index.Mutation{Kind: index.Put, Key: key, Value: value})
	}
	if _, err := d.o.Buckets.Commit(ctx, tx); err != nil {
		return fmt.Errorf("keep settings of bucket %s, index %q: %w", r.bucket, r.index, err)
	}
	return nil
}
