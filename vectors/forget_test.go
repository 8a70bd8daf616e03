package vectors

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
)

// TestDeadSourcesAreForgottenOnceNoIndexNeedsThem: not while an index of the bucket
// that is not in memory still has a vector of theirs.
func TestDeadSourcesAreForgottenOnceNoIndexNeedsThem(t *testing.T) {
	s := newMemoryStore(t, 21)
	e := openEngine(t, Options{Store: s, Tuning: small})
	for _, name := range []string{"one", "two", "three"} {
		create(t, e, Spec{Name: name, Dimension: 2})
	}
	at := []float32{1, 2}
	for i := range 5 {
		v := objects.VersionID{byte(i + 1)}
		name := fmt.Sprint("report-", i)
		s.putObject(t, name, v)
		for _, index := range []string{"one", "two"} {
			must(t, e.Put(background, bucket, index, []Vector{{Key: name, Values: at, Source: &Source{Key: name, Version: v}}}))
		}
	}
	must(t, e.Close())
	for i := range 5 {
		s.dropObject(t, fmt.Sprint("report-", i), objects.VersionID{byte(i + 1)})
	}
	e = openEngine(t, Options{Store: s, Tuning: small})
	for _, name := range []string{"one", "three"} {
		if a := query(t, e, name, Request{Values: at, TopK: 9}); len(a.Hits) != 0 {
			t.Fatalf("%s has %v", name, keysOf(a))
		}
		must(t, e.Flush(background))
	}
	if n := s.deadSources(t); n != 5 {
		t.Fatalf("%d dead sources are remembered, index two needs 5", n)
	}
	if a := query(t, e, "two", Request{Values: at, TopK: 9}); len(a.Hits) != 0 {
		t.Fatalf("two has %v", keysOf(a))
	}
	must(t, e.Flush(background))
	if n := s.deadSources(t); n != 0 {
		t.Errorf("%d dead sources are remembered, and nobody needs them", n)
	}
}

// TestManyDeadSourcesAreForgottenThoughIndexesAreClosed: those that a closed index does
// not name, in several transactions.
func TestManyDeadSourcesAreForgottenThoughIndexesAreClosed(t *testing.T) {
	s := newMemoryStore(t, 22)
	e := openEngine(t, Options{Store: s, Tuning: small})
	create(t, e, Spec{Name: "open", Dimension: 2})
	create(t, e, Spec{Name: "closed", Dimension: 2})
	s.putObject(t, "kept", objects.VersionID{15: 1})
	must(t, e.Put(background, bucket, "closed", []Vector{{Key: "k", Values: []float32{1, 2}, Source: &Source{Key: "kept", Version: objects.VersionID{15: 1}}}}))
	must(t, e.Close())
	e = openEngine(t, Options{Store: s, Tuning: small})
	query(t, e, "open", Request{Values: []float32{1, 2}, TopK: 1})
	s.dropObject(t, "kept", objects.VersionID{15: 1})
	for i := range forgetWorth + forgetTogether/2 {
		s.dropObject(t, fmt.Sprint(i), objects.VersionID{1, byte(i), byte(i >> 8)})
	}
	must(t, e.Flush(background))
	if n := s.deadSources(t); n < 1 || n > forgetWorth {
		t.Errorf("%d dead sources are remembered; one is needed, and %d at most wait", n, forgetWorth)
	}
	if a := query(t, e, "closed", Request{Values: []float32{1, 2}, TopK: 1}); len(a.Hits) != 0 {
		t.Errorf("a vector of a dead source: %v", keysOf(a))
	}
	must(t, e.Flush(background))
	if n := s.deadSources(t); n != 0 {
		t.Errorf("%d dead sources are remembered, and nobody needs them", n)
	}
}

// TestNoVectorOutlivesItsSource: objects come and go with their vectors, through two
// engines, while upkeep folds, reaps and forgets. Once a source is gone, no engine
// finds its vectors by any way.
func TestNoVectorOutlivesItsSource(t *testing.T) {
	rounds := 25
	if os.Getenv("TARN_SOAK") != "" {
		rounds = 3000
	}
	s := newMemoryStore(t, 23)
	engines := []*Engine{openEngine(t, Options{Store: s, Tuning: small}), openEngine(t, Options{Store: s, Tuning: small})}
	create(t, engines[0], Spec{Name: "docs", Dimension: 4, Metric: distance.Euclidean})
	var writers, upkeep sync.WaitGroup
	ended := make(chan struct{})
	for _, e := range engines {
		upkeep.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					if err := e.Flush(background); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 7))
			for i := range rounds {
				if !t.Failed() {
					liveAndDie(t, s, engines, rng, fmt.Sprintf("w%d-%d", w, i), objects.VersionID{byte(w + 1), byte(i), byte(i >> 8)})
				}
			}
		})
	}
	writers.Wait()
	close(ended)
	upkeep.Wait()
	for _, e := range engines {
		must(t, e.Flush(background))
	}
	if n := s.deadSources(t); n != 0 {
		t.Errorf("%d dead sources are remembered", n)
	}
}

// liveAndDie puts an object and its vectors, ends it, and looks for them.
func liveAndDie(t *testing.T, s *memoryStore, engines []*Engine, rng *rand.Rand, name string, v objects.VersionID) {
	s.putObject(t, name, v)
	at := randomVector(rng, 4)
	var keys []string
	var batch []Vector
	for i := range 3 {
		keys = append(keys, fmt.Sprint(name, "/", i))
		batch = append(batch, Vector{Key: keys[i], Values: at, Source: &Source{Key: name, Version: v}})
	}
	if err := engines[rng.IntN(2)].Put(background, bucket, "docs", batch); err != nil {
		t.Errorf("put: %v", err)
		return
	}
	look := func(e *Engine) (found []string) {
		a, err := e.Query(background, bucket, "docs", Request{Values: at, TopK: 30, Exact: rng.IntN(2) == 0})
		if err != nil {
			t.Errorf("query: %v", err)
		}
		for _, key := range keysOf(a) {
			if slices.Contains(keys, key) {
				found = append(found, key)
			}
		}
		got, err := e.Get(background, bucket, "docs", keys, true, false)
		if err != nil {
			t.Errorf("get: %v", err)
		}
		for _, one := range got {
			found = append(found, one.Key)
		}
		page, err := e.List(background, bucket, "docs", ListRequest{After: name, Max: 3, WithValues: true})
		if err != nil {
			t.Errorf("list: %v", err)
		}
		for _, one := range page.Vectors {
			if slices.Contains(keys, one.Key) {
				found = append(found, one.Key)
			}
		}
		return found
	}
	if found := look(engines[rng.IntN(2)]); len(found) != 9 {
		t.Errorf("%s: alive, and %v is found", name, found)
	}
	s.dropObject(t, name, v)
	for range 4 {
		if found := look(engines[rng.IntN(2)]); len(found) > 0 {
			t.Errorf("%s: dead, and %v is found", name, found)
		}
	}
}
