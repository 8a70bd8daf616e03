package objects_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// meddling calls a function before each commit: between what a request read and
// what it writes.
type meddling struct {
	index.Index
	before func()
}

func (m *meddling) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	m.before()
	return m.Index.Commit(ctx, txn)
}

// dawdle makes commits late by random times, so that requests overlap.
func dawdle(s *objects.Store) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(5, 6))
	objects.WrapIndex(s, func(i index.Index) index.Index {
		return &meddling{i, func() {
			mu.Lock()
			d := time.Duration(r.IntN(300)) * time.Microsecond
			mu.Unlock()
			time.Sleep(d)
		}}
	})
}

// meddle calls f before the first commit that follows; f may commit itself.
func meddle(s *objects.Store, f func()) {
	var once sync.Once
	busy := false
	objects.WrapIndex(s, func(i index.Index) index.Index {
		return &meddling{i, func() {
			if busy {
				return
			}
			once.Do(func() { busy = true; f(); busy = false })
		}}
	})
}

func TestARequestThatLostARaceReadsAgain(t *testing.T) {
	put := func(s *objects.Store, c objects.Conditions) error {
		_, err := s.Put(context.Background(), objects.PutRequest{Bucket: "lake", Key: "doc", Bytes: -1, Conditions: c})
		return err
	}
	t.Run("put", func(t *testing.T) {
		ctx, s := openBucket(t)
		o := mustPut(t, s, "doc", "1")
		meddle(s, func() {
			if err := link(ctx, s, "doc", o.Version); err != nil {
				t.Error(err)
			}
			o = mustPut(t, s, "doc", "2")
			if err := link(ctx, s, "doc", o.Version); err != nil {
				t.Error(err)
			}
		})
		if err := put(s, objects.Conditions{}); err != nil {
			t.Error(err)
		}
		if marked, dead := lineage(t, s); len(marked) != 0 || len(dead) != 2 {
			t.Errorf("marked %v, dead %v", marked, dead)
		}
	})
	t.Run("conditional put", func(t *testing.T) {
		_, s := openBucket(t)
		meddle(s, func() { mustPut(t, s, "doc", "1") })
		if err := put(s, objects.Conditions{IfAbsent: true}); kindOf(err) != objects.ErrPrecondition {
			t.Error(err)
		}
	})
	t.Run("delete", func(t *testing.T) {
		ctx, s := openBucket(t)
		o := mustPut(t, s, "doc", "1")
		meddle(s, func() { o = mustPut(t, s, "doc", "2") })
		d, err := s.Delete(ctx, objects.DeleteRequest{Bucket: "lake", Key: "doc"})
		if err != nil || d.Version != o.Version {
			t.Errorf("deleted %s, %v, want %s", d.Version, err, o.Version)
		}
	})
	t.Run("completion", func(t *testing.T) {
		_, s := openBucket(t)
		u := begin(t, s)
		p := addPart(t, s, u, 1, "before")
		meddle(s, func() { addPart(t, s, u, 1, "after") })
		if _, err := finish(s, u, p); kindOf(err) != objects.ErrInvalidPart {
			t.Error(err)
		}
	})
	t.Run("part", func(t *testing.T) {
		ctx, s := openBucket(t)
		u := begin(t, s)
		meddle(s, func() {
			if err := s.AbortUpload(ctx, "lake", "big", u.ID); err != nil {
				t.Error(err)
			}
		})
		_, err := s.UploadPart(ctx, objects.PartRequest{Bucket: "lake", Key: "big", UploadID: u.ID, Number: 1, Bytes: -1})
		if kindOf(err) != objects.ErrNoUpload {
			t.Error(err)
		}
		if keys := keysBelow(t, s, "b/lake/"); len(keys) != 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

func TestConditionalRequestsGiveUpAfterManyConflicts(t *testing.T) {
	_, s := openBucket(t)
	first := mustPut(t, s, "doc", "same")
	quiet, tries := false, 0
	objects.WrapIndex(s, func(i index.Index) index.Index {
		return &meddling{i, func() {
			if !quiet {
				quiet, tries = true, tries+1
				mustPut(t, s, "doc", "same")
				quiet = false
			}
		}}
	})
	_, err := s.Put(context.Background(), objects.PutRequest{Bucket: "lake", Key: "doc", Bytes: -1, Conditions: objects.Conditions{IfETag: first.ETag}})
	if kindOf(err) != objects.ErrConflict || tries != 16 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// answers of a commit that get lost, and what comes in their place.
type losing struct {
	index.Index
	commit func(ctx context.Context, txn index.Txn) (index.Result, error)
}

func (l losing) Commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	return l.commit(ctx, txn)
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	_, s := openBucket(t)
	defer hosttest.ClockOf(s.Host()).AutoAdvance()()
	commits := 0
	objects.WrapIndex(s, func(i index.Index) index.Index {
		return losing{i, func(ctx context.Context, txn index.Txn) (index.Result, error) {
			res, err := i.Commit(ctx, txn)
			if commits++; commits < 3 {
				return index.Result{}, index.ErrUnknown
			}
			return res, err
		}}
	})
	o := mustPut(t, s, "doc", "once")
	if now, err := s.Head(context.Background(), "lake", "doc"); err != nil || now.Revision != o.Revision || commits != 3 {
		t.Errorf("put at revision %d, is at %d, %v, after %d commits", o.Revision, now.Revision, err, commits)
	}
}

// That the store is read-only by now does not say that the first try left nothing.
func TestAnUnknownOutcomeIsNotCalledReadOnly(t *testing.T) {
	_, s := openBucket(t)
	defer hosttest.ClockOf(s.Host()).AutoAdvance()()
	first := true
	objects.WrapIndex(s, func(i index.Index) index.Index {
		return losing{i, func(context.Context, index.Txn) (index.Result, error) {
			if first {
				first = false
				return index.Result{}, fmt.Errorf("%w: %w", index.ErrUnknown, objects.ErrReadOnly)
			}
			return index.Result{}, index.ErrReadOnly
		}}
	})
	_, err := s.Put(context.Background(), objects.PutRequest{Bucket: "lake", Key: "doc", Bytes: -1})
	if !errors.Is(err, index.ErrUnknown) || errors.Is(err, objects.ErrReadOnly) {
		t.Error(err)
	}
}

func TestWhatWasStagedTooLongAgoIsRefused(t *testing.T) {
	ctx, s := openBucket(t)
	st, err := s.Stage(ctx, objects.PutRequest{Bucket: "lake", Key: "doc", Bytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	hosttest.ClockOf(s.Host()).Advance(23 * time.Hour)
	if err := s.Begin().PutObject(ctx, st, objects.Conditions{}); !errors.Is(err, objects.ErrStageTooOld) {
		t.Error(err)
	}
}
