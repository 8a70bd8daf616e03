package lexicon

import (
	"unicode"
	"unicode/utf8"
)

// wordBytesMax: what is longer is cut.
const wordBytesMax = 64

// Words takes a text apart into words: runs of letters, marks and digits, in lower case; where a script
// puts no space between words, each of its characters is one. A word shares memory with the next.
func Words(text string, yield func(word []byte)) {
	var buf [wordBytesMax + utf8.UTFMax]byte
	word := buf[:0]
	end := func() {
		if len(word) > 0 {
			yield(word)
			word = word[:0]
		}
	}
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9'):
			word = append(word, byte(r))
		case r >= 'A' && r <= 'Z':
			word = append(word, byte(r)+'a'-'A')
		case r < utf8.RuneSelf || r == utf8.RuneError:
			end()
			continue
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			end()
			word = utf8.AppendRune(word, r)
			end()
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			word = utf8.AppendRune(word, unicode.ToLower(r))
		default:
			end()
			continue
		}
		if len(word) > wordBytesMax {
			word = word[:wordBytesMax]
		}
	}
	end()
}
