package vectors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
)

// layer is an engine over the real object layer: six drives on a fake disk.
type layer struct {
	store *objects.Store
	e     *Engine
}

func openLayer(h *host.Host, t Tuning) (*layer, error) {
	o := objects.Options{Host: h, AutoFormat: true, ExtentBytes: 1 << 20, DataShards: 2, ParityShards: 1, DriveTimeout: 1 << 60, HedgeDelay: 1 << 60}
	for i := range 3 {
		o.Drives = append(o.Drives, fmt.Sprintf("drive-%d", i+1))
	}
	s, err := objects.Open(background, o)
	if err != nil {
		return nil, err
	}
	e, err := Open(background, Options{Store: Over(s), Tuning: t, Idle: 1 << 60}) // the fake clock leaps
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &layer{s, e}, nil
}

func (l *layer) close() { _ = errors.Join(l.e.Close(), l.store.Close()) } // after a power cut there is much to fail

// prepare makes the bucket and the index.
func (l *layer) prepare() error {
	if _, err := l.store.CreateBucket(background, bucket); err != nil {
		return err
	}
	_, err := l.e.CreateIndex(background, bucket, Spec{Name: "docs", Dimension: 3, Metric: distance.Euclidean, Texts: []string{"words"}})
	return err
}

func someVectors(rng *rand.Rand, from, n int) []Vector {
	var list []Vector
	for i := range n {
		list = append(list, Vector{Key: fmt.Sprintf("k%d", from+i), Values: randomVector(rng, 3), Metadata: fmt.Appendf(nil, `{"n": %d, "words": "common w%d", "a": %q}`, i%2, i, strings.Repeat("x", 300))})
	}
	return list
}

func TestObjectAndVectorsLiveAndDieInOneTransaction(t *testing.T) {
	l, err := openLayer(hosttest.New(61), small)
	must(t, err)
	defer l.close()
	must(t, l.prepare())
	put := func(text string) objects.VersionID {
		t.Helper()
		st, err := l.store.Stage(background, objects.PutRequest{Bucket: bucket, Key: "doc", Body: strings.NewReader(text), Bytes: int64(len(text))})
		must(t, err)
		v := st.Object().Version
		tx := l.store.Begin()
		must(t, tx.PutObject(background, st, objects.Conditions{}))
		must(t, l.e.PutInto(background, tx, bucket, "docs", []Vector{{Key: text, Values: []float32{1, 2, 3}, Source: &Source{Key: "doc", Version: v}}}))
		if a := query(t, l.e, "docs", Request{Values: []float32{1, 2, 3}, TopK: 9}); slices.Contains(keysOf(a), text) {
			t.Fatal("a vector was seen before its commit")
		}
		_, err = l.store.Commit(background, tx)
		must(t, err)
		return v
	}
	first := put("first")
	a := query(t, l.e, "docs", Request{Values: []float32{1, 2, 3}, TopK: 9})
	if len(a.Hits) != 1 || a.Hits[0].Key != "first" || a.Hits[0].Source.Version != first {
		t.Fatalf("after the commit: %+v", a.Hits)
	}
	must(t, l.e.Flush(background))
	put("second")
	if got := keysOf(query(t, l.e, "docs", Request{Values: []float32{1, 2, 3}, TopK: 9})); !slices.Equal(got, []string{"second"}) {
		t.Fatalf("after the replacement: %v", got)
	}
	_, err = l.store.Delete(background, objects.DeleteRequest{Bucket: bucket, Key: "doc"})
	must(t, err)
	if got := keysOf(query(t, l.e, "docs", Request{Values: []float32{1, 2, 3}, TopK: 9})); len(got) != 0 {
		t.Fatalf("after the delete: %v", got)
	}
	tx := l.store.Begin()
	err = l.e.PutInto(background, tx, bucket, "docs", []Vector{{Key: "late", Values: []float32{1, 2, 3}, Source: &Source{Key: "doc", Version: first}}})
	if !errors.Is(err, objects.ErrPrecondition) && !errors.Is(err, objects.ErrNoObject) {
		t.Fatalf("a vector of a version that is gone: %v", err)
	}
}

// scenes are what the power cut meets: a push that overwrites, a delete, and a fold
// that publishes neighbourhoods. each says what it does to the model.
var scenes = []struct {
	name string
	act  func(e *Engine, batch []Vector) error
	done func(m model, batch []Vector)
}{
	{"push", func(e *Engine, batch []Vector) error { return e.Put(background, bucket, "docs", batch) },
		func(m model, batch []Vector) {
			for _, v := range batch {
				m[v.Key] = modelVector{values: v.Values}
			}
		}},
	{"delete", func(e *Engine, batch []Vector) error {
		return e.Delete(background, bucket, "docs", []string{batch[0].Key, batch[1].Key})
	}, func(m model, batch []Vector) { delete(m, batch[0].Key); delete(m, batch[1].Key) }},
	{"fold", func(e *Engine, _ []Vector) error { return e.Flush(background) }, func(model, []Vector) {}},
}

// folding only by Flush, so that a scene is its own operations and no others.
var slow = Tuning{YoungRows: 1000, Target: 8}

func TestAcknowledgedVectorsSurviveCrashAtEveryOperation(t *testing.T) {
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			base, before := hosttest.New(71), model{}
			l, err := openLayer(base, slow)
			must(t, err)
			must(t, l.prepare())
			rng := rand.New(rand.NewPCG(1, 1))
			for i := range 2 {
				batch := someVectors(rng, 0, 12)
				must(t, l.e.Put(background, bucket, "docs", batch))
				scenes[0].done(before, batch)
				if i == 0 {
					must(t, l.e.Flush(background))
				}
			}
			l.close()
			batch := someVectors(rng, 6, 12)
			after := model{}
			for k, v := range before {
				after[k] = v
			}
			sc.done(after, batch)
			n := int64(0)
			for ; !t.Failed(); n++ {
				h := hosttest.Reboot(base, 100+n)
				l, err := openLayer(h, slow)
				must(t, err)
				query(t, l.e, "docs", Request{Values: batch[0].Values, TopK: 1}) // loaded
				stop := hosttest.ClockOf(h).AutoAdvance()
				hosttest.DiskOf(h).CutAfter(n)
				acted := sc.act(l.e, batch)
				cut := hosttest.DiskOf(h).Cut()
				restarted := hosttest.Reboot(h, n)
				l.close()
				stop()
				checkAfterCut(t, restarted, before, after, acted, n)
				if !cut {
					must(t, acted)
					break
				}
			}
			if n < 15 {
				t.Errorf("only %d operations: was anything done?", n)
			}
			t.Logf("power cut at each of %d operations", n)
		})
	}
}

// checkAfterCut: what was answered is there; what was not is there whole, or absent.
func checkAfterCut(t *testing.T, h *host.Host, before, after model, acted error, n int64) {
	t.Helper()
	l, err := openLayer(h, slow)
	must(t, err)
	defer l.close()
	got := everything(t, l.e)
	if !agrees(got, after) && (acted == nil || !agrees(got, before)) {
		t.Errorf("cut after %d operations (%v): there are\n%v, want\n%v", n, acted, sortedKeys(got), sortedKeys(after))
	}
	must(t, l.e.Put(background, bucket, "docs", someVectors(rand.New(rand.NewPCG(2, 2)), 100, 3)))
	must(t, l.e.Flush(background))
	if next := everything(t, l.e); len(next) != len(got)+3 {
		t.Errorf("cut after %d operations: after another push and fold there are %v", n, sortedKeys(next))
	}
}
