package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerTimeout bounds one request: a server that hangs fails the run.
const answerTimeout = 2 * time.Minute

// connection speaks HTTP/1.1 to one server, one request at a time.
type connection struct {
	net    net.Conn
	in     *bufio.Reader
	signer *signer
	head   []byte
	answer answer
}

// answer is a response; its bytes are valid until the next request.
type answer struct {
	status int
	etag   []byte
	body   []byte
}

func dial(address string, keys credentials) (*connection, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &connection{net: c, in: bufio.NewReaderSize(c, 64<<10), signer: newSigner(keys, address)}, nil
}

func (c *connection) close() { _ = c.net.Close() }

// do sends a request and reads its answer, of whatever status.
func (c *connection) do(method, path, query string, body []byte) (*answer, error) {
	if err := c.net.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	if err := c.send(method, path, query, body); err != nil {
		return nil, fmt.Errorf("send %s %s: %w", method, path, err)
	}
	if err := c.receive(); err != nil {
		return nil, fmt.Errorf("answer of %s %s: %w", method, path, err)
	}
	return &c.answer, nil
}

func (c *connection) send(method, path, query string, body []byte) error {
	b := append(append(append(c.head[:0], method...), ' '), path...)
	if query != "" {
		b = append(append(b, '?'), query...)
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.signer.host...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = c.signer.sign(append(b, "\r\n"...), method, path, query)
	b = append(b, "\r\n"...)
	if len(body) <= 64<<10 {
		b, body = append(b, body...), nil
	}
	c.head = b
	if _, err := c.net.Write(b); err != nil || body == nil {
		return err
	}
	_, err := c.net.Write(body)
	return err
}

func (c *connection) receive() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("status line %q", line)
	}
	a := &c.answer
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return fmt.Errorf("status line %q", line)
	}
	length, chunked, err := c.headers()
	if err != nil {
		return err
	}
	a.body = a.body[:0]
	switch {
	case chunked:
		return c.chunks()
	case length > 0:
		return c.take(length)
	case length < 0 && a.status != 204:
		return errors.New("no length")
	}
	return nil
}

func (c *connection) headers() (length int, chunked bool, err error) {
	length, c.answer.etag = -1, c.answer.etag[:0]
	for {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return length, chunked, err
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, fmt.Errorf("content length %q", value)
			}
		case bytes.EqualFold(name, []byte("etag")):
			c.answer.etag = append(c.answer.etag, bytes.Trim(value, `"`)...)
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		}
	}
}

func (c *connection) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// take appends n bytes to the answer's body.
func (c *connection) take(n int) error {
	a := &c.answer
	at := len(a.body)
	if cap(a.body) < at+n {
		a.body = append(make([]byte, 0, max(2*cap(a.body), at+n)), a.body...)
	}
	a.body = a.body[:at+n]
	_, err := io.ReadFull(c.in, a.body[at:])
	return err
}

func (c *connection) chunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil {
			return fmt.Errorf("chunk of %q bytes", line)
		}
		if n > 0 {
			if err := c.take(int(n)); err != nil {
				return err
			}
		}
		if end, err := c.line(); err != nil || len(end) > 0 {
			return fmt.Errorf("end of a chunk: %q %w", end, err)
		}
		if n == 0 {
			return nil
		}
	}
}
