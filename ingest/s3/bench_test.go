package s3

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time of this process: of the server, and of a client that
// does nothing but write prepared bytes and read answers.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// overWire sends one prepared request again and again on each of some connections.
func overWire(b *testing.B, q raw) {
	d := newDoor(b)
	d.handler.Events = Events{}
	d.bucket("bucket")
	d.store.Put(context.Background(), putOf("bucket", "key/of/usual/length.txt", strings.Repeat("x", 4096)))
	q.after = func(r *http.Request) { r.Header.Del("Content-Length") }
	text := d.text(q, len(q.body))
	b.ReportAllocs()
	began := cpu(b)
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", d.server.Listener.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for pb.Next() {
			io.WriteString(conn, text)
			if err := skipAnswer(in); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/op")
}

func skipAnswer(in *bufio.Reader) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answered %q", line)
		}
		if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length = 0
			for _, c := range bytes.TrimSpace(text) {
				length = 10*length + int(c-'0')
			}
		}
		if len(line) == 2 {
			break
		}
	}
	_, err := in.Discard(length)
	return err
}

func BenchmarkWirePut4KiB(b *testing.B) {
	payload := strings.Repeat("x", 4096)
	overWire(b, raw{method: "PUT", target: "/bucket/key/of/usual/length.txt", body: payload})
}

func BenchmarkWirePut4KiBHashed(b *testing.B) {
	payload := strings.Repeat("x", 4096)
	overWire(b, raw{method: "PUT", target: "/bucket/key/of/usual/length.txt", body: payload, payload: hashOf(payload)})
}

func BenchmarkWireGet4KiB(b *testing.B) {
	overWire(b, raw{method: "GET", target: "/bucket/key/of/usual/length.txt"})
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// inDoor measures the door alone: no network, no parsing of HTTP.
func inDoor(b *testing.B, q raw) {
	d := newDoor(b)
	d.handler.Events = Events{}
	d.bucket("bucket")
	d.store.Put(context.Background(), putOf("bucket", "k", strings.Repeat("x", 4096)))
	signed := d.request(q)
	b.ReportAllocs()
	for b.Loop() {
		r := *signed
		r.URL.Opaque, r.URL.Path = "", "/bucket/k"
		r.Host, r.ProtoMajor = signed.URL.Host, 2
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(q.body)), int64(len(q.body))
		w := &discard{http.Header{}}
		d.handler.ServeHTTP(w, &r)
		if len(w.h["Content-Length"]) == 0 {
			b.Fatalf("%v", w.h)
		}
	}
}

func BenchmarkDoorPut4KiB(b *testing.B) {
	inDoor(b, raw{method: "PUT", target: "/bucket/k", body: strings.Repeat("x", 4096)})
}

func BenchmarkDoorGet4KiB(b *testing.B) { inDoor(b, raw{method: "GET", target: "/bucket/k"}) }

func BenchmarkListPage(b *testing.B) {
	d := newDoor(b)
	d.handler.Events = Events{}
	d.bucket("bucket")
	for i := range 1000 {
		d.store.Put(context.Background(), putOf("bucket", fmt.Sprintf("some/prefix/key-%06d", i), "x"))
	}
	c := &call{h: d.handler, bucket: "bucket", ctx: context.Background()}
	l, err := c.list("")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.version2(c).release()
	}
}
