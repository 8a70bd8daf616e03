package vectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/distance"
)

// cutStore fails for good at its n-th change: a blob that is written, or a
// commit. late says that the change itself still happens, and only its answer is lost.
type cutStore struct {
	*memoryStore
	left atomic.Int64
	late bool
}

var errCut = errors.New("cut")

// change runs f unless the cut has come.
func (c *cutStore) change(f func() error) error {
	switch left := c.left.Add(-1); {
	case left > 0:
		return f()
	case left == 0 && c.late:
		_ = f()
	}
	return errCut
}

func (c *cutStore) WriteBlob(ctx context.Context, r io.Reader, size int64) (b objects.Blob, err error) {
	err = c.change(func() (err error) { b, err = c.memoryStore.WriteBlob(ctx, r, size); return err })
	return b, err
}

func (c *cutStore) Commit(ctx context.Context, tx Tx) (res index.Result, err error) {
	err = c.change(func() (err error) { res, err = c.memoryStore.Commit(ctx, tx); return err })
	return res, err
}

func (c *cutStore) Index() index.Index { return cutIndex{c.memoryStore.ix, c} }

type cutIndex struct {
	index.Index
	c *cutStore
}

func (x cutIndex) Commit(ctx context.Context, txn index.Txn) (res index.Result, err error) {
	err = x.c.change(func() (err error) { res, err = x.Index.Commit(ctx, txn); return err })
	return res, err
}

// workload pushes, deletes and folds until something fails. It returns what was
// acknowledged, and what was under way then: that may have happened or not.
func workload(e *Engine, rng *rand.Rand) (sure model, doubtful func(model)) {
	sure = model{}
	if _, err := e.CreateIndex(background, bucket, Spec{Name: "docs", Dimension: 3, Metric: distance.Euclidean, Texts: []string{"words"}}); err != nil {
		return nil, nil
	}
	for step := range 12 {
		var batch []Vector
		for i := range 15 {
			batch = append(batch, Vector{Key: fmt.Sprintf("k%d", (step*11+i)%90), Values: randomVector(rng, 3), Metadata: fmt.Appendf(nil, `{"n":%d,"words":"common w%d"}`, i%2, step)})
		}
		put := func(m model) {
			for _, v := range batch {
				m[v.Key] = modelVector{values: v.Values}
			}
		}
		if err := e.Put(background, bucket, "docs", batch); err != nil {
			return sure, put
		}
		put(sure)
		gone := []string{batch[3].Key, batch[7].Key}
		remove := func(m model) { delete(m, gone[0]); delete(m, gone[1]) }
		if step%3 == 1 {
			if err := e.Delete(background, bucket, "docs", gone); err != nil {
				return sure, remove
			}
			remove(sure)
		}
		if step == 7 {
			if _, err := e.ChangeTexts(background, bucket, "docs", []string{"more"}, nil); err != nil {
				return sure, func(model) {}
			}
		}
		if step%3 == 2 {
			if err := e.Flush(background); err != nil {
				return sure, func(model) {}
			}
		}
	}
	return sure, nil
}

func TestEveryChangeMayBeTheLastOne(t *testing.T) {
	for _, late := range []bool{false, true} {
		n := int64(1)
		for ; ; n++ {
			if t.Failed() || !cutAt(t, n, late) {
				break
			}
		}
		t.Logf("late %v: %d cuts", late, n-1)
	}
}

// cutAt reports whether the workload met the cut at its n-th change.
func cutAt(t *testing.T, n int64, late bool) bool {
	c := &cutStore{memoryStore: newMemoryStore(t, n), late: late}
	c.left.Store(n)
	// Folds wait for Flush, so that the n-th change is nearly always the same one.
	tuning := Tuning{YoungRows: 1000, FoldRows: 1000, FoldRecords: 1000, Target: 12}
	o := Options{Store: c, Rows: ownRowFiles{c}, Tuning: tuning}
	e, err := Open(background, o)
	must(t, err)
	sure, doubtful := workload(e, rand.New(rand.NewPCG(7, 7)))
	must(t, e.Close())
	met := c.left.Load() <= 0

	o.Store, o.Rows = c.memoryStore, ownRowFiles{c.memoryStore}
	e, err = Open(background, o)
	must(t, err)
	defer e.Close()
	if sure == nil { // the cut came before the index was made, or before that was answered
		return met
	}
	for _, when := range []string{"opened anew", "put in order"} {
		got := everything(t, e)
		if !agrees(got, sure) {
			maybe := model{}
			for k, v := range sure {
				maybe[k] = v
			}
			if doubtful != nil {
				doubtful(maybe)
			}
			if !agrees(got, maybe) {
				t.Fatalf("cut at change %d, late %v, %s: there are\n%v\nwant\n%v\nor\n%v", n, late, when, sortedKeys(got), sortedKeys(sure), sortedKeys(maybe))
			}
		}
		must(t, e.Flush(background))
	}
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	if got := len(everything(t, e)); info.TailVectors != 0 || int(info.Vectors) != got {
		t.Fatalf("cut at change %d, late %v: %d vectors are there, and %+v says otherwise", n, late, got, info)
	}
	return met
}

// everything is what query and list agree on.
func everything(t *testing.T, e *Engine) model {
	t.Helper()
	found := model{}
	a := query(t, e, "docs", Request{Values: []float32{0, 0, 0}, TopK: 1000, ReturnValues: true, Exact: true})
	for _, h := range a.Hits {
		if _, twice := found[h.Key]; twice {
			t.Fatalf("%q is found twice", h.Key)
		}
		found[h.Key] = modelVector{values: h.Values}
	}
	page, err := e.List(background, bucket, "docs", ListRequest{Max: 1000, WithValues: true})
	must(t, err)
	listed := model{}
	for _, v := range page.Vectors {
		listed[v.Key] = modelVector{values: v.Values}
	}
	if !agrees(found, listed) {
		t.Fatalf("query finds\n%v, list\n%v", sortedKeys(found), sortedKeys(listed))
	}
	agreeByMeaning(t, e, found)
	return found
}

// agreeByMeaning: words and metadata find the same vectors, where they have them.
func agreeByMeaning(t *testing.T, e *Engine, found model) {
	t.Helper()
	info, err := e.Index(background, bucket, "docs")
	must(t, err)
	n, err := e.Count(background, bucket, "docs", nil)
	must(t, err)
	if n != uint64(len(found)) {
		t.Fatalf("%d vectors are counted, %d found", n, len(found))
	}
	if !slices.Contains(info.Texts, "words") {
		return
	}
	a := query(t, e, "docs", Request{Texts: []TextQuery{{"words", "common"}}, TopK: 1000})
	byWords := keysOf(a)
	slices.Sort(byWords)
	var even []string
	for _, f := range []string{`{"n":0}`, `{"n":1}`} {
		page, err := e.List(background, bucket, "docs", ListRequest{Max: 1000, Filter: []byte(f)})
		must(t, err)
		for _, v := range page.Vectors {
			even = append(even, v.Key)
		}
	}
	slices.Sort(even)
	if all := sortedKeys(found); !slices.Equal(byWords, all) || !slices.Equal(even, all) {
		t.Fatalf("there are\n%v, by words\n%v, by metadata\n%v", all, byWords, even)
	}
}

func agrees(a, b model) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || !slices.Equal(v.values, w.values) {
			return false
		}
	}
	return true
}
