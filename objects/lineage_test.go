package objects_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// openBucket is a store with the bucket "lake".
func openBucket(t testing.TB) (context.Context, *objects.Store) {
	ctx, s := context.Background(), openStore(t)
	if _, err := s.CreateBucket(ctx, "lake"); err != nil {
		t.Fatal(err)
	}
	return ctx, s
}

func mustPut(t testing.TB, s *objects.Store, key, body string) objects.Object {
	t.Helper()
	o, err := s.Put(context.Background(), objects.PutRequest{Bucket: "lake", Key: key, Body: strings.NewReader(body), Bytes: int64(len(body))})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func link(ctx context.Context, s *objects.Store, key string, v objects.VersionID) error {
	tx := s.Begin()
	if err := tx.LinkSource(ctx, "lake", key, v); err != nil {
		return err
	}
	_, err := s.Commit(ctx, tx)
	return err
}

// lineage tells which versions have a marker, and which are known to be dead.
func lineage(t testing.TB, s *objects.Store) (marked, dead map[string]bool) {
	marked, dead = map[string]bool{}, map[string]bool{}
	for _, k := range keysBelow(t, s, "b/lake/l/") {
		marked[strings.TrimPrefix(k, "b/lake/l/")] = true
	}
	for _, k := range keysBelow(t, s, string(objects.SourceDeadPrefix("lake"))) {
		_, v, ok := objects.ParseSourceDead([]byte(k))
		if !ok {
			t.Fatalf("%q does not parse", k)
		}
		dead[v.String()] = true
	}
	return marked, dead
}

func TestASourceDiesInTheTransactionThatEndsItsVersion(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, s *objects.Store) error{
		"delete": func(ctx context.Context, s *objects.Store) error {
			_, err := s.Delete(ctx, objects.DeleteRequest{Bucket: "lake", Key: "doc"})
			return err
		},
		"delete many": func(ctx context.Context, s *objects.Store) error {
			_, err := s.DeleteMany(ctx, "lake", []objects.DeleteRequest{{Key: "doc"}})
			return err
		},
		"put": func(ctx context.Context, s *objects.Store) error {
			_, err := s.Put(ctx, objects.PutRequest{Bucket: "lake", Key: "doc", Bytes: 0})
			return err
		},
		"copy": func(ctx context.Context, s *objects.Store) error {
			_, err := s.Copy(ctx, objects.CopyRequest{SourceBucket: "lake", SourceKey: "other", Bucket: "lake", Key: "doc"})
			return err
		},
		"completion": func(ctx context.Context, s *objects.Store) error {
			u, err := s.CreateUpload(ctx, objects.UploadRequest{Bucket: "lake", Key: "doc"})
			if err != nil {
				return err
			}
			p, err := s.UploadPart(ctx, objects.PartRequest{Bucket: "lake", Key: "doc", UploadID: u.ID, Number: 1, Bytes: -1})
			if err != nil {
				return err
			}
			_, err = s.CompleteUpload(ctx, objects.CompleteRequest{Bucket: "lake", Key: "doc", UploadID: u.ID, Parts: []objects.CompletePart{{Number: 1, ETag: p.ETag}}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, s := openBucket(t)
			linked, other := mustPut(t, s, "doc", "text"), mustPut(t, s, "other", "text")
			if err := link(ctx, s, "doc", linked.Version); err != nil {
				t.Fatal(err)
			}
			w, err := s.Index().Watch(ctx, mustPosition(t, s))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := end(ctx, s); err != nil {
				t.Fatal(err)
			}
			marked, dead := lineage(t, s)
			if len(marked) != 0 || len(dead) != 1 || !dead[linked.Version.String()] {
				t.Errorf("marked %v, dead %v; want only %s dead (%s has no lineage)", marked, dead, linked.Version, other.Version)
			}
			sameEntry(t, ctx, w, linked.Version)
		})
	}
}

func mustPosition(t testing.TB, s *objects.Store) index.Position {
	p, err := s.Index().Position(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sameEntry waits for the entry that tells of a dead source: the object's end
// must be in it too.
func sameEntry(t *testing.T, ctx context.Context, w index.Watcher, v objects.VersionID) {
	for {
		e, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ended, told := false, false
		for _, m := range e.Mutations {
			ended = ended || string(m.Key) == "b/lake/o/doc"
			if _, got, ok := objects.ParseSourceDead(m.Key); ok && m.Kind == index.Put {
				told = got == v
				if key, _, err := objects.DecodeSourceDead(m.Value); key != "doc" || err != nil {
					t.Errorf("dead source is %q, %v", key, err)
				}
			}
		}
		if ended != told {
			t.Fatalf("object ended: %v, and told so in the same entry: %v", ended, told)
		}
		if told {
			return
		}
	}
}

func TestLinksAreOnlyToThePresentVersion(t *testing.T) {
	ctx, s := openBucket(t)
	old := mustPut(t, s, "doc", "1")
	now := mustPut(t, s, "doc", "2")
	if err := link(ctx, s, "doc", old.Version); !errors.Is(err, objects.ErrPrecondition) {
		t.Error("link to a replaced version:", err)
	}
	if err := link(ctx, s, "none", now.Version); !errors.Is(err, objects.ErrNoObject) {
		t.Error("link to nothing:", err)
	}
	tx := s.Begin()
	if err := tx.LinkSource(ctx, "lake", "doc", now.Version); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "doc", "3")
	if _, err := s.Commit(ctx, tx); !errors.Is(err, objects.ErrConflict) {
		t.Error("link that lost the race:", err)
	}
	if marked, dead := lineage(t, s); len(marked)+len(dead) != 0 {
		t.Errorf("marked %v, dead %v", marked, dead)
	}
}

func TestAnObjectIsPutAndLinkedInOneTransaction(t *testing.T) {
	ctx, s := openBucket(t)
	before := mustPut(t, s, "doc", "1")
	if err := link(ctx, s, "doc", before.Version); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stage(ctx, objects.PutRequest{Bucket: "lake", Key: "doc", Body: strings.NewReader("2"), Bytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	v := st.Object().Version
	tx := s.Begin()
	if err := tx.PutObject(ctx, st, objects.Conditions{}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // many vectors, one link
		if err := tx.LinkSource(ctx, "lake", "doc", v); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.LinkSource(ctx, "lake", "doc", before.Version); !errors.Is(err, objects.ErrPrecondition) {
		t.Error("link to the version that ends here:", err)
	}
	if err := tx.DeleteObject(ctx, "lake", "doc", objects.Conditions{}); err == nil {
		t.Error("an object may be changed twice in one transaction")
	}
	if _, err := s.Commit(ctx, tx); err != nil {
		t.Fatal(err)
	}
	marked, dead := lineage(t, s)
	if len(marked) != 1 || !marked[v.String()] || len(dead) != 1 || !dead[before.Version.String()] {
		t.Errorf("marked %v, dead %v; want %s and %s", marked, dead, v, before.Version)
	}
}

func TestALinkAndTheEndOfItsSourceInOneTransaction(t *testing.T) {
	ctx, s := openBucket(t)
	o := mustPut(t, s, "doc", "1")
	tx := s.Begin()
	if err := tx.LinkSource(ctx, "lake", "doc", o.Version); err != nil {
		t.Fatal(err)
	}
	if err := tx.DeleteObject(ctx, "lake", "doc", objects.Conditions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if marked, dead := lineage(t, s); len(marked) != 0 || !dead[o.Version.String()] {
		t.Errorf("marked %v, dead %v", marked, dead)
	}
}

// Whoever wins: a link that was acknowledged either has a living source, or the
// source's death is on record.
func TestNoDeathIsHiddenByARace(t *testing.T) {
	ctx, s := openBucket(t)
	dawdle(s)
	var mu sync.Mutex
	linked := map[string]bool{}
	var all sync.WaitGroup
	for w := range 6 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range 60 {
				key := fmt.Sprint(r.IntN(3))
				switch r.IntN(3) {
				case 0:
					mustPut(t, s, key, "x")
				case 1:
					_, _ = s.Delete(ctx, objects.DeleteRequest{Bucket: "lake", Key: key})
				default:
					o, err := s.Head(ctx, "lake", key)
					if err == nil && link(ctx, s, key, o.Version) == nil {
						mu.Lock()
						linked[o.Version.String()] = true
						mu.Unlock()
					}
				}
			}
		})
	}
	all.Wait()
	alive := map[string]bool{}
	for k := range 3 {
		if o, err := s.Head(ctx, "lake", fmt.Sprint(k)); err == nil {
			alive[o.Version.String()] = true
		}
	}
	marked, dead := lineage(t, s)
	for v := range linked {
		if alive[v] != marked[v] || alive[v] == dead[v] {
			t.Errorf("version %s: alive %v, marked %v, dead %v", v, alive[v], marked[v], dead[v])
		}
	}
	if len(linked) == 0 || len(marked)+len(dead) != len(linked) {
		t.Errorf("%d links, %d marked, %d dead", len(linked), len(marked), len(dead))
	}
}
