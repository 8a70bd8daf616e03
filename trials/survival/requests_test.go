package survival

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// request is made of the store and of its model.
type request struct {
	name  string
	real  func(s *objects.Store) error
	model func(m *objectstest.Model) error
	done  func() // after both succeeded
}

// both makes a request that looks the same to store and model.
func both(name string, ask func(ctx context.Context, s objectstest.Store) error) request {
	return request{
		name:  name,
		real:  func(s *objects.Store) error { return ask(context.Background(), s) },
		model: func(m *objectstest.Model) error { return ask(context.Background(), m) },
	}
}

// sizes of bodies: inline, whole copies, stripes.
var sizes = []int{0, 10, 700, 1024, 1025, 3000, 3000, 9000, 20_000, 40_000, 131_072, 131_073, 200_000}

var keys = []string{"a", "a/b", "a/c", "b", "c", "d", "e/f", "g", "h", "i", "j", "k"}

func (w *world) key() string { return keys[w.r.IntN(len(keys))] }

func (w *world) body(n int) []byte {
	b := make([]byte, n)
	x := w.r.Uint64() | 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// conditions often hold.
func (w *world) conditions(key string) objects.Conditions {
	switch w.r.IntN(8) {
	case 0:
		return objects.Conditions{IfAbsent: true}
	case 1:
		return objects.Conditions{IfExists: true}
	case 2:
		if o, err := w.model.Head(context.Background(), bucket, key); err == nil {
			return objects.Conditions{IfETag: o.ETag}
		}
		return objects.Conditions{IfETag: "0123"}
	}
	return objects.Conditions{}
}

func (w *world) put() request {
	key, body := w.key(), w.body(sizes[w.r.IntN(len(sizes))])
	c := w.conditions(key)
	meta := map[string]string{"n": fmt.Sprint(w.r.IntN(100))}
	return both(fmt.Sprintf("put %s, %d bytes, %+v", key, len(body), c), func(ctx context.Context, s objectstest.Store) error {
		_, err := s.Put(ctx, objects.PutRequest{Bucket: bucket, Key: key, Body: bytes.NewReader(body), Bytes: int64(len(body)), Conditions: c, Metadata: meta})
		return err
	})
}

func (w *world) delete() request {
	key := w.key()
	c := w.conditions(key)
	return both(fmt.Sprintf("delete %s, %+v", key, c), func(ctx context.Context, s objectstest.Store) error {
		_, err := s.Delete(ctx, objects.DeleteRequest{Bucket: bucket, Key: key, Conditions: c})
		return err
	})
}

// deleteSome deletes several objects in one transaction.
func (w *world) deleteSome() request {
	var rs []objects.DeleteRequest
	for _, i := range w.r.Perm(len(keys))[:2+w.r.IntN(3)] {
		rs = append(rs, objects.DeleteRequest{Bucket: bucket, Key: keys[i]})
	}
	return both(fmt.Sprintf("delete %d objects from %s on", len(rs), rs[0].Key), func(ctx context.Context, s objectstest.Store) error {
		outcomes, err := s.DeleteMany(ctx, bucket, rs)
		for _, o := range outcomes {
			err = errors.Join(err, o.Err)
		}
		return err
	})
}

func (w *world) copy() request {
	from, to := w.key(), w.key()
	return both(fmt.Sprintf("copy %s to %s", from, to), func(ctx context.Context, s objectstest.Store) error {
		_, err := s.Copy(ctx, objects.CopyRequest{SourceBucket: bucket, SourceKey: from, Bucket: bucket, Key: to})
		return err
	})
}

func (w *world) begin() request {
	if len(w.uploads) > 2 {
		return w.put()
	}
	u := twin{key: w.key()}
	return request{
		name: "begin upload of " + u.key,
		real: func(s *objects.Store) error {
			got, err := s.CreateUpload(context.Background(), objects.UploadRequest{Bucket: bucket, Key: u.key})
			u.real = got.ID
			return err
		},
		model: func(m *objectstest.Model) error {
			got, err := m.CreateUpload(context.Background(), objects.UploadRequest{Bucket: bucket, Key: u.key})
			u.model = got.ID
			return err
		},
		done: func() { w.uploads = append(w.uploads, u) },
	}
}

// upload that is under way, as far as is known.
func (w *world) upload() (twin, bool) {
	if len(w.uploads) == 0 {
		return twin{}, false
	}
	return w.uploads[w.r.IntN(len(w.uploads))], true
}

func (u twin) id(s objectstest.Store) string {
	if _, model := s.(*objectstest.Model); model {
		return u.model
	}
	return u.real
}

func (w *world) part() request {
	u, ok := w.upload()
	if !ok {
		return w.begin()
	}
	n, body := 1+w.r.IntN(3), w.body(sizes[w.r.IntN(len(sizes))])
	return both(fmt.Sprintf("part %d of %s, %d bytes", n, u.key, len(body)), func(ctx context.Context, s objectstest.Store) error {
		_, err := s.UploadPart(ctx, objects.PartRequest{Bucket: bucket, Key: u.key, UploadID: u.id(s), Number: n, Body: bytes.NewReader(body), Bytes: int64(len(body))})
		return err
	})
}

func (w *world) complete() request {
	u, ok := w.upload()
	if !ok {
		return w.put()
	}
	var parts []objects.CompletePart
	page, _ := w.model.ListParts(context.Background(), bucket, u.key, u.model, 0, 10)
	for _, p := range page.Parts {
		parts = append(parts, objects.CompletePart{Number: p.Number, ETag: p.ETag})
	}
	r := both(fmt.Sprintf("complete %s of %d parts", u.key, len(parts)), func(ctx context.Context, s objectstest.Store) error {
		_, err := s.CompleteUpload(ctx, objects.CompleteRequest{Bucket: bucket, Key: u.key, UploadID: u.id(s), Parts: parts})
		return err
	})
	r.done = func() { w.forget(u) }
	return r
}

func (w *world) abort() request {
	u, ok := w.upload()
	if !ok {
		return w.put()
	}
	r := both("abort upload of "+u.key, func(ctx context.Context, s objectstest.Store) error {
		return s.AbortUpload(ctx, bucket, u.key, u.id(s))
	})
	r.done = func() { w.forget(u) }
	return r
}

func (w *world) forget(u twin) {
	for i := range w.uploads {
		if w.uploads[i] == u {
			w.uploads = append(w.uploads[:i:i], w.uploads[i+1:]...)
			return
		}
	}
}

// request is drawn by the seed.
func (w *world) request() request {
	switch n := w.r.IntN(20); {
	case n < 9:
		return w.put()
	case n < 11:
		return w.delete()
	case n < 12:
		return w.deleteSome()
	case n < 14:
		return w.copy()
	case n < 15:
		return w.begin()
	case n < 17:
		return w.part()
	case n < 19:
		return w.complete()
	}
	return w.abort()
}
