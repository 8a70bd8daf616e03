package s3

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestABodyThatStallsIsGivenUp(t *testing.T) {
	d := newDoor(t)
	d.handler.StallMax = 100 * time.Millisecond
	d.bucket("bucket")
	put := raw{method: "PUT", target: "/bucket/k"}
	if got := d.wire(t, d.text(put, 1000)+"the beginning", false); got.code != "RequestTimeout" || got.status != 400 {
		t.Errorf("%d %s", got.status, got.body)
	}
	if d.things() != 0 {
		t.Errorf("%d objects", d.things())
	}
}

func TestABodyThatComesSlowlyIsTaken(t *testing.T) {
	d := newDoor(t)
	d.handler.StallMax = 2 * time.Second
	d.bucket("bucket")
	conn, err := net.Dial("tcp", d.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	text := d.text(raw{method: "PUT", target: "/bucket/k"}, 6)
	for range 6 { // 3 s in all
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		text = "x"
		time.Sleep(500 * time.Millisecond)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != 200 || d.things() != 1 {
		t.Errorf("status %d, %d objects", a.StatusCode, d.things())
	}
}
