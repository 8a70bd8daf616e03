package vectors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
)

var background = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t testing.TB, e *Engine, spec Spec) {
	t.Helper()
	_, err := e.CreateIndex(background, bucket, spec)
	must(t, err)
}

func query(t testing.TB, e *Engine, name string, r Request) Answer {
	t.Helper()
	a, err := e.Query(background, bucket, name, r)
	must(t, err)
	return a
}

func keysOf(a Answer) (keys []string) {
	for _, h := range a.Hits {
		keys = append(keys, h.Key)
	}
	return keys
}

func TestPushIsFoundAtOnce(t *testing.T) {
	for _, m := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		e := openEngine(t, Options{Store: newMemoryStore(t, 1)})
		create(t, e, Spec{Name: "docs", Dimension: 2, Metric: m})
		must(t, e.Put(background, bucket, "docs", []Vector{
			{Key: "east", Values: []float32{2, 0}, Metadata: []byte(`{"n": 1}`)},
			{Key: "north", Values: []float32{0, 1}},
		}))
		a := query(t, e, "docs", Request{Values: []float32{1, 0.1}, TopK: 10, ReturnMetadata: true, ReturnValues: true})
		if got := keysOf(a); !slices.Equal(got, []string{"east", "north"}) {
			t.Fatalf("%v: hits %v", m, got)
		}
		if string(a.Hits[0].Metadata) != `{"n": 1}` || !slices.Equal(a.Hits[0].Values, []float32{2, 0}) {
			t.Errorf("%v: %+v", m, a.Hits[0])
		}
		want := map[distance.Metric]float64{distance.Cosine: 1 - 1/math.Sqrt(1.01), distance.Euclidean: 1.01, distance.DotProduct: -2}[m]
		if math.Abs(float64(a.Hits[0].Distance)-want) > 1e-6 {
			t.Errorf("%v: distance %v, want %v", m, a.Hits[0].Distance, want)
		}
	}
}

func TestOverwriteAndDeleteHideTheOldVector(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 2)})
	create(t, e, Spec{Name: "docs", Dimension: 2, Metric: distance.Euclidean})
	put := func(key string, x float32) {
		must(t, e.Put(background, bucket, "docs", []Vector{{Key: key, Values: []float32{x, 0}}}))
	}
	put("a", 1)
	put("b", 5)
	put("a", 9)
	if a := query(t, e, "docs", Request{Values: []float32{1, 0}, TopK: 5}); !slices.Equal(keysOf(a), []string{"b", "a"}) {
		t.Fatalf("after an overwrite: %v", keysOf(a))
	}
	must(t, e.Delete(background, bucket, "docs", []string{"a", "a", "never"}))
	if a := query(t, e, "docs", Request{Values: []float32{1, 0}, TopK: 5}); !slices.Equal(keysOf(a), []string{"b"}) {
		t.Fatalf("after a delete: %v", keysOf(a))
	}
	must(t, e.Flush(background))
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	if info.Vectors != 1 || info.Superseded != 0 || info.TailVectors != 0 || info.RowFiles != 1 {
		t.Fatalf("after a fold: %+v", info)
	}
	got, err := e.Get(background, bucket, "docs", []string{"b", "a"}, true, true)
	must(t, err)
	if len(got) != 1 || got[0].Key != "b" || got[0].Values[0] != 5 {
		t.Fatalf("get after a fold: %+v", got)
	}
}

func TestLikeLeavesItselfOut(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 3)})
	create(t, e, Spec{Name: "docs", Dimension: 2})
	must(t, e.Put(background, bucket, "docs", []Vector{{Key: "a", Values: []float32{1, 0}}, {Key: "b", Values: []float32{1, 1}}}))
	for range 2 {
		if a := query(t, e, "docs", Request{LikeKey: "a", TopK: 5}); !slices.Equal(keysOf(a), []string{"b"}) {
			t.Fatalf("like a: %v", keysOf(a))
		}
		must(t, e.Flush(background))
	}
	if _, err := e.Query(background, bucket, "docs", Request{LikeKey: "zzz", TopK: 5}); !errors.Is(err, ErrNoVector) {
		t.Fatalf("like a key that is not there: %v", err)
	}
}

func TestFilterIsAppliedBeforeRanking(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 4), Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 8, NonFilterable: []string{"text"}})
	rng := rand.New(rand.NewPCG(1, 2))
	var all []Vector
	for i := range 400 {
		all = append(all, Vector{Key: fmt.Sprintf("k%03d", i), Values: randomVector(rng, 8), Metadata: fmt.Appendf(nil, `{"n": %d, "text": "t"}`, i)})
	}
	must(t, e.Put(background, bucket, "docs", all))
	must(t, e.Flush(background))
	for _, f := range []string{`{"n": {"$lt": 7}}`, `{"n": 399}`, `{"n": {"$gte": 100}}`, `{"n": -1}`} {
		exact := query(t, e, "docs", Request{Values: all[3].Values, TopK: 7, Filter: []byte(f), Exact: true})
		quick := query(t, e, "docs", Request{Values: all[3].Values, TopK: 7, Filter: []byte(f), Probes: 2})
		if len(quick.Hits) != len(exact.Hits) {
			t.Errorf("%s: %d hits by probing, %d exactly", f, len(quick.Hits), len(exact.Hits))
		}
	}
	_, err := e.Query(background, bucket, "docs", Request{Values: all[3].Values, TopK: 7, Filter: []byte(`{"text": "t"}`)})
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Field != "filter.text" {
		t.Errorf("a filter on a key that is not filterable: %v", err)
	}
}

func randomVector(rng *rand.Rand, dim int) []float32 {
	v := make([]float32, dim)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func TestListPagesInKeyOrderAndSegmentsCoverAll(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 5)})
	create(t, e, Spec{Name: "docs", Dimension: 1, Metric: distance.Euclidean})
	var want []string
	for i := range 25 {
		want = append(want, fmt.Sprintf("k%02d", i))
		must(t, e.Put(background, bucket, "docs", []Vector{{Key: want[i], Values: []float32{float32(i)}}}))
	}
	must(t, e.Flush(background))
	for _, segments := range []int{1, 3} {
		var got []string
		for s := range segments {
			r := ListRequest{Max: 4, Segment: s, Segments: segments, WithValues: true}
			for {
				page, err := e.List(background, bucket, "docs", r)
				must(t, err)
				for _, v := range page.Vectors {
					got = append(got, v.Key)
					if fmt.Sprintf("k%02.0f", v.Values[0]) != v.Key {
						t.Fatalf("%s has the values %v", v.Key, v.Values)
					}
				}
				if r.After = page.Next; page.Next == "" {
					break
				}
			}
		}
		if segments > 1 {
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d segments list %v", segments, got)
		}
	}
}

func TestIndexesAreListedAndDeleted(t *testing.T) {
	s := newMemoryStore(t, 6)
	e := openEngine(t, Options{Store: s})
	for _, name := range []string{"aaa", "abc", "bcd"} {
		create(t, e, Spec{Name: name, Dimension: 3})
	}
	if _, err := e.CreateIndex(background, bucket, Spec{Name: "abc", Dimension: 4}); !errors.Is(err, ErrIndexExists) {
		t.Errorf("made twice: %v", err)
	}
	if _, err := e.CreateIndex(background, "nowhere", Spec{Name: "abc", Dimension: 4}); !errors.Is(err, objects.ErrNoBucket) {
		t.Errorf("in no bucket: %v", err)
	}
	list, err := e.Indexes(background, bucket, "a", "aaa", 10)
	must(t, err)
	if len(list) != 1 || list[0].Name != "abc" {
		t.Errorf("indexes after aaa: %+v", list)
	}
	must(t, e.Put(background, bucket, "abc", []Vector{{Key: "k", Values: []float32{1, 2, 3}}}))
	must(t, e.DeleteIndex(background, bucket, "abc"))
	if err := e.DeleteIndex(background, bucket, "abc"); !errors.Is(err, ErrNoIndex) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := e.Query(background, bucket, "abc", Request{Values: []float32{1, 2, 3}, TopK: 1}); !errors.Is(err, ErrNoIndex) {
		t.Errorf("query of a deleted index: %v", err)
	}
	if _, err := e.Query(background, "nowhere", "abc", Request{Values: []float32{1, 2, 3}, TopK: 1}); !errors.Is(err, objects.ErrNoBucket) {
		t.Errorf("query in no bucket: %v", err)
	}
	create(t, e, Spec{Name: "abc", Dimension: 2})
	if a := query(t, e, "abc", Request{Values: []float32{1, 2}, TopK: 1}); len(a.Hits) != 0 {
		t.Errorf("an index that was made anew has %v", keysOf(a))
	}
}

func TestDeadSourceHidesItsVectorsInTheSameCommit(t *testing.T) {
	s := newMemoryStore(t, 7)
	e := openEngine(t, Options{Store: s, Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 2})
	v := objects.VersionID{1}
	s.putObject(t, "report", v)
	var pushed []Vector
	for i := range 30 {
		pushed = append(pushed, Vector{Key: fmt.Sprintf("part-%d", i), Values: []float32{1, float32(i)}, Source: &Source{Key: "report", Version: v, Offset: int64(i), Length: 1}})
	}
	must(t, e.Put(background, bucket, "docs", append(pushed, Vector{Key: "free", Values: []float32{1, 1}})))
	a := query(t, e, "docs", Request{Values: []float32{1, 2}, TopK: 1})
	if len(a.Hits) != 1 || a.Hits[0].Source == nil || a.Hits[0].Source.Offset != 2 || a.Hits[0].Source.Key != "report" {
		t.Fatalf("a hit leads back to its source: %+v", a.Hits)
	}
	must(t, e.Flush(background))
	s.dropObject(t, "report", v)
	check := func(when string) {
		t.Helper()
		if got := keysOf(query(t, e, "docs", Request{Values: []float32{1, 2}, TopK: 50})); !slices.Equal(got, []string{"free"}) {
			t.Fatalf("%s: query finds %v", when, got)
		}
		page, err := e.List(background, bucket, "docs", ListRequest{})
		must(t, err)
		got, err := e.Get(background, bucket, "docs", []string{"part-3", "free"}, true, false)
		must(t, err)
		if len(page.Vectors) != 1 || len(got) != 1 {
			t.Fatalf("%s: list %v, get %v", when, page.Vectors, got)
		}
	}
	check("at once")
	if err := e.Put(background, bucket, "docs", pushed[:1]); !errors.Is(err, objects.ErrPrecondition) {
		t.Fatalf("a push for a dead source: %v", err)
	}
	must(t, e.Close())
	e = openEngine(t, Options{Store: s, Tuning: small})
	check("opened anew")
	must(t, e.Flush(background))
	check("reaped")
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	if info.Vectors != 1 {
		t.Errorf("after reaping %d vectors are left", info.Vectors)
	}
}

func TestBadInputIsRefusedByNameAndLeavesNothing(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 8)})
	create(t, e, Spec{Name: "docs", Dimension: 3})
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	good := Vector{Key: "good", Values: []float32{1, 2, 3}}
	with := func(change func(*Vector)) []Vector {
		v := Vector{Key: "bad", Values: []float32{1, 2, 3}}
		change(&v)
		return []Vector{good, v}
	}
	many := make([]Vector, 501)
	for i := range many {
		many[i] = Vector{Key: fmt.Sprint(i), Values: []float32{1, 2, 3}}
	}
	cases := []struct {
		vectors []Vector
		field   string
		reason  string
	}{
		{nil, "vectors", "1 to 500"},
		{many, "vectors", "501 vectors"},
		{with(func(v *Vector) { v.Values = v.Values[:2] }), "vectors[1].data", "dimension 3"},
		{with(func(v *Vector) { v.Values = nil }), "vectors[1].data", "0 numbers"},
		{with(func(v *Vector) { v.Values[2] = nan }), "vectors[1].data[2]", "NaN"},
		{with(func(v *Vector) { v.Values[0] = inf }), "vectors[1].data[0]", "finite"},
		{with(func(v *Vector) { v.Values = []float32{0, 0, 0} }), "vectors[1].data", "zero"},
		{with(func(v *Vector) { v.Values = []float32{3e38, 3e38, 0} }), "vectors[1].data", "longer than"},
		{with(func(v *Vector) { v.Key = "" }), "vectors[1].key", "0 bytes"},
		{with(func(v *Vector) { v.Key = strings.Repeat("k", 1025) }), "vectors[1].key", "1 to 1024"},
		{with(func(v *Vector) { v.Key = "\xff" }), "vectors[1].key", "UTF-8"},
		{with(func(v *Vector) { v.Key = "good" }), "vectors[1].key", "vectors[0]"},
		{with(func(v *Vector) { v.Metadata = []byte(`[1]`) }), "vectors[1].metadata", "object"},
		{with(func(v *Vector) { v.Metadata = []byte(`{"a": null}`) }), "vectors[1].metadata.a", "null"},
		{with(func(v *Vector) { v.Metadata = []byte(`{"a": "` + strings.Repeat("x", 3000) + `"}`) }), "vectors[1].metadata", "2048"},
		{with(func(v *Vector) { v.Metadata = []byte(`{"a": "` + strings.Repeat("x", 50000) + `"}`) }), "vectors[1].metadata", "40960"},
		{with(func(v *Vector) { v.Source = &Source{Key: "k"} }), "vectors[1].source.version", "missing"},
		{with(func(v *Vector) { v.Source = &Source{Version: objects.VersionID{1}} }), "vectors[1].source.key", "0 bytes"},
		{with(func(v *Vector) { v.Source = &Source{Key: "k", Version: objects.VersionID{1}, Offset: -1} }), "vectors[1].source", "negative"},
	}
	for _, c := range cases {
		refused(t, e.Put(background, bucket, "docs", c.vectors), c.field, c.reason)
	}
	if a := query(t, e, "docs", Request{Values: []float32{1, 2, 3}, TopK: 5}); len(a.Hits) != 0 {
		t.Errorf("refused pushes left %v", keysOf(a))
	}
	_, err := e.Get(background, bucket, "docs", nil, false, false)
	refused(t, err, "keys", "1 to 100")
	refused(t, e.Delete(background, bucket, "docs", make([]string, 501)), "keys", "1 to 500")
	_, err = e.List(background, bucket, "docs", ListRequest{Max: 1001})
	refused(t, err, "maxResults", "1 to 1000")
	_, err = e.List(background, bucket, "docs", ListRequest{Segment: 2, Segments: 2})
	refused(t, err, "segmentIndex", "0 to 1")
	for _, c := range []struct {
		r             Request
		field, reason string
	}{
		{Request{Values: []float32{1, 2, 3}}, "topK", "1 to 10000"},
		{Request{Values: []float32{1, 2, 3}, TopK: 10001}, "topK", "1 to 10000"},
		{Request{Values: []float32{1, 2}, TopK: 1}, "queryVector", "dimension 3"},
		{Request{TopK: 1}, "queryVector", "0 numbers"},
		{Request{Values: []float32{0, 0, 0}, TopK: 1}, "queryVector", "zero"},
		{Request{Values: []float32{1, 2, 3}, TopK: 1, Probes: -1}, "probes", "negative"},
		{Request{Values: []float32{1, 2, 3}, LikeKey: "x", TopK: 1}, "queryVector", "beside"},
		{Request{Values: []float32{1, 2, 3}, TopK: 1, Filter: []byte(`{"a": {"$near": 1}}`)}, "filter.a.$near", "no operator"},
	} {
		_, err := e.Query(background, bucket, "docs", c.r)
		refused(t, err, c.field, c.reason)
	}
}

func TestBadSpecsAreRefusedByName(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 9)})
	for _, c := range []struct {
		spec          Spec
		field, reason string
	}{
		{Spec{Name: "ab", Dimension: 1}, "indexName", "3 to 63"},
		{Spec{Name: strings.Repeat("a", 64), Dimension: 1}, "indexName", "3 to 63"},
		{Spec{Name: "Abc", Dimension: 1}, "indexName", "'A'"},
		{Spec{Name: "a/b", Dimension: 1}, "indexName", "'/'"},
		{Spec{Name: "abc-", Dimension: 1}, "indexName", "begin and end"},
		{Spec{Name: "abc"}, "dimension", "1 to 4096"},
		{Spec{Name: "abc", Dimension: 4097}, "dimension", "1 to 4096"},
		{Spec{Name: "abc", Dimension: 1, Metric: 9}, "distanceMetric", "cosine"},
		{Spec{Name: "abc", Dimension: 1, NonFilterable: make([]string, 11)}, "metadataConfiguration.nonFilterableMetadataKeys", "more than 10"},
		{Spec{Name: "abc", Dimension: 1, NonFilterable: []string{""}}, "metadataConfiguration.nonFilterableMetadataKeys", "1 to 63"},
		{Spec{Name: "abc", Dimension: 1, NonFilterable: []string{"a", "a"}}, "metadataConfiguration.nonFilterableMetadataKeys", "twice"},
		{Spec{Name: "abc", Dimension: 1, Embedder: &EmbedderSpec{Kind: "openai", Model: "m", Dimension: 2}}, "embedder.dimension", "has 1"},
		{Spec{Name: "abc", Dimension: 1, Embedder: &EmbedderSpec{}}, "embedder", "kind"},
	} {
		_, err := e.CreateIndex(background, bucket, c.spec)
		refused(t, err, c.field, c.reason)
	}
}

func refused(t *testing.T, err error, field, reason string) {
	t.Helper()
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Field != field || !strings.Contains(bad.Reason, reason) {
		t.Errorf("%v, want %s: … %s …", err, field, reason)
	}
}

func TestLongKeysAreCommittedInPieces(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 10)})
	create(t, e, Spec{Name: "docs", Dimension: 1, Metric: distance.Euclidean})
	var keys []string
	var vectors []Vector
	for i := range BatchMax {
		keys = append(keys, strings.Repeat("k", KeyBytesMax-4)+fmt.Sprintf("%04d", i))
		vectors = append(vectors, Vector{Key: keys[i], Values: []float32{float32(i)}})
	}
	must(t, e.Put(background, bucket, "docs", vectors))
	must(t, e.Put(background, bucket, "docs", vectors)) // now each supersedes another
	if a := query(t, e, "docs", Request{Values: []float32{0}, TopK: 1000}); len(a.Hits) != BatchMax {
		t.Fatalf("%d hits", len(a.Hits))
	}
	must(t, e.Delete(background, bucket, "docs", keys))
	if a := query(t, e, "docs", Request{Values: []float32{0}, TopK: 1000}); len(a.Hits) != 0 {
		t.Fatalf("%d hits after the delete", len(a.Hits))
	}
}
