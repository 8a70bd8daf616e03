package s3

import (
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
	isoTime   = "2006-01-02T15:04:05.000Z"
	keptBytes = 512 << 10 // larger buffers are not pooled
)

// xmlWriter appends a document. Element names are ours; texts are escaped.
type xmlWriter struct{ b []byte }

var xmlWriters = sync.Pool{New: func() any { return new(xmlWriter) }}

func newXML() *xmlWriter {
	x := xmlWriters.Get().(*xmlWriter)
	x.b = append(x.b[:0], `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)
	return x
}

// release gives the buffer back; the document must not be used any more.
func (x *xmlWriter) release() {
	if cap(x.b) <= keptBytes {
		xmlWriters.Put(x)
	}
}

// root opens the outermost element, in S3's namespace.
func (x *xmlWriter) root(name string) {
	x.b = append(append(x.b, '<'), name...)
	x.b = append(x.b, ` xmlns="`+namespace+`">`...)
}

func (x *xmlWriter) open(name string) {
	x.b = append(append(append(x.b, '<'), name...), '>')
}

func (x *xmlWriter) close(name string) {
	x.b = append(append(append(x.b, '<', '/'), name...), '>')
}

func (x *xmlWriter) text(name, value string) {
	x.open(name)
	x.escape(value)
	x.close(name)
}

// some writes an element only where it has a value.
func (x *xmlWriter) some(name, value string) {
	if value != "" {
		x.text(name, value)
	}
}

func (x *xmlWriter) number(name string, n int64) {
	x.open(name)
	x.b = strconv.AppendInt(x.b, n, 10)
	x.close(name)
}

func (x *xmlWriter) flag(name string, v bool) { x.text(name, strconv.FormatBool(v)) }

func (x *xmlWriter) time(name string, t time.Time) {
	x.open(name)
	x.b = t.UTC().AppendFormat(x.b, isoTime)
	x.close(name)
}

// etag writes an ETag with its quotes.
func (x *xmlWriter) etag(value string) {
	x.b = append(x.b, "<ETag>&quot;"...)
	x.escape(value)
	x.b = append(x.b, "&quot;</ETag>"...)
}

func (x *xmlWriter) owner(name, id string) {
	x.open(name)
	x.text("ID", id)
	x.text("DisplayName", id)
	x.close(name)
}

// escape writes text. Characters that XML cannot hold become U+FFFD: a client
// that must see such keys asks for encoding-type=url.
func (x *xmlWriter) escape(s string) {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			x.b = appendASCII(x.b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError || r == 0xFFFE || r == 0xFFFF {
			r = utf8.RuneError
		}
		x.b = utf8.AppendRune(x.b, r)
		i += n
	}
}

func appendASCII(b []byte, c byte) []byte {
	switch c {
	case '<':
		return append(b, "&lt;"...)
	case '>':
		return append(b, "&gt;"...)
	case '&':
		return append(b, "&amp;"...)
	case '"':
		return append(b, "&quot;"...)
	case '\'':
		return append(b, "&#39;"...)
	case '\t':
		return append(b, "&#x9;"...)
	case '\n':
		return append(b, "&#xA;"...)
	case '\r':
		return append(b, "&#xD;"...)
	}
	if c < ' ' {
		return utf8.AppendRune(b, utf8.RuneError)
	}
	return append(b, c)
}

// urlEncoder encodes keys where encoding-type=url was asked for.
func urlEncoder(encode bool) func(string) string {
	if !encode {
		return func(s string) string { return s }
	}
	return func(s string) string {
		b := make([]byte, 0, len(s)+len(s)/4)
		for i := range len(s) {
			c := s[i]
			if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '*' || c == '/' {
				b = append(b, c)
			} else {
				b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
			}
		}
		return string(b)
	}
}
