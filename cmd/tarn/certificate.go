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
		pair    *tls.Certificate
		changed time.Time // the newer of the files' times
		looked  time.Time
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

// reload keeps the present pair when the new one is not whole yet.
func (c *certificate) reload() error {
	changed, err := newest(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	if c.mu.pair != nil && changed.Equal(c.mu.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load %s and %s: %w", c.certFile, c.keyFile, err)
	}
	c.mu.pair, c.mu.changed = &pair, changed
	return nil
}

func newest(names ...string) (time.Time, error) {
	var out time.Time
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return out, fmt.Errorf("look at %s: %w", name, err)
		}
		if info.ModTime().After(out) {
			out = info.ModTime()
		}
	}
	return out, nil
}
