package main

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	manyClients = 256
	slowEvery   = 8 // one client in so many is slow
	slowPause   = 100 * time.Millisecond
	slowBytes   = 16 << 10 // sent between two pauses
	sampleEvery = 100 * time.Millisecond
)

// runClients tells how much memory the server takes for very many large puts at
// once, slow ones among them, which give up when the others are done.
func runClients(out io.Writer, o options) (err error) {
	s, err := o.startStore("clients")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	m := &many{t: s.target, body: newRepeated(int64(o.large) << 20), done: make(chan struct{})}
	if err := m.run(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "| %d clients of %d MiB PUTs, %d of them slow | |\n|---|---|\n| most RSS of the server | %d MiB |\n| throughput of the others | %.0f MB/s |\n| 503 SlowDown answers, tried again | %d |\n\n",
		manyClients, o.large, manyClients/slowEvery, m.rss.Load()>>20, float64(m.put.Load())/m.took.Seconds()/1e6, m.refused.Load())
	return err
}

// repeated is a large body without its memory.
type repeated struct {
	block []byte
	bytes int64
	etag  string
}

func newRepeated(bytes int64) *repeated {
	r := &repeated{block: newBodies(1<<20, 7).of[0], bytes: bytes}
	h := md5.New()
	for range bytes / int64(len(r.block)) {
		h.Write(r.block)
	}
	r.etag = hex.EncodeToString(h.Sum(nil))
	return r
}

type many struct {
	t                 *target
	body              *repeated
	rss, put, refused atomic.Int64
	took              time.Duration
	done              chan struct{} // the fast ones have all been answered
}

func (m *many) run() error {
	var fast, all sync.WaitGroup
	errs := make([]error, manyClients)
	began := time.Now()
	all.Go(m.sample)
	for i := range manyClients {
		if i%slowEvery == 0 {
			all.Go(func() { errs[i] = m.slow(i) })
			continue
		}
		fast.Go(func() { errs[i] = m.fast(i) })
	}
	fast.Wait()
	m.took = time.Since(began)
	close(m.done)
	all.Wait()
	return errors.Join(errs...)
}

func (m *many) sample() {
	for {
		if u, err := m.t.usage(); err == nil {
			m.rss.Store(max(m.rss.Load(), u.rss))
		}
		select {
		case <-m.done:
			return
		case <-time.After(sampleEvery):
		}
	}
}

// fast puts one object, again where the server asks to slow down.
func (m *many) fast(i int) error {
	for {
		c, err := m.t.connect()
		if err != nil {
			return err
		}
		status, err := c.putRepeated(path("many/", int64(i)), m.body)
		c.close()
		switch {
		case err != nil:
			return err
		case status == 200:
			m.put.Add(m.body.bytes)
			return nil
		case status != 503:
			return fmt.Errorf("PUT of client %d: status %d", i, status)
		}
		m.refused.Add(1)
		time.Sleep(slowPause)
	}
}

// slow begins a put and sends a little at a time.
func (m *many) slow(i int) error {
	c, err := m.t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.begin("PUT", path("many/", int64(i)), m.body.bytes); err != nil {
		return err
	}
	for {
		if _, err := c.net.Write(m.body.block[:slowBytes]); err != nil {
			return nil // the server may well give up first
		}
		select {
		case <-m.done:
			return nil
		case <-time.After(slowPause):
		}
	}
}

// begin sends the head of a request whose body follows.
func (c *connection) begin(method, path string, length int64) error {
	b := append(append(append(c.head[:0], method...), ' '), path...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.signer.host...)
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), length, 10)
	b = c.signer.sign(append(b, "\r\n"...), method, path, "")
	c.head = append(b, "\r\n"...)
	_, err := c.net.Write(c.head)
	return err
}

func (c *connection) putRepeated(path string, r *repeated) (status int, err error) {
	if err := c.begin("PUT", path, r.bytes); err != nil {
		return 0, err
	}
	for sent := int64(0); sent < r.bytes; sent += int64(len(r.block)) {
		if _, err := c.net.Write(r.block); err != nil {
			break // an early answer tells why
		}
	}
	if err := c.receive(); err != nil {
		return 0, fmt.Errorf("PUT %s: %w", path, err)
	}
	if c.answer.status == 200 && string(c.answer.etag) != r.etag {
		return 0, fmt.Errorf("PUT %s: ETag %q, not %q", path, c.answer.etag, r.etag)
	}
	return c.answer.status, nil
}
