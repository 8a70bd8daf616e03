package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/minio/minio-go/v7/pkg/signer"
	"pgregory.net/rapid"
)

func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(r) }

type hasher struct{ hash.Hash }

func (hasher) Close() {}

// streamed is a request and its wire body as minio-go signs them.
func streamed(t testing.TB, body []byte, trailer http.Header) (*http.Request, []byte) {
	t.Helper()
	r, _ := http.NewRequest("PUT", "http://tarn.example/b/k", bytes.NewReader(body))
	r.Trailer = trailer
	r = signer.StreamingSignV4(r, testKey, testSecret, "", "us-east-1", int64(len(body)), testNow, hasher{sha256.New()})
	wire, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, wire
}

// open verifies the request and reads the wire body through it.
func open(t testing.TB, r *http.Request, wire io.Reader) *Body {
	t.Helper()
	s, err := verifier("s3").Verify(received(r, ""))
	if err != nil {
		t.Fatal(err)
	}
	return s.Body(wire)
}

func TestSignedChunksOfAnotherClientDecode(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(64<<10-2, 64<<10+2), rapid.IntRange(1, 300_000)).Draw(rt, "size")
		body := bytes.Repeat([]byte("tarn, a lake; "), size/14+1)[:size]
		var trailer http.Header
		sum := base64.StdEncoding.EncodeToString([]byte("four"))
		if rapid.Bool().Draw(rt, "trailer") {
			trailer = http.Header{"X-Amz-Checksum-Crc32c": {sum}}
		}
		r, wire := streamed(t, body, trailer)
		source := io.Reader(bytes.NewReader(wire))
		switch rapid.IntRange(0, 2).Draw(rt, "pace") {
		case 1:
			source = iotest.HalfReader(source)
		case 2:
			source = iotest.DataErrReader(source)
		}
		b := open(t, r, source)
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, body) {
			rt.Fatalf("%d of %d bytes, %v", len(got), size, err)
		}
		if err := b.Finish(); err != nil {
			rt.Fatal(err)
		}
		if trailer != nil && b.Trailers().Get("X-Amz-Checksum-Crc32c") != sum {
			rt.Fatalf("trailers %v", b.Trailers())
		}
	})
}

// Flipping any bit of the wire, or cutting it anywhere, is an error.
func TestNoTamperedByteOfAChunkedBodyPasses(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 300)
	r, wire := streamed(t, body, http.Header{"X-Amz-Checksum-Crc32c": {"AAAAAA=="}})
	for i := range wire {
		bad := bytes.Clone(wire)
		bad[i] ^= 1
		if got, err := io.ReadAll(open(t, r, bytes.NewReader(bad))); err == nil {
			t.Fatalf("byte %d %q changed to %q: %d bytes read without error", i, wire[i], bad[i], len(got))
		}
		if _, err := io.ReadAll(open(t, r, bytes.NewReader(wire[:i]))); err == nil {
			t.Fatalf("cut at byte %d: no error", i)
		}
	}
}

func TestChunksCannotBeSwappedOrRepeated(t *testing.T) {
	body := append(bytes.Repeat([]byte("a"), 64<<10), bytes.Repeat([]byte("b"), 64<<10)...)
	r, wire := streamed(t, body, nil)
	chunk := len("10000;chunk-signature=") + 64 + 2 + 64<<10 + 2
	first, second, rest := wire[:chunk], wire[chunk:2*chunk], wire[2*chunk:]
	for name, bad := range map[string][]byte{
		"swapped":  bytes.Join([][]byte{second, first, rest}, nil),
		"repeated": bytes.Join([][]byte{first, first, rest}, nil),
	} {
		if _, err := io.ReadAll(open(t, r, bytes.NewReader(bad))); !errors.Is(err, ErrChunkSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func unsigned(body string, decoded int) *Body {
	s := &Signed{Payload: UnsignedTrailer, Bytes: int64(decoded)}
	return s.Body(strings.NewReader(body))
}

func TestUnsignedChunksWithTrailersDecode(t *testing.T) {
	b := unsigned("4\r\nWiki\r\n5\r\npedia\r\n0\r\nx-amz-checksum-crc32:AAAA\r\nX-Other: b \r\n\r\n", 9)
	got, err := io.ReadAll(b)
	if err != nil || string(got) != "Wikipedia" {
		t.Fatalf("%q, %v", got, err)
	}
	if v := b.Trailers().Get("X-Amz-Checksum-Crc32"); v != "AAAA" {
		t.Fatalf("trailer %q", v)
	}
	if v := b.Trailers().Get("X-Other"); v != "b" {
		t.Fatalf("trailer %q", v)
	}
}

func TestMalformedChunksAreRefused(t *testing.T) {
	cases := []struct {
		name, wire string
		decoded    int
		want       error
	}{
		{"empty", "", 0, ErrIncomplete},
		{"no number", "xyz\r\n", 3, ErrChunk},
		{"negative", "-1\r\n", 3, ErrChunk},
		{"huge", "ffffffffffffffff\r\n", 3, ErrChunk},
		{"long zeros", strings.Repeat("0", 40) + "3\r\nabc\r\n0\r\n\r\n", 3, ErrChunk},
		{"more than declared", "4\r\nabcd\r\n0\r\n\r\n", 3, ErrChunk},
		{"less than declared", "2\r\nab\r\n0\r\n\r\n", 3, ErrIncomplete},
		{"cut in chunk", "3\r\nab", 3, ErrIncomplete},
		{"cut before end", "3\r\nabc\r\n", 3, ErrIncomplete},
		{"cut in trailers", "3\r\nabc\r\n0\r\na:b\r\n", 3, ErrIncomplete},
		{"no line end", "3\r\nabcd\r\n0\r\n\r\n", 3, ErrChunk},
		{"signature where none is due", "3;chunk-signature=" + strings.Repeat("0", 64) + "\r\nabc\r\n0\r\n\r\n", 3, ErrChunk},
		{"long line", strings.Repeat("0", 2*lineBytesMax), 3, ErrChunk},
		{"odd trailer", "3\r\nabc\r\n0\r\nnonsense\r\n\r\n", 3, ErrTrailer},
		{"many trailers", "3\r\nabc\r\n0\r\n" + strings.Repeat("a:b\r\n", 50) + "\r\n", 3, ErrTrailer},
		{"bytes after the end", "3\r\nabc\r\n0\r\n\r\nmore", 3, ErrChunk},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, err := io.ReadAll(unsigned(c.wire, c.decoded)); !errors.Is(err, c.want) {
				t.Fatalf("%q, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestSignedTrailersNeedTheirSignature(t *testing.T) {
	r, wire := streamed(t, []byte("abc"), http.Header{"X-Amz-Checksum-Crc32c": {"AAAAAA=="}})
	at := bytes.Index(wire, []byte(trailerSignature))
	bare := append(bytes.Clone(wire[:at]), '\r', '\n')
	if _, err := io.ReadAll(open(t, r, bytes.NewReader(bare))); err == nil {
		t.Fatal("trailers without a signature passed")
	}
	wrong := bytes.Replace(wire, []byte("AAAAAA=="), []byte("AAAABB=="), 1)
	if _, err := io.ReadAll(open(t, r, bytes.NewReader(wrong))); !errors.Is(err, ErrChunkSignature) {
		t.Fatalf("another trailer: %v", err)
	}
}

func TestAHashedBodyIsProvedAtItsEnd(t *testing.T) {
	for _, c := range []struct {
		body string
		want error
	}{{"body", nil}, {"bodY", ErrPayload}, {"bod", ErrIncomplete}, {"body+", ErrIncomplete}} {
		r, _ := http.NewRequest("PUT", "https://tarn.example/b/k", nil)
		sign(t, r, "s3", hashOf("body"))
		in := received(r, "body")
		s, err := verifier("s3").Verify(in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s.Body(strings.NewReader(c.body))); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.body, err, c.want)
		}
		b := s.Body(strings.NewReader(c.body))
		io.ReadFull(b, make([]byte, 4)) // a reader that counts, and never sees the end
		if err := b.Finish(); !errors.Is(err, c.want) {
			t.Errorf("%q, counted: %v, want %v", c.body, err, c.want)
		}
	}
}

func TestChunkedBodiesNeedTheirDecodedLength(t *testing.T) {
	for value, want := range map[string]error{"": ErrNoLength, "-1": ErrLength, "ten": ErrLength} {
		r, _ := http.NewRequest("PUT", "https://tarn.example/b/k", nil)
		if value != "" {
			r.Header.Set("X-Amz-Decoded-Content-Length", value)
		}
		sign(t, r, "s3", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		if _, err := verifier("s3").Verify(received(r, "")); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", value, err, want)
		}
	}
}

// The decoder never returns other bytes than were put in, whatever the wire says.
func FuzzChunks(f *testing.F) {
	_, signedWire := streamed(f, []byte("some signed bytes"), http.Header{"X-Amz-Checksum-Crc32c": {"AAAAAA=="}})
	f.Add([]byte("4\r\nWiki\r\n0\r\na:b\r\n\r\n"), int64(4), uint8(UnsignedTrailer))
	f.Add(signedWire, int64(17), uint8(SignedTrailer))
	f.Add([]byte("0;chunk-signature=\r\n\r\n"), int64(0), uint8(SignedChunks))
	f.Fuzz(func(t *testing.T, wire []byte, decoded int64, kind uint8) {
		if decoded < 0 {
			return
		}
		s := &Signed{Payload: SignedChunks + Payload(kind%3), Bytes: decoded}
		got, err := io.ReadAll(s.Body(bytes.NewReader(wire)))
		if int64(len(got)) > decoded || len(got) > len(wire) {
			t.Fatalf("%d bytes out of %d, %d declared", len(got), len(wire), decoded)
		}
		if err == nil && int64(len(got)) != decoded {
			t.Fatalf("%d of %d bytes without an error", len(got), decoded)
		}
		if err == nil && s.Payload != UnsignedTrailer {
			t.Fatal("a chain with an unknown key was accepted")
		}
		if err == nil && s.Payload == UnsignedTrailer {
			again := fmt.Sprintf("%s\r\n%s\r\n0\r\n\r\n", strconv.FormatInt(decoded, 16), got)
			if decoded == 0 {
				again = "0\r\n\r\n"
			}
			if second, err := io.ReadAll(s.Body(strings.NewReader(again))); err != nil || !bytes.Equal(second, got) {
				t.Fatalf("encoded again: %v", err)
			}
		}
	})
}

// No header makes the parser panic or prove anything.
func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=K/20261122/r/s3/aws4_request, SignedHeaders=host, Signature="+hex.EncodeToString(make([]byte, 32)), "")
	f.Add("AWS4-HMAC-SHA256 Credential=,,,=", "X-Amz-Credential=a%2F20261122%2Fr%2Fs3%2Faws4_request")
	f.Add("", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K/20261122/r/s3/aws4_request&X-Amz-Date=20261122T102030Z&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("0", 64))
	f.Fuzz(func(t *testing.T, header, query string) {
		r, _ := http.NewRequest("GET", "http://tarn.example/b/k", nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", header)
		r.Header.Set("X-Amz-Date", "20261122T102030Z")
		r.Header.Set(payloadHeader, unsignedPayload)
		v := verifier("s3")
		v.secrets = secrets{"K": "unguessed"}
		if _, err := v.Verify(r); err == nil {
			t.Fatal("verified")
		}
		if s, ok := ScopeOf(r); ok && (s.AccessKey == "" || len(s.Date) != 8) {
			t.Fatalf("scope %+v", s)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r, _ := http.NewRequest("PUT", "http://tarn.example/bucket/some/key/of/usual/length.txt", nil)
	sign(b, r, "s3", hashOf("x"))
	in := received(r, "x")
	v := verifier("s3")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignedChunks(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1<<20)
	r, wire := streamed(b, body, nil)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, open(b, r, bytes.NewReader(wire))); err != nil {
			b.Fatal(err)
		}
	}
}
