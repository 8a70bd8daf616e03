package embed

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/vectors"
)

func spec(url string, dimension int) vectors.EmbedderSpec {
	return vectors.EmbedderSpec{Kind: "openai", URL: url, Model: "m", Dimension: dimension}
}

// answering is an embedder that says the same to everybody.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

func base64Of(values ...float32) string {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestBothFormsAreReadInTheOrderOfTheTexts(t *testing.T) {
	want := [][]float32{{1, -0.5}, {2, 3.25}, {0, 1e-9}}
	for about, body := range map[string]string{
		"numbers":   `{"data":[{"index":2,"embedding":[0,1e-9]},{"index":0,"embedding":[1,-0.5]},{"index":1,"embedding":[2,3.25]}]}`,
		"base64":    fmt.Sprintf(`{"data":[{"index":1,"embedding":%q},{"index":2,"embedding":%q},{"index":0,"embedding":%q}]}`, base64Of(2, 3.25), base64Of(0, 1e-9), base64Of(1, -0.5)),
		"both":      fmt.Sprintf(`{"object":"list","data":[{"index":0,"embedding":%q},{"index":1,"embedding":[2,3.25]},{"index":2,"embedding":[0,1e-9]}],"usage":{"total_tokens":1}}`, base64Of(1, -0.5)),
		"no errors": `{"error":null,"data":[{"index":0,"embedding":[1,-0.5]},{"index":1,"embedding":[2,3.25]},{"index":2,"embedding":[0,1e-9]}]}`,
	} {
		got, err := New(http.DefaultClient, "").Embed(t.Context(), spec(answering(t, 200, body), 2), []string{"a", "b", "c"})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", about, got, err)
		}
	}
}

func TestRequestIsOpenAIs(t *testing.T) {
	for _, key := range []string{"", "sesame"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var got map[string]any
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			want := map[string]any{"model": "m", "input": []any{"one", "two <&> ü"}, "encoding_format": "base64"}
			if !reflect.DeepEqual(got, want) || r.Method != "POST" || r.URL.Path != "/v1/embeddings" || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s %v", r.Method, r.URL.Path, got)
			}
			if auth, sent := r.Header["Authorization"]; sent != (key != "") || (sent && auth[0] != "Bearer sesame") {
				t.Errorf("key %q: Authorization %v", key, auth)
			}
			_, _ = io.WriteString(w, `{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[2]}]}`)
		}))
		for _, slash := range []string{"", "/"} {
			if _, err := New(s.Client(), key).Embed(t.Context(), spec(s.URL+"/v1"+slash, 1), []string{"one", "two <&> ü"}); err != nil {
				t.Error(err)
			}
		}
		s.Close()
	}
}

func TestUnusableAnswersAreNamed(t *testing.T) {
	one := func(embedding string) string { return `{"data":[{"index":0,"embedding":` + embedding + `}]}` }
	cases := []struct {
		about  string
		status int
		body   string
		want   string
	}{
		{"too few", 200, `{"data":[]}`, "0 vectors for 1 texts"},
		{"too many", 200, `{"data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1,2]}]}`, "2 vectors for 1 texts"},
		{"an index beyond", 200, `{"data":[{"index":1,"embedding":[1,2]}]}`, "wrong or repeated index 1"},
		{"a negative index", 200, `{"data":[{"index":-1,"embedding":[1,2]}]}`, "wrong or repeated index -1"},
		{"wrong dimension", 200, one(`[1,2,3]`), "dimension 3, the index has 2"},
		{"wrong dimension in base64", 200, one(`"` + base64Of(1) + `"`), "dimension 1, the index has 2"},
		{"no embedding", 200, `{"data":[{"index":0}]}`, "decode a vector"},
		{"null", 200, one(`null`), "null"},
		{"null within", 200, one(`[1,null]`), "null"},
		{"text within", 200, one(`[1,"2"]`), "decode a vector"},
		{"too great for float32", 200, one(`[1,1e39]`), "decode a vector"},
		{"NaN in base64", 200, one(`"` + base64Of(1, float32(math.NaN())) + `"`), "not finite"},
		{"infinite in base64", 200, one(`"` + base64Of(1, float32(math.Inf(-1))) + `"`), "not finite"},
		{"NaN as a number", 200, one(`[1,NaN]`), "decode the answer"},
		{"no base64", 200, one(`"!!!!"`), "base64"},
		{"base64 of five bytes", 200, one(`"AAAAAAA="`), "base64"},
		{"no JSON", 200, `<html>`, "decode the answer"},
		{"nothing", 200, ``, "decode the answer"},
		{"cut off", 200, `{"data":[{"index":0,"embedding":[1,`, "decode the answer"},
		{"an error with status 200", 200, `{"error":{"message":"still loading"}}`, "still loading"},
		{"400 with OpenAI's error", 400, `{"error":{"message":"the text is too long","type":"invalid_request_error","code":null}}`, "answered 400: the text is too long"},
		{"401", 401, `{"error":{"message":"bad key"}}`, "answered 401: bad key"},
		{"404 with a flat error", 404, `{"error":"model m not found"}`, "answered 404: model m not found"},
		{"422 with a detail", 422, `{"detail":"input: too short"}`, "answered 422: input: too short"},
		{"429 with a message", 429, `{"object":"error","message":"slow down"}`, "answered 429: slow down"},
		{"500 without", 500, `oops`, "answered 500: Internal Server Error"},
		{"503 without a body", 503, ``, "answered 503: Service Unavailable"},
		{"204", 204, ``, "answered 204: No Content"},
		{"500 that fills a disk", 500, `{"error":{"message":"` + strings.Repeat("ü", 1000) + `"}}`, "ü…"},
		{"oversized", 200, one(`[1,2]`) + strings.Repeat(" ", 1<<20+2*numberBytesMax), "passes 1048704 bytes"},
		{"500, oversized", 500, strings.Repeat("x", 2<<20), "answered 500: Internal Server Error"},
	}
	for _, c := range cases {
		got, err := New(http.DefaultClient, "").Embed(t.Context(), spec(answering(t, c.status, c.body), 2), []string{"text"})
		if got != nil || !errors.Is(err, ErrEmbedder) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q", c.about, got, err, c.want)
		} else if len(err.Error()) > 2*reasonBytesMax {
			t.Errorf("%s: an error of %d bytes", c.about, len(err.Error()))
		}
	}
}

func TestRepeatedIndexIsRefused(t *testing.T) {
	url := answering(t, 200, `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}`)
	if _, err := New(http.DefaultClient, "").Embed(t.Context(), spec(url, 1), []string{"a", "b"}); !errors.Is(err, ErrEmbedder) || !strings.Contains(err.Error(), "repeated index 0") {
		t.Errorf("%v", err)
	}
}

func TestLimitsHoldBeforeAnythingIsSent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	defer s.Close()
	other := spec(s.URL, 1)
	other.Kind = "oracle"
	cases := []struct {
		spec  vectors.EmbedderSpec
		texts []string
		want  string
	}{
		{other, []string{"a"}, `kind "oracle" is not known`},
		{spec(s.URL, 1), nil, "0 texts"},
		{spec(s.URL, 1), make([]string, TextsMax+1), "2049 texts"},
		{spec(s.URL, 1), []string{"", strings.Repeat("a", TextBytesMax+1)}, "text 1 has 1048577 bytes"},
		{spec("no url at all\x7f", 1), []string{"a"}, "invalid control character"},
		{spec("ftp://127.0.0.1/v1", 1), []string{"a"}, "unsupported protocol"},
	}
	for _, c := range cases {
		if _, err := New(s.Client(), "").Embed(t.Context(), c.spec, c.texts); !errors.Is(err, ErrEmbedder) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q: %v", c.want, err)
		}
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 2)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body/embeddings" {
			w.WriteHeader(http.StatusOK)
			_, _ = io.WriteString(w, `{"data":[`)
			_ = http.NewResponseController(w).Flush()
		}
		asked <- struct{}{}
		<-release
	}))
	defer s.Close()
	defer close(release)
	for _, path := range []string{"/head", "/body"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		_, err := New(s.Client(), "").Embed(ctx, spec(s.URL+path, 1), []string{"a"})
		if !errors.Is(err, ErrEmbedder) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestErrorsKeepThePasswordOfTheURL(t *testing.T) {
	url := strings.Replace(answering(t, 500, ""), "http://", "http://user:sesame@", 1)
	if _, err := New(http.DefaultClient, "").Embed(t.Context(), spec(url, 1), []string{"a"}); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("%v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"data":[{"index":0,"embedding":[1,2]}]}`, `{"data":[{"index":0,"embedding":"AACAPwAAAEA="}]}`, `{"data":[{"index":-5}]}`, `{"error":"x"}`, `[]`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = reason(raw)
		var answer openaiAnswer
		if json.Unmarshal(raw, &answer) != nil {
			return
		}
		out, err := answer.vectors(1, 2)
		if err != nil {
			if !errors.Is(err, ErrEmbedder) {
				t.Errorf("%v", err)
			}
			return
		}
		if len(out) != 1 || len(out[0]) != 2 {
			t.Errorf("%v", out)
		}
	})
}
