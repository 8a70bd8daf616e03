package lexicon_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/vectors/lexicon"
)

func wordsOf(name, text string) string {
	var words []string
	lexicon.NewAnalyzer(name).Words(text, func(word []byte) { words = append(words, string(word)) })
	return strings.Join(words, " ")
}

// TestStemsStayAsTheyAre: lists on disk hold them.
func TestStemsStayAsTheyAre(t *testing.T) {
	for _, c := range []struct{ language, text, want string }{
		{"", "The Running dogs", "the running dogs"},
		{"xx", "The Running dogs", "the running dogs"},
		{"da", "Hundene løber", "hund løb"},
		{"de", "Die Häuser der Städte, und das Haus", "haus stadt haus"},
		{"en", "The runners were running; generously, the dogs' agreements", "runner run generous dog agreement"},
		{"es", "los gatos corriendo", "gat corr"},
		{"fi", "talossa taloja", "talo talo"},
		{"fr", "les chevaux nationaux", "cheval national"},
		{"hu", "házakban", "ház"},
		{"it", "i gatti abbandonati", "gatt abbandon"},
		{"nl", "de lichamelijkheden", "licham"},
		{"no", "husene", "hus"},
		{"pt", "as casas correndo", "cas corr"},
		{"ro", "caselor", "cas"},
		{"ru", "книгами", "книг"},
		{"sv", "husen", "hus"},
		{"tr", "evlerde", "ev"},
		{"en", "12 x86 日本語", "12 x86 日 本 語"},
		{"en", "", ""},
	} {
		if got := wordsOf(lexicon.TextIn("f", c.language), c.text); got != c.want {
			t.Errorf("%q in %q: %q, want %q", c.text, c.language, got, c.want)
		}
	}
	if field, language := lexicon.FieldOf(lexicon.TextIn("a.b", "en")); field != "a.b" || language != "en" {
		t.Errorf("%q, %q", field, language)
	}
	if field, language := lexicon.FieldOf(lexicon.TextIn("a", "")); field != "a" || language != "" {
		t.Errorf("%q, %q", field, language)
	}
}

func FuzzAnalyzer(f *testing.F) {
	f.Add("The runners were running; die Häuser, книгами 日本語")
	f.Fuzz(func(t *testing.T, text string) {
		for _, language := range lexicon.Languages() {
			a := lexicon.NewAnalyzer(lexicon.TextIn("f", language))
			var first, second []string
			a.Words(text, func(word []byte) { first = append(first, string(word)) })
			a.Words(text, func(word []byte) { second = append(second, string(word)) })
			if !slices.Equal(first, second) || slices.Contains(first, "") {
				t.Errorf("%s: %q, then %q", language, first, second)
			}
		}
	})
}

func BenchmarkWords(b *testing.B) {
	text := strings.Repeat("The quick brown foxes were jumping over several lazily sleeping dogs of different owners, programs and libraries. ", 20)
	for _, language := range []string{"", "en", "de"} {
		b.Run("language-"+language, func(b *testing.B) {
			a, n := lexicon.NewAnalyzer(lexicon.TextIn("f", language)), 0
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				a.Words(text, func([]byte) { n++ })
			}
		})
	}
}
