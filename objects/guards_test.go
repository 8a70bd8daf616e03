package objects_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// The parts of an upload become the object's: an abort that read the upload
// before must not take them away.
func TestAnAbortThatLostToTheCompletionTakesNothing(t *testing.T) {
	ctx, s := openBucket(t)
	u := begin(t, s)
	p := addPart(t, s, u, 1, strings.Repeat("kept ", 1000))
	meddle(s, func() {
		if _, err := finish(s, u, p); err != nil {
			t.Error(err)
		}
	})
	if err := s.AbortUpload(ctx, "lake", "big", u.ID); kindOf(err) != objects.ErrNoUpload {
		t.Errorf("abort of what was completed: %v", err)
	}
	if _, body, err := objectstest.ReadAll(ctx, s, "lake", "big"); err != nil || string(body) != strings.Repeat("kept ", 1000) {
		t.Errorf("the completed object reads back as %d bytes, %v", len(body), err)
	}
}

func TestACopyOfAnotherVersionIsRefused(t *testing.T) {
	ctx, s := openBucket(t)
	old := mustPut(t, s, "doc", "1")
	now := mustPut(t, s, "doc", "2")
	r := objects.CopyRequest{SourceBucket: "lake", SourceKey: "doc", SourceVersion: old.Version, Bucket: "lake", Key: "copy"}
	if _, err := s.Copy(ctx, r); kindOf(err) != objects.ErrPrecondition {
		t.Errorf("copy of a version that was replaced: %v", err)
	}
	r.SourceVersion = now.Version
	if _, err := s.Copy(context.Background(), r); err != nil {
		t.Error(err)
	}
}
