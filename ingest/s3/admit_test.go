package s3

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/host"
)

// narrow is a door with room for one request, which the test holds.
func narrow(t *testing.T) (d *door, leave func()) {
	d = newDoor(t)
	d.bucket("bkt")
	d.handler.Gate = admission.New(admission.Options{Clock: host.Real(nil).Clock, LimitLeast: 1, LimitFirst: 1, LimitMost: 1, Wait: 20 * time.Millisecond})
	p, err := d.handler.Gate.Admit(context.Background(), admission.Ask{Class: admission.Writes})
	if err != nil {
		t.Fatal(err)
	}
	return d, p.Done
}

func TestOverloadIsRefusedBeforeTheBodyIsRead(t *testing.T) {
	d, leave := narrow(t)
	read := false
	q := raw{method: "PUT", target: "/bkt/k", body: "hello", header: map[string]string{"Expect": "100-continue"}}
	r := d.request(q)
	r.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) { read = true; return copy(p, "hello"), io.EOF }))
	client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 503 || between(string(text), "<Code>", "</Code>") != "SlowDown" || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	if read {
		t.Error("the body was asked for")
	}
	leave()
	if got := d.do(q); got.status != 200 {
		t.Errorf("with room: %d %s", got.status, got.body)
	}
	if s := d.handler.Gate.Status(); s.Open != 0 || s.Working != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestASlowBodyHoldsNoRoom(t *testing.T) {
	d, leave := narrow(t)
	leave()
	first, rest := make(chan struct{}), make(chan struct{})
	part := 0
	body := readerFunc(func(p []byte) (int, error) {
		part++
		switch part {
		case 1:
			return copy(p, "he"), nil
		case 2:
			close(first)
			<-rest
			return copy(p, "llo"), nil
		}
		return 0, io.EOF
	})
	slow := d.request(raw{method: "PUT", target: "/bkt/slow", body: "hello"})
	slow.Body = io.NopCloser(body)
	answered := make(chan reply)
	go func() { answered <- d.send(slow) }()
	<-first
	if got := d.do(raw{method: "PUT", target: "/bkt/quick", body: "x"}); got.status != 200 {
		t.Errorf("beside a slow body: %d %s", got.status, got.body)
	}
	close(rest)
	if got := <-answered; got.status != 200 {
		t.Errorf("the slow one: %d %s", got.status, got.body)
	}
}

// A connection on which a body came slowly serves its next request without a deadline.
func TestDeadlinesEndWithTheRequest(t *testing.T) {
	d := newDoor(t)
	d.bucket("bkt")
	d.handler.StallMax = 40 * time.Millisecond
	client := d.server.Client()
	for range 3 {
		resp, err := client.Do(d.request(raw{method: "PUT", target: "/bkt/k", body: "hello"}))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%d", resp.StatusCode)
		}
		time.Sleep(60 * time.Millisecond) // longer than the idle time
	}
}
