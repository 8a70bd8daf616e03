package vectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/vectors/distance"
)

// What questions about metadata and words answer, beside the model of model_test.go.

var vocabulary = []string{"tarn", "lake", "mere", "loch", "pond", "the", "of"}

func (h *history) words() string {
	var words []string
	for range rapid.IntRange(0, 6).Draw(h.t, "words") {
		words = append(words, rapid.SampledFrom(vocabulary).Draw(h.t, "word"))
	}
	return strings.Join(words, ", ")
}

// meant are the keys of the model in a group; -1: all.
func (m model) meant(group int) []string {
	var keys []string
	for _, k := range sortedKeys(m) {
		if group < 0 || m[k].group == group {
			keys = append(keys, k)
		}
	}
	return keys
}

func groupFilter(group int) []byte {
	if group < 0 {
		return nil
	}
	return fmt.Appendf(nil, `{"g": {"$in": [%d]}}`, group)
}

func (h *history) removeWhere() {
	group := rapid.IntRange(0, 3).Draw(h.t, "doomed group")
	keys := h.model.meant(group)
	r := DeleteRequest{Filter: groupFilter(group), Max: rapid.IntRange(0, 30).Draw(h.t, "at most"), DryRun: true}
	if r.Max > 0 {
		keys = keys[:min(r.Max, len(keys))]
	}
	for _, r.DryRun = range []bool{true, false} {
		d, err := h.e.DeleteWhere(background, bucket, "docs", r)
		h.ok(err)
		if d.Deleted != uint64(len(keys)) || d.More != (r.Max > 0 && len(h.model.meant(group)) > r.Max) {
			h.t.Fatalf("deleting group %d, at most %d: %+v, want %d", group, r.Max, d, len(keys))
		}
	}
	for _, k := range keys {
		delete(h.model, k)
	}
}

func (h *history) changeTexts() {
	info, err := h.e.Index(background, bucket, "docs")
	h.ok(err)
	var add, remove []string
	if slices.Contains(info.Texts, "words") {
		remove = []string{"words"}
	} else {
		add = []string{"words"}
	}
	_, err = h.e.ChangeTexts(background, bucket, "docs", add, remove)
	h.ok(err)
}

func (h *history) checkMeaning() {
	group := rapid.IntRange(-1, 4).Draw(h.t, "meant group")
	want := h.model.meant(group)
	n, err := h.e.Count(background, bucket, "docs", groupFilter(group))
	h.ok(err)
	if n != uint64(len(want)) {
		h.t.Fatalf("group %d has %d vectors, counted %d", group, len(want), n)
	}
	h.checkFacets(group, want)
	h.checkList(group, want)
	h.checkWords(group, want)
	h.checkWithin(group, want)
}

func (h *history) checkFacets(group int, keys []string) {
	facets, total, err := h.e.Facets(background, bucket, "docs", FacetRequest{Filter: groupFilter(group), Fields: []string{"g", "absent"}})
	h.ok(err)
	want := map[string]uint64{}
	for _, k := range keys {
		want[fmt.Sprint(h.model[k].group)]++
	}
	got := map[string]uint64{}
	for _, v := range facets[0].Values {
		got[fmt.Sprint(v.Value)] = v.Count
	}
	if total != uint64(len(keys)) || facets[0].Vectors != total || facets[0].Distinct != len(want) || !maps.Equal(got, want) || facets[1].Vectors != 0 {
		h.t.Fatalf("facets of group %d: %d, %+v, want %d, %v", group, total, facets, len(keys), want)
	}
}

func (h *history) checkList(group int, want []string) {
	var got []string
	r := ListRequest{Filter: groupFilter(group), Max: rapid.IntRange(1, 40).Draw(h.t, "page"), WithMetadata: true}
	for {
		page, err := h.e.List(background, bucket, "docs", r)
		h.ok(err)
		for _, v := range page.Vectors {
			got = append(got, v.Key)
			if len(v.Metadata) == 0 {
				h.t.Fatalf("%s is listed without metadata", v.Key)
			}
		}
		if r.After = page.Next; r.After == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		h.t.Fatalf("list of group %d is\n%v, want\n%v", group, got, want)
	}
}

func (h *history) checkWords(group int, keys []string) {
	info, err := h.e.Index(background, bucket, "docs")
	h.ok(err)
	if !slices.Contains(info.Texts, "words") {
		return
	}
	query := h.words()
	if query == "" {
		query = "absent"
	}
	var want []string
	for _, k := range keys {
		if slices.ContainsFunc(strings.Split(query, ", "), func(w string) bool {
			return slices.Contains(strings.Split(h.model[k].words, ", "), w)
		}) {
			want = append(want, k)
		}
	}
	r := Request{Texts: []TextQuery{{"words", query}}, TopK: 1000, Filter: groupFilter(group), ReturnMetadata: true}
	a, err := h.e.Query(background, bucket, "docs", r)
	h.ok(err)
	for i, hit := range a.Hits {
		if i > 0 && hit.Score > a.Hits[i-1].Score {
			h.t.Fatalf("hit %d has a higher score than the one before it", i)
		}
		if !strings.Contains(string(hit.Metadata), h.model[hit.Key].words) {
			h.t.Fatalf("%s comes with the metadata %s", hit.Key, hit.Metadata)
		}
	}
	got := keysOf(a)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		h.t.Fatalf("%q in group %d finds\n%v, want\n%v", query, group, got, want)
	}
	r.Values, r.TopK = h.vector(), 5 // fused: what is found lives, and distances are true
	a, err = h.e.Query(background, bucket, "docs", r)
	h.ok(err)
	if len(a.Hits) != min(5, len(keys)) {
		h.t.Fatalf("fused: %d hits of %d", len(a.Hits), len(keys))
	}
	for _, hit := range a.Hits {
		d := naiveDistance(h.metric, r.Values, h.model[hit.Key].values)
		if !slices.Contains(keys, hit.Key) || math.Abs(d-float64(hit.Distance)) > 1e-3*(1+math.Abs(d)) {
			h.t.Fatalf("fused: %s at %v, is at %v", hit.Key, hit.Distance, d)
		}
	}
}

func (h *history) checkWithin(group int, keys []string) {
	q := h.vector()
	var all []float64
	for _, k := range keys {
		all = append(all, naiveDistance(h.metric, q, h.model[k].values))
	}
	sort.Float64s(all)
	if len(all) < 2 {
		return
	}
	n := rapid.IntRange(1, len(all)-1).Draw(h.t, "how many within")
	if all[n]-all[n-1] < 1e-4*(1+math.Abs(all[n])) {
		return // too near each other to part them in float32
	}
	within := float32((all[n] + all[n-1]) / 2)
	a, err := h.e.Query(background, bucket, "docs", Request{Values: q, Within: &within, Filter: groupFilter(group)})
	h.ok(err)
	if len(a.Hits) != n || a.More {
		h.t.Fatalf("%d hits within %v, more %v, want %d", len(a.Hits), within, a.More, n)
	}
	a, err = h.e.Query(background, bucket, "docs", Request{Values: q, Within: &within, TopK: 1, Filter: groupFilter(group)})
	h.ok(err)
	if len(a.Hits) != 1 || a.More != (n > 1) {
		h.t.Fatalf("%d hits within %v, more %v, one of %d was wanted", len(a.Hits), within, a.More, n)
	}
}

// naiveBM25 is the formula, over all documents, with nothing shared with the engine.
func naiveBM25(docs map[string]string, query string) map[string]float64 {
	tokens := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ',' || r == ' ' })
	}
	n, words := 0.0, 0.0
	for _, d := range docs {
		if k := len(tokens(d)); k > 0 {
			n, words = n+1, words+float64(k)
		}
	}
	scores := map[string]float64{}
	for _, q := range tokens(query) {
		df := 0.0
		for _, d := range docs {
			if slices.Contains(tokens(d), q) {
				df++
			}
		}
		for key, d := range docs {
			tf := 0.0
			for _, w := range tokens(d) {
				if w == q {
					tf++
				}
			}
			if tf > 0 {
				norm := 1.2 * (0.25 + 0.75*float64(len(tokens(d)))/(words/n))
				scores[key] += math.Log(1+(n-df+0.5)/(df+0.5)) * tf * 2.2 / (tf + norm)
			}
		}
	}
	return scores
}

func TestScoresAreThoseOfBM25(t *testing.T) {
	for _, folded := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(3, 4))
		e := openEngine(t, Options{Store: newMemoryStore(t, 91), Tuning: small})
		create(t, e, Spec{Name: "docs", Dimension: 4, Texts: []string{"words"}, NonFilterable: []string{"words"}})
		docs := map[string]string{}
		for round := range 6 {
			var batch []Vector
			for i := range 60 {
				var words []string
				for range rng.IntN(30) {
					words = append(words, vocabulary[rng.IntN(len(vocabulary))*rng.IntN(len(vocabulary))/len(vocabulary)])
				}
				key := fmt.Sprintf("k%d-%d", round, i)
				docs[key] = strings.Join(words, " ")
				batch = append(batch, Vector{Key: key, Values: randomVector(rng, 4), Metadata: fmt.Appendf(nil, `{"words": %q}`, docs[key])})
			}
			must(t, e.Put(background, bucket, "docs", batch))
			if folded {
				must(t, e.Flush(background))
			}
		}
		for _, q := range []string{"loch", "tarn of the lake", "pond pond Mere", "absent"} {
			want := naiveBM25(docs, q)
			a := query(t, e, "docs", Request{Texts: []TextQuery{{"words", q}}, TopK: 1000})
			if len(a.Hits) != len(want) {
				t.Errorf("%q finds %d, want %d", q, len(a.Hits), len(want))
			}
			for i, hit := range a.Hits {
				if math.Abs(hit.Score-want[hit.Key]) > 1e-5*want[hit.Key] || i > 0 && hit.Score > a.Hits[i-1].Score {
					t.Fatalf("%q: hit %d, %s, has %v, want %v", q, i, hit.Key, hit.Score, want[hit.Key])
				}
			}
		}
	}
}

func TestRankingsAreFusedByRank(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 92), Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 2, Metric: distance.Euclidean, Texts: []string{"title", "body"}})
	must(t, e.Put(background, bucket, "docs", []Vector{
		{Key: "both", Values: []float32{2, 0}, Metadata: []byte(`{"title":"tarn","body":"a tarn"}`)},
		{Key: "near", Values: []float32{1, 0}, Metadata: []byte(`{"title":"x"}`)},
		{Key: "words", Values: []float32{9, 0}, Metadata: []byte(`{"title":"tarn tarn","body":["tarn","x"]}`)},
	}))
	a := query(t, e, "docs", Request{Values: []float32{0, 0}, Texts: []TextQuery{{"title", "tarn"}}, TopK: 3})
	if got := keysOf(a); !slices.Equal(got, []string{"words", "both", "near"}) {
		t.Errorf("fused: %v", got)
	}
	if want := 1.0/61 + 1.0/63; math.Abs(a.Hits[0].Score-want) > 1e-9 || a.Hits[0].Distance != 81 || a.Hits[1].Distance != 4 {
		t.Errorf("fused: %+v", a.Hits)
	}
	a = query(t, e, "docs", Request{Texts: []TextQuery{{"title", "tarn"}, {"body", "tarn"}}, TopK: 3})
	if len(a.Hits) != 2 {
		t.Errorf("two texts: %+v", a.Hits)
	}
}

func TestBadQuestionsAreRefusedByName(t *testing.T) {
	e := openEngine(t, Options{Store: newMemoryStore(t, 93), Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 2, Texts: []string{"title"}, NonFilterable: []string{"title"}})
	nan, far := float32(math.NaN()), float32(1)
	v := []float32{1, 0}
	cases := []struct {
		field string
		ask   func() error
	}{
		{"queryTexts[0].metadataKey", func() error {
			_, err := e.Query(background, bucket, "docs", Request{Texts: []TextQuery{{"body", "x"}}, TopK: 1})
			return err
		}},
		{"queryTexts[1].metadataKey", func() error {
			_, err := e.Query(background, bucket, "docs", Request{Texts: []TextQuery{{"title", "x"}, {"title", "y"}}, TopK: 1})
			return err
		}},
		{"queryTexts[0].text", func() error {
			_, err := e.Query(background, bucket, "docs", Request{Texts: []TextQuery{{"title", strings.Repeat("x", 8193)}}, TopK: 1})
			return err
		}},
		{"queryTexts", func() error {
			_, err := e.Query(background, bucket, "docs", Request{Texts: make([]TextQuery, 11), TopK: 1})
			return err
		}},
		{"within", func() error {
			_, err := e.Query(background, bucket, "docs", Request{Values: v, Within: &nan})
			return err
		}},
		{"within", func() error {
			_, err := e.Query(background, bucket, "docs", Request{Texts: []TextQuery{{"title", "x"}}, Within: &far})
			return err
		}},
		{"filter", func() error {
			_, err := e.DeleteWhere(background, bucket, "docs", DeleteRequest{Filter: []byte(`{}`)})
			return err
		}},
		{"max", func() error {
			_, err := e.DeleteWhere(background, bucket, "docs", DeleteRequest{Filter: []byte(`{"a":1}`), Max: -1})
			return err
		}},
		{"filter.title", func() error { _, err := e.Count(background, bucket, "docs", []byte(`{"title":"x"}`)); return err }},
		{"filter.a.$near", func() error {
			_, err := e.List(background, bucket, "docs", ListRequest{Filter: []byte(`{"a":{"$near":1}}`)})
			return err
		}},
		{"fields", func() error { _, _, err := e.Facets(background, bucket, "docs", FacetRequest{}); return err }},
		{"fields[0]", func() error {
			_, _, err := e.Facets(background, bucket, "docs", FacetRequest{Fields: []string{"title"}})
			return err
		}},
		{"max", func() error {
			_, _, err := e.Facets(background, bucket, "docs", FacetRequest{Fields: []string{"a"}, Max: 1001})
			return err
		}},
		{"add.textSearchConfigurations[0].metadataKey", func() error {
			_, err := e.ChangeTexts(background, bucket, "docs", []string{"title"}, nil)
			return err
		}},
		{"delete.textSearchConfigurations[0].metadataKey", func() error {
			_, err := e.ChangeTexts(background, bucket, "docs", nil, []string{"body"})
			return err
		}},
	}
	for i, c := range cases {
		var bad *InvalidError
		if err := c.ask(); !asInvalid(err, &bad) || bad.Field != c.field {
			t.Errorf("case %d: %v, want a complaint about %s", i, err, c.field)
		}
	}
}

func TestTextsOfOlderSegmentsAreWrittenByUpkeep(t *testing.T) {
	s := newMemoryStore(t, 94)
	e := openEngine(t, Options{Store: s, Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 4})
	rng := rand.New(rand.NewPCG(5, 5))
	var batch []Vector
	for i := range 300 {
		m, _ := json.Marshal(map[string]any{"words": fmt.Sprintf("word%d common", i)})
		batch = append(batch, Vector{Key: fmt.Sprintf("k%d", i), Values: randomVector(rng, 4), Metadata: m})
	}
	must(t, e.Put(background, bucket, "docs", batch))
	must(t, e.Flush(background))
	_, err := e.ChangeTexts(background, bucket, "docs", []string{"words"}, nil)
	must(t, err)
	for _, when := range []string{"at once", "after upkeep", "after a restart"} {
		a := query(t, e, "docs", Request{Texts: []TextQuery{{"words", "word7"}}, TopK: 10})
		if !slices.Equal(keysOf(a), []string{"k7"}) {
			t.Fatalf("%s: %v", when, keysOf(a))
		}
		must(t, e.Flush(background))
		if when == "after upkeep" {
			o, m, err := e.current(background, bucket, "docs")
			must(t, err)
			for _, f := range m.segments {
				if l, err := f.head(background, o); err != nil || !o.listsAll(l) {
					t.Errorf("segment %d lacks its text after upkeep: %v", f.seq, err)
				}
			}
			must(t, e.Close())
			e = openEngine(t, Options{Store: s, Tuning: small})
		}
	}
}

func asInvalid(err error, bad **InvalidError) bool { return errors.As(err, bad) }
