package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/sigv4"
)

// secrets is sigv4.Secrets of one key.
type secrets struct{ credentials }

func (s secrets) Secret(_ context.Context, access string) (string, error) {
	if access != s.access {
		return "", sigv4.ErrUnknownKey
	}
	return s.secret, nil
}

func serve(t *testing.T, h http.Handler) *connection {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := dial(strings.TrimPrefix(s.URL, "http://"), benchKeys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestTheStoresVerifierTakesWhatTheClientSigns(t *testing.T) {
	v := sigv4.New(sigv4.Options{Secrets: secrets{benchKeys}, Clock: host.Real(nil).Clock, Service: "s3"})
	c := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := v.Verify(r); err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}))
	for _, query := range []string{"", "list-type=2&max-keys=1000&prefix=a%2F&start-after=a%2Fb"} {
		if _, err := c.do("GET", "/bench/a/1", query, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheBareServerKeepsWhatItWasGivenAndRefusesStrangers(t *testing.T) {
	c := serve(t, &bare{keys: benchKeys, objects: map[string]kept{}})
	for _, size := range []int{small, 300 << 10} { // with and without a write of its own
		b := newBodies(size, 9)
		if err := c.putObject("/bench/x", b, 1); err != nil {
			t.Fatal(err)
		}
		if err := c.getObject("/bench/x", b, 1); err != nil {
			t.Fatal(err)
		}
		if err := c.getObject("/bench/x", b, 2); err == nil {
			t.Fatal("other bytes pass for those that were put")
		}
	}
	c.signer.keys.secret, c.signer.scope, c.signer.until = "another", "", time.Time{}
	if a, err := c.do("GET", "/bench/x", "", nil); err != nil || a.status != http.StatusForbidden {
		t.Fatalf("a wrong signature: %v %v", a, err)
	}
}

func TestTheClientReadsChunkedAnswers(t *testing.T) {
	want := bytes.Repeat([]byte("<Contents><Key>k</Key></Contents>"), 10_000)
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for p := want; len(p) > 0; p = p[min(len(p), 7777):] {
			_, _ = w.Write(p[:min(len(p), 7777)])
			w.(http.Flusher).Flush()
		}
	}))
	for range 2 {
		if a, err := c.do("GET", "/bench", "", nil); err != nil || !bytes.Equal(a.body, want) {
			t.Fatalf("%v, %d bytes of %d", err, len(a.body), len(want))
		}
	}
}
