package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate serves a key pair from files and takes a changed pair up live: the
// files' times are looked at no more than once a second.
type certificate struct {
	certFile, keyFile string
	now               func() time.Time

	mu struct {
		sync.Mutex
		pair   *tls.Certificate
		seen   [2]stamp // of the files that pair came from
		looked time.Time
	}
}

func openCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, now: time.Now}
	if _, err := c.get(nil); err != nil {
		return nil, &settingError{"tls-cert", err.Error()}
	}
	return c, nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.mu.pair == nil || now.Sub(c.mu.looked) >= time.Second {
		c.mu.looked = now
		if err := c.reload(); err != nil && c.mu.pair == nil {
			return nil, err
		}
	}
	return c.mu.pair, nil
}

// stamp tells one writing of a file from another.
type stamp struct {
	changed time.Time
	bytes   int64
}

// reload keeps the present pair when the new one is not whole yet. The stamps are taken
// before the files are read: a write in between is seen at the next look.
func (c *certificate) reload() error {
	var seen [2]stamp
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		seen[i] = stamp{info.ModTime(), info.Size()}
	}
	if c.mu.pair != nil && seen == c.mu.seen {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load %s and %s: %w", c.certFile, c.keyFile, err)
	}
	c.mu.pair, c.mu.seen = &pair, seen
	return nil
}
