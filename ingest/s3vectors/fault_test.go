package s3vectors

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors"
)

func TestEveryErrorHasTheShapeThatClientsActOn(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		kind   string
	}{
		{objects.ErrReadOnly, 503, unavailable},
		{index.ErrReadOnly, 503, unavailable},
		{objects.ErrConflict, 503, unavailable}, // the races were lost to others: worth another try
		{objects.ErrFull, 503, unavailable},
		{objects.ErrUnavailable, 503, unavailable},
		{index.ErrUnknown, 503, unavailable},
		{vectors.ErrClosed, 503, unavailable},
		{context.DeadlineExceeded, 408, timeout},
		{vectors.ErrIndexExists, 409, conflict},
		{vectors.ErrCorrupt, 500, internal},
		{errors.New("drive /dev/secret is on fire"), 500, internal},
	} {
		f := faultOf(fmt.Errorf("do it: %w", c.err))
		if f.status != c.status || f.kind != c.kind {
			t.Errorf("%v is %d %s, want %d %s", c.err, f.status, f.kind, c.status, c.kind)
		}
		if f.status == http.StatusInternalServerError && strings.Contains(f.message, "do it") {
			t.Errorf("the caller is told what is inside: %q", f.message)
		}
	}
}

func TestAClosedEngineAsksForAnotherTry(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	if err := w.engine.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := w.client.Do(request{path: "/PutVectors", body: put(notes, "c", "[1,2,3]", "{}")}.build(t, w.server.URL))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, headers %v", res.StatusCode, res.Header)
	}
}

// TestABodyThatEndsEarlyIsTheSendersFault: the connection is half closed in the middle
// of the declared length.
func TestABodyThatEndsEarlyIsTheSendersFault(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	before := w.contents(t)
	r := request{path: "/PutVectors", body: put(notes, "c", "[1,2,3]", "{}")}.build(t, w.server.URL)
	conn, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "POST /PutVectors HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", r.URL.Host, r.ContentLength)
	for name := range r.Header {
		_, _ = fmt.Fprintf(conn, "%s: %s\r\n", name, r.Header.Get(name))
	}
	_, _ = fmt.Fprint(conn, "\r\n{")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadRequest || res.Header.Get("x-amzn-ErrorType") != validation {
		t.Errorf("status %d, type %q", res.StatusCode, res.Header.Get("x-amzn-ErrorType"))
	}
	if after := w.contents(t); after != before {
		t.Errorf("something was left behind:\n%s", after)
	}
}
