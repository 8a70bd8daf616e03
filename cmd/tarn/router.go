package main

import (
	"net"
	"net/http"
	"strings"
)

// router sends each request of the one port to its door. The order of its
// questions is part of the contract; TestRouterAsksInOrder holds it.
type router struct {
	domain   string                  // virtual-hosted buckets are names under it, such as "localhost"
	services map[string]http.Handler // by registered RPC service name
	own      http.Handler            // everything under /_/
	aws      map[string]http.Handler // by the service in a SigV4 scope
	s3       http.Handler
	scope    func(r *http.Request) (service string, ok bool)
}

func (t *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.door(r).ServeHTTP(w, r)
}

func (t *router) door(r *http.Request) http.Handler {
	path := r.URL.Path
	if virtualHosted(r.Host, t.domain) {
		return t.s3
	}
	if path == "/_" || strings.HasPrefix(path, "/_/") {
		return t.own
	}
	if name, _, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/"); ok {
		if h := t.services[name]; h != nil {
			return h
		}
	}
	if service, ok := t.scope(r); ok {
		if h := t.aws[service]; h != nil {
			return h
		}
		return t.s3
	}
	if fromBrowser(r) {
		return http.RedirectHandler("/_/console/", http.StatusFound)
	}
	return t.s3
}

// virtualHosted reports whether host names a bucket under the domain.
func virtualHosted(host, domain string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	bucket, ok := strings.CutSuffix(host, "."+domain)
	return ok && bucket != ""
}

// fromBrowser recognises a person who typed the server's address.
func fromBrowser(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.RawQuery == "" &&
		r.Header.Get("Authorization") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}
