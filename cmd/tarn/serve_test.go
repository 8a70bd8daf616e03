package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

// testDeadline is when a test gives up; no test is near it when all is well.
const testDeadline = time.Minute

// TestServeEndsWithinItsGrace: a request that never ends does not hold the server up, and
// what was acknowledged before is there at the next start.
func TestServeEndsWithinItsGrace(t *testing.T) {
	s := smallStore(t)
	s.ShutdownGrace = 100 * time.Millisecond
	server := startServer(t, s)
	s3, err := server.client.s3()
	if err != nil {
		t.Fatal(err)
	}
	if err := s3.MakeBucket(t.Context(), "docs", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s3.PutObject(t.Context(), "docs", "kept", strings.NewReader("bytes"), 5, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	body, stall := io.Pipe()
	slow := make(chan error, 1)
	go func() {
		_, err := s3.PutObject(t.Context(), "docs", "cut off", body, 1<<20, minio.PutObjectOptions{DisableMultipart: true})
		slow <- err
	}()
	if _, err := stall.Write(make([]byte, 512<<10)); err != nil { // more than fits in the client: it is on its way
		t.Fatal(err)
	}
	server.stop()
	await(t, "serve", server.done)
	_ = stall.CloseWithError(io.ErrUnexpectedEOF)
	select {
	case err := <-slow:
		if err == nil {
			t.Error("the request that was cut off was acknowledged")
		}
	case <-time.After(testDeadline):
		t.Fatal("the slow request never ended")
	}

	server = startServer(t, s)
	if s3, err = server.client.s3(); err != nil {
		t.Fatal(err)
	}
	if info, err := s3.StatObject(t.Context(), "docs", "kept", minio.StatObjectOptions{}); err != nil || info.Size != 5 {
		t.Errorf("after a new start: %v, %v", info, err)
	}
	if _, err := s3.StatObject(t.Context(), "docs", "cut off", minio.StatObjectOptions{}); statusOf(err) != statusNotFound {
		t.Errorf("what was cut off: %v", err)
	}
	if res, err := http.Get(server.client.endpoint + "/_/readyz"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("readyz: %v, %v", res, err)
	}
	server.stop()
	await(t, "serve", server.done)
}

type running struct {
	client *client
	stop   context.CancelFunc
	done   <-chan error
}

// startServer serves in this process until the test stops it, and waits until it is ready.
func startServer(t *testing.T, s settings) running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, in, s)
		_ = in.Close()
	}()
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "ready" {
				ready <- fields[1]
			}
		}
	}()
	select {
	case at := <-ready:
		return running{client: &client{endpoint: at, credentials: credentialsFile(s.Data)}, stop: stop, done: done}
	case err := <-done:
		t.Fatalf("serve ended: %v", err)
	case <-time.After(testDeadline):
		t.Fatal("the server never became ready")
	}
	panic("unreachable")
}

func await(t *testing.T, what string, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case <-time.After(testDeadline):
		t.Fatalf("%s did not end", what)
	}
}
