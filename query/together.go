package query

import (
	"bytes"
	"context"
	"errors"

	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/vectors"
)

// togetherTries bounds how often a put of an object with vectors is tried anew
// because something that it depends on changed.
const togetherTries = 16

// putWithObject commits an object and the vectors that describe it in one
// transaction. Sources without a version are the object itself.
func (s *vectorService) putWithObject(ctx context.Context, req *tarnv1.PutRequest, batch []vectors.Vector) (*tarnv1.PutResponse, error) {
	o := req.Object
	if len(o.Body) > objectBytesMax {
		return nil, invalid("object.body", "has %d bytes, the most beside vectors is %d; put larger objects by S3", len(o.Body), objectBytesMax)
	}
	staged, err := s.o.Store.Stage(ctx, objects.PutRequest{
		Bucket: req.Bucket, Key: o.Key, Body: bytes.NewReader(o.Body), Bytes: int64(len(o.Body)),
		ContentType: o.ContentType, Metadata: o.Metadata,
	})
	if err != nil {
		return nil, err
	}
	object := staged.Object()
	for i := range batch {
		if src := batch[i].Source; src != nil && src.Version == (objects.VersionID{}) {
			if src.Key != "" && src.Key != o.Key {
				return nil, invalid("vectors", "a source names the object %q without a version, but %q is put", src.Key, o.Key)
			}
			src.Key, src.Version = o.Key, object.Version
		}
	}
	for range togetherTries {
		err = s.commitTogether(ctx, req, staged, batch)
		if !errors.Is(err, objects.ErrConflict) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return &tarnv1.PutResponse{Vectors: uint32(len(batch)), ObjectVersion: object.Version.String(), ObjectEtag: object.ETag}, nil
}

func (s *vectorService) commitTogether(ctx context.Context, req *tarnv1.PutRequest, staged *objects.Staged, batch []vectors.Vector) error {
	tx := s.o.Store.Begin()
	if err := tx.PutObject(ctx, staged, objects.Conditions{}); err != nil {
		return err
	}
	if err := s.o.Vectors.PutInto(ctx, tx, req.Bucket, req.Index, batch); err != nil {
		return err
	}
	_, err := s.o.Store.Commit(ctx, tx)
	return err
}
