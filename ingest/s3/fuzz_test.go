package s3

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/objects"
)

// Whatever document comes, it is decoded within its limits or refused as
// malformed: nothing else, and no panic.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{
		`<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>null</VersionId></Object></Delete>`,
		`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Part><PartNumber>1</PartNumber><ETag>"x"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>`,
		`<CreateBucketConfiguration><LocationConstraint>r</LocationConstraint></CreateBucketConfiguration>`,
		`<!DOCTYPE a [<!ENTITY b "c">]><Delete>&b;</Delete>`, `<Delete><Object><Key>&#x1F986;</Key></Object></Delete>`, `<a/><b/>`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d deleteDocument
		if err := decodeXML(b, &d); err == nil {
			if err := d.check(false); err == nil && (len(d.Object) == 0 || len(d.Object) > deletesMax) {
				t.Fatalf("%d objects passed", len(d.Object))
			}
		} else if faultOf(err).code != "MalformedXML" {
			t.Fatal(err)
		}
		var c completeDocument
		if decodeXML(b, &c) == nil {
			for _, e := range c.Part {
				if p, err := e.part(); err == nil && (p.Number < 1 || p.Number > objects.PartsMax || p.ETag == "") {
					t.Fatalf("%+v passed", p)
				}
			}
		}
		decodeXML(b, &createBucketConfiguration{})
	})
}

// Whatever stands in the request line, it finds an operation or a fault, and
// reads never find a writing operation.
func FuzzRouting(f *testing.F) {
	d := unservedDoor(f)
	for _, s := range []string{"/b/k?uploads", "/b?list-type=2&prefix=%20", "/b/k?partNumber=1&uploadId=x", "//", "/b/%2F%2f?acl", "/%zz", "/b?delete&x-id=1"} {
		f.Add("GET", s)
		f.Add("PUT", s)
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		c := &call{h: d.handler, r: &http.Request{Method: method, URL: u, Host: "localhost", Header: http.Header{}}}
		if err := c.locate(); err != nil {
			faultOf(err)
			return
		}
		op, err := d.handler.routes.find(c)
		if err != nil {
			if f := faultOf(err); f.status < 400 || f.status > 501 || f.code == "InternalError" {
				t.Fatal(err)
			}
			return
		}
		if op.method != method || op.level != c.level() {
			t.Fatalf("%s %s found %s", method, target, op.name)
		}
	})
}

func FuzzRanges(f *testing.F) {
	f.Add("bytes=0-1", int64(10))
	f.Add("bytes=-1", int64(0))
	f.Add("bytes=9999999999999999999-", int64(3))
	f.Fuzz(func(t *testing.T, header string, total int64) {
		if total < 0 {
			return
		}
		s, ok, err := parseRange(header, total)
		if err != nil {
			return
		}
		if s.off < 0 || s.n < 0 || s.off+s.n > total || ok && s.n == 0 {
			t.Fatalf("%q of %d: %+v", header, total, s)
		}
		copyRange(header)
	})
}

// What is written as XML is read back as it was, as far as XML can say it.
func FuzzXMLText(f *testing.F) {
	f.Add("a<b>&\"'\t\r\n")
	f.Add("\x00\x1f\x7f\ufffe\xff")
	f.Fuzz(func(t *testing.T, s string) {
		x := newXML()
		x.text("T", s)
		var got string
		if err := xml.Unmarshal(x.b, &got); err != nil {
			t.Fatalf("%q: %v", x.b, err)
		}
		want := strings.ToValidUTF8(s, "\ufffd")
		if utf8.ValidString(s) && !strings.ContainsFunc(s, unwritable) && got != want {
			t.Fatalf("%q became %q", s, got)
		}
		if plain, err := url.PathUnescape(urlEncoder(true)(s)); err != nil || plain != s {
			t.Fatalf("%q became %q", s, plain)
		}
	})
}

func unwritable(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func TestTokensComeBackAndNothingElseDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringN(1, 200, objects.KeyBytesMax).Draw(t, "key")
		if got, err := decodeToken(encodeToken(key)); err != nil || got != key {
			t.Fatalf("%q: %q, %v", key, got, err)
		}
		other := rapid.String().Draw(t, "token")
		if got, err := decodeToken(other); err == nil && encodeToken(got) != other {
			t.Fatalf("%q was taken for a token", other)
		}
	})
}

// Each row of the table can be reached, and says what it may be asked for.
func TestEveryOperationIsReachedByItsOwnRequest(t *testing.T) {
	d := unservedDoor(t)
	for _, op := range append(operations, absentOperations()...) {
		path := [...]string{"/", "/bucket", "/bucket/key"}[op.level]
		r := httptest.NewRequest(op.method, path+"?"+strings.ReplaceAll(op.keys, " ", "&"), nil)
		if op.header != "" {
			r.Header.Set(op.header, "a/b")
		}
		c := &call{h: d.handler, r: r}
		if err := c.locate(); err != nil {
			t.Fatal(err)
		}
		found, err := d.handler.routes.find(c)
		if err != nil || found.name != op.name {
			t.Errorf("%s: found %v, %v", op.name, found, err)
		}
		if op.action == "" && op.name != "DeleteObjects" {
			t.Errorf("%s asks for no action", op.name)
		}
	}
}
