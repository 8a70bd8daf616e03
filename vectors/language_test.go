package vectors

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/lexicon"
)

// Words of a text in a language are found by their stems, in the tail and in segments, after a restart, and from
// the moment on at which the language was chosen.
func TestWordsAreFoundByTheirStems(t *testing.T) {
	s := newMemoryStore(t, 81)
	e := openEngine(t, Options{Store: s, Tuning: small})
	create(t, e, Spec{Name: "docs", Dimension: 2, Texts: []string{TextIn("title", "en"), "plain"}})
	put := func(from, n int) {
		var batch []Vector
		for i := from; i < from+n; i++ {
			text := []string{"the runner runs", "running dogs", "a dog", "nothing of that"}[i%4]
			batch = append(batch, Vector{Key: fmt.Sprintf("k%03d", i), Values: []float32{1, float32(i)}, Metadata: fmt.Appendf(nil, `{"title":%q,"plain":%q}`, text, text)})
		}
		must(t, e.Put(background, bucket, "docs", batch))
	}
	expect := func(when, field, words string, want int) {
		t.Helper()
		if a := query(t, e, "docs", Request{Texts: []TextQuery{{field, words}}, TopK: 1000}); len(a.Hits) != want {
			t.Errorf("%s: %s of %q finds %d, want %d", when, field, words, len(a.Hits), want)
		}
	}
	all := func(when string, n int) {
		t.Helper()
		expect(when, "title", "run", n/2)
		expect(when, "title", "Dogs", n/2)
		expect(when, "title", "the", 0)
		expect(when, "plain", "run", 0)
		expect(when, "plain", "dogs", n/4)
		expect(when, "plain", "the", n/4)
	}
	put(0, 40)
	all("in the tail", 40)
	must(t, e.Flush(background))
	put(40, 40)
	all("in segments and the tail", 80)
	must(t, e.Flush(background))
	must(t, e.Close())
	e = openEngine(t, Options{Store: s, Tuning: small})
	all("after a restart", 80)

	change := func(add, remove []string) {
		t.Helper()
		_, err := e.ChangeTexts(background, bucket, "docs", add, remove)
		must(t, err)
	}
	change(nil, []string{"title"})
	change([]string{TextIn("title", "de")}, nil)
	expect("in another language", "title", "running", 20)
	expect("in another language", "title", "the", 20)
	change([]string{TextIn("plain", "en")}, []string{"plain"})
	expect("now in a language", "plain", "run", 40)
	must(t, e.Flush(background))
	expect("now in a language, listed", "plain", "run", 40)

	var bad *objects.InvalidError
	for _, texts := range [][]string{{TextIn("a", "xx")}, {"a", TextIn("a", "en")}, {TextIn("", "en")}, {"a\x00"}} {
		if _, err := e.CreateIndex(background, bucket, Spec{Name: "more", Dimension: 2, Texts: texts}); !errors.As(err, &bad) {
			t.Errorf("%q: %v", texts, err)
		}
	}
	info, err := e.Index(background, bucket, "docs")
	must(t, err)
	key, language := TextOf(info.Texts[0])
	if key != "title" || language != "de" || !slices.Contains(lexicon.Languages(), language) {
		t.Errorf("texts %q", info.Texts)
	}
}
