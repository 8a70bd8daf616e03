package objects_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// begin starts an upload of lake/big.
func begin(t testing.TB, s *objects.Store) objects.Upload {
	t.Helper()
	u, err := s.CreateUpload(context.Background(), objects.UploadRequest{Bucket: "lake", Key: "big"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func addPart(t testing.TB, s *objects.Store, u objects.Upload, n int, body string) objects.CompletePart {
	t.Helper()
	p, err := s.UploadPart(context.Background(), objects.PartRequest{Bucket: u.Bucket, Key: u.Key, UploadID: u.ID, Number: n,
		Body: strings.NewReader(body), Bytes: int64(len(body))})
	if err != nil {
		t.Fatal(err)
	}
	return objects.CompletePart{Number: n, ETag: p.ETag}
}

func finish(s *objects.Store, u objects.Upload, parts ...objects.CompletePart) (objects.Object, error) {
	return s.CompleteUpload(context.Background(), objects.CompleteRequest{Bucket: u.Bucket, Key: u.Key, UploadID: u.ID, Parts: parts})
}

func TestCompletionIsIdempotentUntilTheObjectGoes(t *testing.T) {
	ctx, s := openBucket(t)
	u := begin(t, s)
	a, b := addPart(t, s, u, 1, strings.Repeat("a", partMin)), addPart(t, s, u, 2, "b")
	first, err := finish(s, u, a, b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := finish(s, u, a, b)
	if err != nil || again.Version != first.Version {
		t.Errorf("again: %s, %v, want %s", again.Version, err, first.Version)
	}
	if _, err := finish(s, u, b); !errors.Is(err, objects.ErrNoUpload) {
		t.Error("again with other parts:", err)
	}
	if err := s.AbortUpload(ctx, "lake", "big", u.ID); !errors.Is(err, objects.ErrNoUpload) {
		t.Error("abort after completion:", err)
	}
	if _, body, err := objectstest.ReadAll(ctx, s, "lake", "big"); err != nil || len(body) != partMin+1 {
		t.Errorf("after abort: %d bytes, %v", len(body), err)
	}
	mustPut(t, s, "big", "other")
	if _, err := finish(s, u, a, b); !errors.Is(err, objects.ErrNoUpload) {
		t.Error("after the object was replaced:", err)
	}
	if keys := keysBelow(t, s, "b/lake/p/"); len(keys) != 0 {
		t.Errorf("parts outlive their object: %q", keys)
	}
}

func TestPartsLeftOutGoWithTheCompletion(t *testing.T) {
	_, s := openBucket(t)
	u := begin(t, s)
	var named []objects.CompletePart
	for n := 1; n <= 9; n++ {
		if p := addPart(t, s, u, n, strings.Repeat("x", partMin)); n == 3 || n == 4 || n == 7 {
			named = append(named, p)
		}
	}
	if _, err := finish(s, u, named...); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, n := range []int{3, 4, 7} {
		want = append(want, fmt.Sprintf("b/lake/p/%s/%05d", u.ID, n))
	}
	if got := keysBelow(t, s, "b/lake/p/"); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("parts left: %q, want %q", got, want)
	}
}

// Whatever the order, the object has the bytes whose ETag the completion named,
// or the completion fails.
func TestAPartReplacedDuringCompletionIsNeverMixedIn(t *testing.T) {
	ctx, s := openBucket(t)
	for round := range 30 {
		u := begin(t, s)
		p := addPart(t, s, u, 1, "before")
		var both sync.WaitGroup
		both.Go(func() {
			_, err := s.UploadPart(ctx, objects.PartRequest{Bucket: "lake", Key: "big", UploadID: u.ID, Number: 1, Body: strings.NewReader("after!"), Bytes: 6})
			if err != nil && !errors.Is(err, objects.ErrNoUpload) {
				t.Error(err)
			}
		})
		_, err := finish(s, u, p)
		both.Wait()
		switch {
		case err == nil:
			if _, b, err := objectstest.ReadAll(ctx, s, "lake", "big"); string(b) != "before" || err != nil {
				t.Fatalf("round %d: object has %q, %v", round, b, err)
			}
		case !errors.Is(err, objects.ErrInvalidPart):
			t.Fatal(err)
		}
	}
}

func TestAReaderFinishesAnObjectThatWasReplaced(t *testing.T) {
	ctx, s := openBucket(t)
	u := begin(t, s)
	var parts []objects.CompletePart
	var want bytes.Buffer
	for n := 1; n <= 12; n++ {
		body := strings.Repeat(fmt.Sprint(n%10), 2000+n)
		want.WriteString(body)
		parts = append(parts, addPart(t, s, u, n, body))
	}
	if _, err := finish(s, u, parts...); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(ctx, "lake", "big")
	if err != nil {
		t.Fatal(err)
	}
	body := r.NewReader(ctx, 0, -1)
	defer body.Close()
	head := make([]byte, 10)
	if _, err := body.Read(head); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "big", "other")
	var got bytes.Buffer
	got.Write(head)
	if _, err := got.ReadFrom(body); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("read %d of %d bytes, %v", got.Len(), want.Len(), err)
	}
	if _, err := r.ReadAt(ctx, head, 0); !errors.Is(err, objects.ErrConflict) {
		t.Errorf("a read that begins after the end: %v", err)
	}
}

func TestManyObjectsAreDeletedInFewTransactions(t *testing.T) {
	ctx, s := openBucket(t)
	var rs []objects.DeleteRequest
	for i := range 450 {
		key := fmt.Sprintf("%s%03d", strings.Repeat("k", 900), i)
		if i%2 == 0 {
			mustPut(t, s, key, "x")
		}
		rs = append(rs, objects.DeleteRequest{Key: key})
	}
	rs = append(rs, objects.DeleteRequest{Key: ""}, objects.DeleteRequest{Key: rs[0].Key})
	before := mustPosition(t, s)
	out, err := s.DeleteMany(ctx, "lake", rs)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range out[:450] {
		if o.Err != nil || o.Existed != (i%2 == 0) {
			t.Fatalf("%d: %+v", i, o)
		}
	}
	var invalid *objects.InvalidError
	if !errors.As(out[450].Err, &invalid) || out[451].Err != nil || out[451].Existed {
		t.Errorf("empty key: %+v; a key named twice: %+v", out[450], out[451])
	}
	if n := mustPosition(t, s).Sequence(0) - before.Sequence(0); n > 4 {
		t.Errorf("took %d transactions", n)
	}
	if keys := keysBelow(t, s, "b/lake/"); len(keys) != 0 {
		t.Errorf("%d keys are left", len(keys))
	}
}
