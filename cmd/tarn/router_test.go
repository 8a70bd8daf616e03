package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type named string

func (n named) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Door", string(n)) }

func TestRouterAsksInOrder(t *testing.T) {
	rt := &router{
		domain:   "tarn.example",
		services: map[string]http.Handler{"tarn.v1.VectorService": named("rpc"), "grpc.health.v1.Health": named("rpc")},
		own:      named("own"),
		aws:      map[string]http.Handler{"s3": named("s3"), "s3vectors": named("s3vectors")},
		s3:       named("s3"),
		scope: func(r *http.Request) (string, bool) {
			s, ok := strings.CutPrefix(r.Header.Get("Authorization"), "scope ")
			return s, ok
		},
	}
	const page = "text/html,application/xhtml+xml"
	cases := []struct {
		about, method, host, path, auth, accept, want string
	}{
		{"a virtual-hosted bucket", "GET", "docs.tarn.example:9000", "/a", "", "", "s3"},
		{"a virtual-hosted bucket with a key that looks like ours", "GET", "docs.tarn.example:9000", "/_/livez", "", "", "s3"},
		{"a virtual-hosted bucket with a key like a service", "PUT", "docs.tarn.example", "/tarn.v1.VectorService/Put", "", "", "s3"},
		{"the domain itself is no bucket", "GET", "localhost:9000", "/_/livez", "", "", "own"},
		{"ours", "GET", "127.0.0.1:9000", "/_/console/", "", "", "own"},
		{"ours though signed", "GET", "127.0.0.1:9000", "/_/metrics", "scope s3", "", "own"},
		{"a bucket is never ours", "GET", "127.0.0.1:9000", "/_x/key", "", "", "s3"},
		{"an RPC", "POST", "127.0.0.1:9000", "/tarn.v1.VectorService/Query", "", "", "rpc"},
		{"health", "POST", "127.0.0.1:9000", "/grpc.health.v1.Health/Check", "", "", "rpc"},
		{"an unregistered service is a bucket name", "POST", "127.0.0.1:9000", "/tarn.v1.Nothing/Query", "", "", "s3"},
		{"a service without a method", "POST", "127.0.0.1:9000", "/tarn.v1.VectorService", "", "", "s3"},
		{"S3 Vectors by scope", "POST", "127.0.0.1:9000", "/QueryVectors", "scope s3vectors", "", "s3vectors"},
		{"S3 by scope", "PUT", "127.0.0.1:9000", "/QueryVectors", "scope s3", "", "s3"},
		{"an unknown scope is S3's to refuse", "POST", "127.0.0.1:9000", "/", "scope ec2", "", "s3"},
		{"anonymous", "GET", "127.0.0.1:9000", "/docs/a", "", "", "s3"},
		{"a preflight", "OPTIONS", "127.0.0.1:9000", "/docs/a", "", "", "s3"},
		{"a POST form", "POST", "127.0.0.1:9000", "/docs", "", page, "s3"},
		{"a browser at the root", "GET", "127.0.0.1:9000", "/", "", page, ""},
		{"a program at the root", "GET", "127.0.0.1:9000", "/", "", "*/*", "s3"},
		{"a browser with a signature lists buckets", "GET", "127.0.0.1:9000", "/", "scope s3", page, "s3"},
	}
	for _, c := range cases {
		r := httptest.NewRequest(c.method, "http://"+c.host+c.path, nil)
		if c.auth != "" {
			r.Header.Set("Authorization", c.auth)
		}
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, r)
		if got := w.Header().Get("Door"); got != c.want {
			t.Errorf("%s: %s %s%s goes to %q, want %q", c.about, c.method, c.host, c.path, got, c.want)
		}
		if c.want == "" && w.Header().Get("Location") != "/_/console/" {
			t.Errorf("%s: sent to %q", c.about, w.Header().Get("Location"))
		}
	}
}
