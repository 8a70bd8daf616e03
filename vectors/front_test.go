package vectors

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// TestALittleMemoryAnswersNoWorse: what does not fit is read where it lies. More cells are looked into then, in place of those
// that guests come from whose neighbourhoods are not in memory: a hit may be nearer, and one of a hundred farther.
func TestALittleMemoryAnswersNoWorse(t *testing.T) {
	const n, dim = 3000, 48
	rng := rand.New(rand.NewPCG(91, 92))
	data := clustered(rng, n+20, dim, 40)
	s := newMemoryStore(t, 91)
	tuning := Tuning{YoungRows: 500, FoldRows: 700, Target: 60}
	whole := openEngine(t, Options{Store: s, Tuning: tuning})
	for _, m := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		name := "docs-" + m.String()
		create(t, whole, Spec{Name: name, Dimension: dim, Metric: m})
		pushAll(t, whole, name, data[:n], func(i int) []byte { return fmt.Appendf(nil, `{"i": %d}`, i) })
		must(t, whole.Flush(background))
	}
	for _, cacheBytes := range []int64{1, n * dim * 5} { // nothing, or nearly all fronts
		lean := openEngine(t, Options{Store: s, Tuning: tuning, CacheBytes: cacheBytes})
		read, found, foundWhole, wanted := int64(0), 0.0, 0.0, 0.0
		for _, m := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
			name := "docs-" + m.String()
			for _, q := range data[n:] {
				r := Request{Values: q, TopK: 10, Probes: 8, ReturnMetadata: true, ReturnValues: true}
				a, b := query(t, whole, name, r), query(t, lean, name, r)
				sameWhereBoth(t, fmt.Sprintf("%v with %d bytes of memory", m, cacheBytes), b.Hits, a.Hits)
				with, without := keysOf(a), keysOf(b)
				r.Exact = true
				if a, b := query(t, whole, name, r), query(t, lean, name, r); !reflect.DeepEqual(a.Hits, b.Hits) {
					t.Fatalf("%v with %d bytes of memory, exact:\n%+v, want\n%+v", m, cacheBytes, b.Hits, a.Hits)
				}
				exact := keysOf(query(t, whole, name, r))
				foundWhole, found, wanted = foundWhole+share(with, exact), found+share(without, exact), wanted+1
				if len(a.Hits) != 10 || len(a.Hits[0].Metadata) == 0 || len(a.Hits[0].Values) != dim {
					t.Fatalf("%+v", a.Hits)
				}
				read += b.Explain.BytesRead
			}
		}
		if found < foundWhole-wanted/100 {
			t.Errorf("with %d bytes of memory recall is %.3f, with all in memory %.3f", cacheBytes, found/wanted, foundWhole/wanted)
		}
		if read == 0 {
			t.Errorf("nothing was read with %d bytes of memory", cacheBytes)
		}
		t.Logf("%d bytes of memory: %d bytes read a query, recall %.3f and %.3f", cacheBytes, read/60, found/wanted, foundWhole/wanted)
	}
}

// sameWhereBoth: there are as many hits, and those with the same key are the same.
func sameWhereBoth(t *testing.T, what string, got, want []Hit) {
	t.Helper()
	byKey := map[string]Hit{}
	for _, h := range want {
		byKey[h.Key] = h
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d hits, want %d", what, len(got), len(want))
	}
	for _, h := range got {
		if w, ok := byKey[h.Key]; ok && !reflect.DeepEqual(h, w) {
			t.Errorf("%s: %+v, want %+v", what, h, w)
		}
	}
}
