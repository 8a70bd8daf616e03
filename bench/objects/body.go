package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// bodies are the few payloads of one size that objects have in turn: the client
// knows their MD5 beforehand, and can check what it gets back by comparing.
type bodies struct {
	of    [][]byte
	etags []string
}

const bodyKinds = 4

func newBodies(size int, seed uint64) *bodies {
	b := &bodies{}
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	for range bodyKinds {
		p := make([]byte, size)
		_, _ = r.Read(p)
		sum := md5.Sum(p)
		b.of, b.etags = append(b.of, p), append(b.etags, hex.EncodeToString(sum[:]))
	}
	return b
}

func (b *bodies) body(i int64) []byte { return b.of[i%bodyKinds] }
func (b *bodies) etag(i int64) string { return b.etags[i%bodyKinds] }
func (b *bodies) size() int           { return len(b.of[0]) }

// bucket of everything that the bench puts.
const bucket = "bench"

// path is the i-th object's under a prefix.
func path(prefix string, i int64) string {
	const digits = 10
	b := append([]byte("/"+bucket+"/"), prefix...)
	number := strconv.FormatInt(i, 10)
	for range digits - len(number) {
		b = append(b, '0')
	}
	return string(append(b, number...))
}

func (c *connection) putObject(path string, b *bodies, i int64) error {
	a, err := c.do("PUT", path, "", b.body(i))
	if err != nil {
		return err
	}
	if a.status != 200 || string(a.etag) != b.etag(i) {
		return fmt.Errorf("PUT %s: status %d, ETag %q, not %q: %s", path, a.status, a.etag, b.etag(i), a.body)
	}
	return nil
}

func (c *connection) getObject(path string, b *bodies, i int64) error {
	a, err := c.do("GET", path, "", nil)
	if err != nil {
		return err
	}
	if a.status != 200 || !bytes.Equal(a.body, b.body(i)) {
		return fmt.Errorf("GET %s: status %d, %d bytes, which are not those that were put", path, a.status, len(a.body))
	}
	return nil
}

func (c *connection) deleteObject(path string) error {
	a, err := c.do("DELETE", path, "", nil)
	if err == nil && a.status != 204 {
		err = fmt.Errorf("DELETE %s: status %d: %s", path, a.status, a.body)
	}
	return err
}

func (c *connection) makeBucket() error {
	a, err := c.do("PUT", "/"+bucket, "", nil)
	if err == nil && a.status != 200 {
		err = fmt.Errorf("make the bucket: status %d: %s", a.status, a.body)
	}
	return err
}

// listing is a client's walk through the keys under a prefix, again and again.
type listing struct {
	prefix string
	after  string // last key of the page before
	keys   int    // seen in this round through
	want   int
}

// page asks for the next thousand keys. At the end the number of keys must be right.
func (l *listing) page(c *connection) error {
	query := "list-type=2&max-keys=1000&prefix=" + l.prefix
	if l.after != "" {
		query += "&start-after=" + strings.ReplaceAll(l.after, "/", "%2F")
	}
	a, err := c.do("GET", "/"+bucket, query, nil)
	if err != nil {
		return err
	}
	n := bytes.Count(a.body, []byte("<Contents>"))
	if a.status != 200 || n == 0 {
		return fmt.Errorf("LIST: status %d, %d keys: %.200s", a.status, n, a.body)
	}
	l.keys += n
	if bytes.Contains(a.body, []byte("<IsTruncated>true<")) {
		l.after = lastKey(a.body)
		return nil
	}
	if l.keys != l.want {
		return fmt.Errorf("LIST: %d keys, not %d", l.keys, l.want)
	}
	l.after, l.keys = "", 0
	return nil
}

func lastKey(page []byte) string {
	at := bytes.LastIndex(page, []byte("<Key>"))
	if at < 0 {
		return ""
	}
	key, _, _ := bytes.Cut(page[at+len("<Key>"):], []byte("<"))
	return string(key)
}
