package vectors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/objects"
)

func TestRowsThatWereRewrittenAreFoundOnceByTheirWords(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 95), Tuning: Tuning{YoungRows: 200, FoldRows: 200, Target: 20}})
	create(t, e, Spec{Name: "docs", Dimension: 4, Texts: []string{"words"}})
	rng := rand.New(rand.NewPCG(9, 9))
	middle := randomVector(rng, 4)
	n, stale := 0, false
	for round := 0; round < 30 && !stale; round++ {
		var batch []Vector
		for range 100 {
			v := randomVector(rng, 4)
			for j := range v {
				v[j] = middle[j]*float32(round%3) + v[j]/4 // so that some neighbourhoods are divided again and again
			}
			batch = append(batch, Vector{Key: fmt.Sprintf("k%05d", n), Values: v, Metadata: fmt.Appendf(nil, `{"words":"common w%d","n":%d}`, n, n%7)})
			n++
		}
		must(t, e.Put(background, bucket, "docs", batch))
		must(t, e.Flush(background))
		_, m, err := e.current(background, bucket, "docs")
		must(t, err)
		for _, s := range m.segments {
			stale = stale || len(m.partsOf(s)) < len(s.entries)
		}
	}
	if !stale {
		t.Fatal("no segment has a block that does not count: nothing was tried")
	}
	a := query(t, e, "docs", Request{Texts: []TextQuery{{"words", "common"}}, TopK: n})
	if a.Explain.TextMatches != int64(n) {
		t.Errorf("%d vectors, %d rows with the word", n, a.Explain.TextMatches)
	}
	keys := keysOf(a)
	slices.Sort(keys)
	if got := len(slices.Compact(slices.Clone(keys))); len(keys) != n || got != n {
		t.Errorf("%d vectors, %d hits, %d different ones", n, len(keys), got)
	}
	facets, total, err := e.Facets(background, bucket, "docs", FacetRequest{Fields: []string{"n"}})
	must(t, err)
	if total != uint64(n) || facets[0].Vectors != total {
		t.Errorf("%d vectors, counted %d and %d", n, total, facets[0].Vectors)
	}
}

func TestAVectorThatWasOverwrittenSinceItWasChosenIsNotDeleted(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 96), Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 2})
	put := func(key string) {
		must(t, e.Put(background, bucket, "docs", []Vector{{Key: key, Values: []float32{1, 2}}}))
	}
	put("a")
	o, m, err := e.current(background, bucket, "docs")
	must(t, err)
	chosen := []named{{"a", mapping{id: m.tail[0].block.IDs()[0]}}}
	put("a")
	gone, err := e.deleteThese(background, bucket, "docs", o.rec.inc, chosen)
	must(t, err)
	if n, err := e.Count(background, bucket, "docs", nil); gone != 0 || n != 1 || err != nil {
		t.Errorf("%d were deleted, %d are left, %v", gone, n, err)
	}
	if _, err := e.deleteThese(background, bucket, "docs", incarnation{9}, chosen); !errors.Is(err, ErrNoIndex) {
		t.Errorf("an index that was made again: %v", err)
	}
}

func TestChangedSettingsAreNoDeletionToTheReaper(t *testing.T) {
	s := newMemoryStore(t, 97)
	e, other := openEngine(t, Options{Store: s, Tuning: small}), openEngine(t, Options{Store: s, Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 2})
	s.putObject(t, "object", objects.VersionID{1})
	must(t, e.Put(background, bucket, "docs", []Vector{{Key: "a", Values: []float32{1, 2}, Source: &Source{Key: "object", Version: objects.VersionID{1}}}}))
	o, _, err := e.current(background, bucket, "docs")
	must(t, err)
	<-o.work // upkeep waits
	s.dropObject(t, "object", objects.VersionID{1})
	must(t, e.barrier(background))
	_, err = other.ChangeTexts(background, bucket, "docs", []string{"words"}, nil)
	must(t, err)
	must(t, o.reap(background))
	o.work <- struct{}{}
	if a := query(t, e, "docs", Request{Values: []float32{1, 2}, TopK: 1}); len(a.Hits) != 0 {
		t.Errorf("a vector outlived its source: %v", keysOf(a))
	}
	if o.reaped.Load() != 0 {
		t.Error("what could not be reaped counts as reaped")
	}
}
