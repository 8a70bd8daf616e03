package objects

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tarnlake/tarn/objects/index"
)

// newVersionID makes an id that no other version has: 6 bytes of milliseconds
// since 1970, big endian, so that ids sort by age, and 10 of entropy.
func (s *Store) newVersionID() (v VersionID, err error) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(s.Host().Clock.Now().UnixMilli()))
	copy(v[:6], ms[2:])
	if _, err := io.ReadFull(s.Host().Entropy, v[6:]); err != nil {
		return v, fmt.Errorf("make a version id: %w", err)
	}
	return v, nil
}

// present is the version of an object that is there.
type present struct {
	revision uint64
	record   objectRecord
	blobs    []Blob
}

// present reads what is at key; nil where nothing is.
func (s *Store) present(ctx context.Context, bucket, key string) (*present, error) {
	item, err := s.Index().Get(ctx, ObjectKey(bucket, key))
	if errors.Is(err, index.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s/%s: %w", bucket, clip(key), err)
	}
	p, err := decodePresent(item)
	if err != nil {
		return nil, fmt.Errorf("look up %s/%s: %w", bucket, clip(key), err)
	}
	return p, nil
}

func decodePresent(item index.Item) (*present, error) {
	blobs, payload, err := DecodeValue(item.Value)
	if err != nil {
		return nil, err
	}
	r, err := decodeObjectRecord(payload)
	return &present{revision: item.Version, record: r, blobs: blobs}, err
}

func noObject(bucket, key string) error {
	return fmt.Errorf("%w: %s/%s", ErrNoObject, bucket, clip(key))
}

// hold evaluates c against what is there; nil is nothing. That an object which
// must exist does not is both ErrPrecondition and ErrNoObject.
func (c Conditions) hold(now *present) error {
	switch {
	case c.IfAbsent && now != nil:
		return fmt.Errorf("%w: it exists", ErrPrecondition)
	case (c.IfExists || c.IfETag != "") && now == nil:
		return fmt.Errorf("%w: %w", ErrPrecondition, ErrNoObject)
	case c.IfETag != "" && c.IfETag != now.record.etag:
		return fmt.Errorf("%w: its ETag is %s", ErrPrecondition, now.record.etag)
	}
	return nil
}

func (c Conditions) any() bool { return c != Conditions{} }

// Source-dead record, version 1; the payload of the envelope under "d/":
//
//	0  1  version
//	1  8  time of the end
//	9  …  object key
type deadRecord struct {
	key string
	at  time.Time
}

const deadRecordVersion = 1

func (r deadRecord) encode() []byte {
	return appendString(appendTime([]byte{deadRecordVersion}, r.at), r.key)
}

// DecodeSourceDead reads a value below SourceDeadPrefix: the key that the
// object had, and when it was deleted or replaced.
func DecodeSourceDead(value []byte) (key string, at time.Time, err error) {
	_, payload, err := DecodeValue(value)
	if err != nil {
		return "", time.Time{}, err
	}
	f := fields{b: payload}
	f.version("source dead", deadRecordVersion)
	at = f.time()
	key = f.string()
	return key, at, f.end("source dead")
}
