package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

// bare is the yardstick of what HTTP, SigV4 and MD5 cost by themselves: net/http
// with a map. It is pinned; it shares no code with the store.
type bare struct {
	keys credentials
	key  struct {
		sync.Mutex
		date string
		of   []byte
	}
	mu      sync.RWMutex
	objects map[string]kept
}

type kept struct {
	body []byte
	etag string
}

func serveBare() error {
	b := &bare{keys: credentials{os.Getenv("BARE_ACCESS_KEY"), os.Getenv("BARE_SECRET_KEY")}, objects: map[string]kept{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("ready http://%s\n", l.Addr())
	return http.Serve(l, b)
}

func (b *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !b.proved(r) {
		http.Error(w, "signature", http.StatusForbidden)
		return
	}
	switch r.Method {
	case http.MethodPut:
		b.put(w, r)
	case http.MethodGet:
		b.get(w, r)
	default:
		http.Error(w, "method", http.StatusMethodNotAllowed)
	}
}

func (b *bare) put(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, max(r.ContentLength, 0))
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sum := md5.Sum(body)
	etag := hex.EncodeToString(sum[:])
	b.mu.Lock()
	b.objects[r.URL.Path] = kept{body, etag}
	b.mu.Unlock()
	w.Header().Set("ETag", `"`+etag+`"`)
}

func (b *bare) get(w http.ResponseWriter, r *http.Request) {
	b.mu.RLock()
	o, ok := b.objects[r.URL.Path]
	b.mu.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"`+o.etag+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(o.body)
}

func (b *bare) signingKey(date string) []byte {
	b.key.Lock()
	defer b.key.Unlock()
	if b.key.date != date {
		b.key.date, b.key.of = date, signingKey(b.keys.secret, date)
	}
	return b.key.of
}

// proved checks the signature in the Authorization header.
func (b *bare) proved(r *http.Request) bool {
	parts, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=")
	fields := strings.Split(parts, ", ")
	if !ok || len(fields) != 3 {
		return false
	}
	access, scope, _ := strings.Cut(fields[0], "/")
	names := strings.TrimPrefix(fields[1], "SignedHeaders=")
	given, err := hex.DecodeString(strings.TrimPrefix(fields[2], "Signature="))
	if err != nil || access != b.keys.access || len(scope) < 8 {
		return false
	}
	canonical := []string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery}
	for name := range strings.SplitSeq(names, ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value = r.Host
		}
		canonical = append(canonical, name+":"+strings.TrimSpace(value))
	}
	canonical = append(canonical, "", names, r.Header.Get("X-Amz-Content-Sha256"))
	sum := sha256.Sum256([]byte(strings.Join(canonical, "\n")))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), scope, hex.EncodeToString(sum[:])}, "\n")
	return hmac.Equal(given, mac(b.signingKey(scope[:8]), text))
}
