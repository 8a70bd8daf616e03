package objects_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

func crashOptions(h *host.Host) objects.Options {
	return objects.Options{
		Host: h, Drives: []string{"d1", "d2", "d3", "d4", "d5", "d6"}, AutoFormat: true,
		ExtentBytes: 4 << 20, CacheBytes: 1 << 20, PartBytesMin: partMin, RepairPause: 9999 * time.Hour, SweepPause: 9999 * time.Hour, AuditPause: 9999 * time.Hour,
	}
}

func openOn(t testing.TB, h *host.Host) *objects.Store {
	t.Helper()
	s, err := objects.Open(context.Background(), crashOptions(h))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// scene is a request that the power cut may meet.
type scene struct {
	name    string
	prepare func(t testing.TB, s *objects.Store) any
	act     func(s *objects.Store, prepared any) error
}

func patterned(n int, c string) string { return strings.Repeat(c, n) }

func preparePut(t testing.TB, s *objects.Store) any {
	o := mustPut(t, s, "doc", patterned(5000, "before "))
	if err := link(context.Background(), s, "doc", o.Version); err != nil {
		t.Fatal(err)
	}
	return nil
}

func actPut(bytes int) func(s *objects.Store, _ any) error {
	return func(s *objects.Store, _ any) error {
		body := patterned(bytes/10, "after it. ")
		_, err := s.Put(context.Background(), objects.PutRequest{Bucket: "lake", Key: "doc", Body: strings.NewReader(body), Bytes: int64(len(body))})
		return err
	}
}

type preparedUpload struct {
	upload objects.Upload
	parts  []objects.CompletePart
}

// prepareUpload has three parts, of which the completion names two.
func prepareUpload(t testing.TB, s *objects.Store) any {
	preparePut(t, s)
	mustPut(t, s, "big", "replaced by the completion")
	u := begin(t, s)
	a, _ := addPart(t, s, u, 1, patterned(20_000, "a")), addPart(t, s, u, 2, patterned(200_000, "b"))
	return preparedUpload{u, []objects.CompletePart{a, addPart(t, s, u, 4, "c")}}
}

func actComplete(s *objects.Store, prepared any) error {
	p := prepared.(preparedUpload)
	_, err := finish(s, p.upload, p.parts...)
	return err
}

var scenes = []scene{
	{"put inline", preparePut, actPut(500)},
	{"put copies", preparePut, actPut(20_000)},
	{"put stripes", preparePut, actPut(5_000_000)},
	{"delete", preparePut, func(s *objects.Store, _ any) error {
		_, err := s.Delete(context.Background(), objects.DeleteRequest{Bucket: "lake", Key: "doc"})
		return err
	}},
	{"delete of parts", func(t testing.TB, s *objects.Store) any {
		p := prepareUpload(t, s)
		if err := actComplete(s, p); err != nil {
			t.Fatal(err)
		}
		return nil
	}, func(s *objects.Store, _ any) error {
		_, err := s.Delete(context.Background(), objects.DeleteRequest{Bucket: "lake", Key: "big"})
		return err
	}},
	{"completion", prepareUpload, actComplete},
}

// picture is all that can be seen of the bucket, byte for byte, but for ids and times.
func picture(t testing.TB, s *objects.Store) string {
	ctx := context.Background()
	var b strings.Builder
	page, err := s.List(ctx, objects.ListRequest{Bucket: "lake", Max: 1000})
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for _, o := range page.Objects {
		_, body, err := objectstest.ReadAll(ctx, s, "lake", o.Key)
		if err != nil {
			t.Fatalf("read %s: %v", o.Key, err)
		}
		fmt.Fprintf(&b, "object %s %s %d %x\n", o.Key, o.ETag, len(body), sha256.Sum256(body))
	}
	uploads, err := s.ListUploads(ctx, objects.UploadsRequest{Bucket: "lake", Max: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range uploads.Uploads {
		parts, err := s.ListParts(ctx, "lake", u.Key, u.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts.Parts {
			fmt.Fprintf(&b, "part %s %d %s\n", u.Key, p.Number, p.ETag)
		}
	}
	marked, dead := lineage(t, s)
	fmt.Fprintf(&b, "%d marked, %d dead, %d keys of parts", len(marked), len(dead), len(keysBelow(t, s, "b/lake/p/")))
	return b.String()
}

// stage is a disk on which a scene was prepared; each power cut gets its copy.
type stage struct {
	scene
	base          *host.Host
	prepared      any
	before, after string
}

func prepareStage(t testing.TB, sc scene) *stage {
	st := &stage{scene: sc, base: hosttest.New(1)}
	s := openOn(t, st.base)
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	st.prepared = sc.prepare(t, s)
	st.before = picture(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	h := hosttest.Reboot(st.base, 2)
	s = openOn(t, h)
	if err := sc.act(s, st.prepared); err != nil {
		t.Fatal(err)
	}
	if st.after = picture(t, s); st.after == st.before {
		t.Fatal("the scene changes nothing")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return st
}

// cutAt cuts the power after n operations of the scene, and reports whether the
// scene met the cut.
func (st *stage) cutAt(t testing.TB, n, seed int64) bool {
	h := hosttest.Reboot(st.base, 100+n)
	s := openOn(t, h)
	stop := hosttest.ClockOf(h).AutoAdvance()
	hosttest.DiskOf(h).CutAfter(n)
	err := st.act(s, st.prepared)
	cut := hosttest.DiskOf(h).Cut()
	after := hosttest.Reboot(h, n+seed*1_000_003) // the disk as it is at this moment
	_ = s.Close()
	stop()

	s = openOn(t, after)
	switch got := picture(t, s); {
	case got == st.after:
	case err == nil:
		t.Errorf("cut after %d operations, seed %d: acknowledged, and then\n%s\nwant\n%s", n, seed, got, st.after)
	case got != st.before:
		t.Errorf("cut after %d operations, seed %d: half done (%v):\n%s\nbefore\n%s\nafter\n%s", n, seed, err, got, st.before, st.after)
	}
	mustPut(t, s, "next", patterned(3000, "goes on"))
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return cut
}

// What a crash leaves depends on its seed too: TARN_SOAK=1 tries many.
func TestARequestThatThePowerCutMeetsIsWholeOrAbsent(t *testing.T) {
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			st := prepareStage(t, sc)
			for seed := range int64(rounds(1, 20)) {
				n := int64(0)
				for st.cutAt(t, n, seed) && !t.Failed() {
					n++
				}
				t.Logf("seed %d: power cut at each of %d operations", seed, n)
			}
		})
	}
}

// The folder of a lost drive is formatted, and then named in the root record.
func TestALostDriveIsReplacedWhereverThePowerIsCut(t *testing.T) {
	base := hosttest.New(1)
	s := openOn(t, base)
	if _, err := s.CreateBucket(context.Background(), "lake"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "doc", patterned(5000, "before "))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	hosttest.DiskOf(base).Wipe("d5")
	for n := int64(0); ; n++ {
		h := hosttest.Reboot(base, n)
		stop := hosttest.ClockOf(h).AutoAdvance()
		hosttest.DiskOf(h).CutAfter(n)
		if s, err := objects.Open(context.Background(), crashOptions(h)); err == nil {
			_ = s.Close()
		}
		stop()
		s := openOn(t, hosttest.Reboot(h, n))
		for _, d := range s.Drives() {
			if d.State != objects.DriveWell {
				t.Errorf("cut after %d operations: drive %d at %s is %s: %s", n, d.Number, d.Path, d.State, d.Reason)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !hosttest.DiskOf(h).Cut() || t.Failed() {
			t.Logf("power cut at each of %d operations", n)
			return
		}
	}
}
