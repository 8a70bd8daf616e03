package lexicon

import (
	"maps"
	"slices"
	"strings"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/danish"
	"github.com/blevesearch/snowballstem/dutch"
	"github.com/blevesearch/snowballstem/english"
	"github.com/blevesearch/snowballstem/finnish"
	"github.com/blevesearch/snowballstem/french"
	"github.com/blevesearch/snowballstem/german"
	"github.com/blevesearch/snowballstem/hungarian"
	"github.com/blevesearch/snowballstem/italian"
	"github.com/blevesearch/snowballstem/norwegian"
	"github.com/blevesearch/snowballstem/portuguese"
	"github.com/blevesearch/snowballstem/romanian"
	"github.com/blevesearch/snowballstem/russian"
	"github.com/blevesearch/snowballstem/spanish"
	"github.com/blevesearch/snowballstem/swedish"
	"github.com/blevesearch/snowballstem/turkish"
)

// A text is named by its field, or by field and language with a zero byte between. Its words are then
// stems: those of one word's forms are the same. What a language means never changes, for stems lie on disk: another
// release of the stemmers needs another name.
const languageMark = "\x00"

// TextIn names the text of a field in a language; "" is none: words as they stand.
func TextIn(field, language string) string {
	if language == "" {
		return field
	}
	return field + languageMark + language
}

// FieldOf is the field and the language of a text's name.
func FieldOf(name string) (field, language string) {
	field, language, _ = strings.Cut(name, languageMark)
	return field, language
}

// language is how words become stems, and which are so common that they tell nothing.
type language struct {
	stem func(*snowballstem.Env) bool
	stop string // words with spaces between
}

// The stop words are the commonest that carry grammar and no matter; languages that are written down here without
// any have them ranked low by BM25, as every common word.
var languages = map[string]language{
	"da": {danish.Stem, ""},
	"de": {german.Stem, "der die das den dem des ein eine einer einem einen eines und oder aber ist sind war in im an am auf mit von vom zu zum zur für als auch es sich nicht"},
	"en": {english.Stem, "a an the and or but of in on at to for from by with as is are was were be been it its this that these those not no"},
	"es": {spanish.Stem, "el la los las un una y o de del en a al con por para que es son se su no lo"},
	"fi": {finnish.Stem, ""},
	"fr": {french.Stem, "le la les l un une des et ou de du d en à au aux avec par pour que qui est sont se sa son ce ne pas"},
	"hu": {hungarian.Stem, ""},
	"it": {italian.Stem, "il lo la i gli le un uno una e o di del della in a al con per che è sono si non"},
	"nl": {dutch.Stem, "de het een en of van in op aan met voor te dat die is zijn niet"},
	"no": {norwegian.Stem, ""},
	"pt": {portuguese.Stem, "o a os as um uma e ou de do da dos das em no na com por para que é são se não"},
	"ro": {romanian.Stem, ""},
	"ru": {russian.Stem, ""},
	"sv": {swedish.Stem, ""},
	"tr": {turkish.Stem, ""},
}

// Languages are the codes of those that are known.
func Languages() []string { return slices.Sorted(maps.Keys(languages)) }

// Analyzer takes texts of one name apart. It belongs to one goroutine.
type Analyzer struct {
	language *language // nil: none
	stop     map[string]bool
	stems    map[string][]byte
}

// stemsMax bounds the stems that an Analyzer remembers.
const stemsMax = 1 << 14

// NewAnalyzer is for a text's name. A language that is not known, from a newer release, leaves words as they stand.
func NewAnalyzer(name string) *Analyzer {
	a := &Analyzer{}
	_, code := FieldOf(name)
	l, known := languages[code]
	if !known {
		return a
	}
	a.language, a.stop, a.stems = &l, map[string]bool{}, map[string][]byte{}
	for _, w := range strings.Fields(l.stop) {
		a.stop[w] = true
	}
	return a
}

// Words yields the words of a text, or their stems. A word is valid until the next, and not to be changed.
func (a *Analyzer) Words(text string, yield func(word []byte)) {
	if a.language == nil {
		Words(text, yield)
		return
	}
	Words(text, func(word []byte) {
		if stem := a.stem(word); len(stem) > 0 {
			yield(stem)
		}
	})
}

// stem is empty for a stop word. It must not be changed.
func (a *Analyzer) stem(word []byte) []byte {
	if stem, ok := a.stems[string(word)]; ok {
		return stem
	}
	w, stem := string(word), []byte(nil)
	if !a.stop[w] {
		env := snowballstem.NewEnv(w)
		a.language.stem(env)
		if stem = []byte(env.Current()); len(stem) == 0 {
			stem = []byte(w)
		}
	}
	if len(a.stems) < stemsMax {
		a.stems[w] = stem
	}
	return stem
}
