package s3

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/objects"
)

// answer is the ResponseWriter, counting.
type answer struct {
	http.ResponseWriter
	status     int
	bytes      int64
	connection *admission.Connection // nil until the request is admitted
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.put(p)
	a.bytes += int64(n)
	return n, err
}

func (a *answer) put(p []byte) (int, error) {
	if a.connection == nil {
		return a.ResponseWriter.Write(p)
	}
	return a.connection.Send(a.ResponseWriter, p)
}

func (a *answer) end() {
	if a.connection != nil {
		a.connection.End()
	}
}

// Unwrap serves http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// empty answers without a body.
func (c *call) empty(status int) error {
	if status == http.StatusOK {
		c.w.Header()["Content-Length"] = []string{"0"}
	}
	c.w.WriteHeader(status)
	return nil
}

// document answers with XML.
func (c *call) document(x *xmlWriter) error {
	c.xml(http.StatusOK, x)
	return nil
}

func (c *call) xml(status int, x *xmlWriter) {
	header := c.w.Header()
	header["Content-Type"] = []string{"application/xml"}
	header["Content-Length"] = []string{strconv.Itoa(len(x.b))}
	c.w.WriteHeader(status)
	c.w.Write(x.b) // the client may be gone, and cannot be told
	x.release()
}

// refuse answers with an error. Once an answer has begun it can only be cut
// short, so that the client sees that it is not whole.
func (c *call) refuse(err error) {
	f := faultOf(err)
	c.code = f.code
	if f.status >= 500 {
		c.err = err
	}
	if c.w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	for name, value := range f.header {
		c.w.Header().Set(name, value)
	}
	if f.status == http.StatusNotModified {
		c.w.WriteHeader(f.status)
		return
	}
	c.dropObjectHeaders()
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(f.status)
		return
	}
	c.xml(f.status, c.errorDocument(f))
}

// dropObjectHeaders takes back what was said of the object before the error.
func (c *call) dropObjectHeaders() {
	header := c.w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires"} {
		header.Del(name)
	}
}

func (c *call) errorDocument(f *fault) *xmlWriter {
	x := newXML()
	x.open("Error")
	x.text("Code", f.code)
	x.text("Message", f.message)
	for _, d := range f.details {
		x.text(d.name, d.value)
	}
	if c.bucket != "" {
		x.text("BucketName", clip(c.bucket))
	}
	if c.key != "" {
		x.text("Key", c.key)
	}
	x.text("Resource", c.r.URL.Path)
	x.text("RequestId", c.id)
	x.text("HostId", c.h.ids.long(c.id))
	x.close("Error")
	return x
}

const pieceBytes = 128 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, pieceBytes); return &b }}

// stream answers with n bytes of content from off on. The first piece is read
// before the status is sent, so that what cannot be read is an error in its own
// right; later failures cut the answer short.
func (c *call) stream(content *objects.ObjectReader, status int, off, n int64) error {
	body := content.NewReader(c.ctx, off, n)
	defer body.Close()
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	first := (*piece)[:min(n, pieceBytes)]
	if _, err := io.ReadFull(body, first); err != nil {
		return readFailed(err)
	}
	c.w.Header()["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	c.w.WriteHeader(status)
	if _, err := c.w.Write(first); err != nil {
		return nil // the client is gone
	}
	for left := n - int64(len(first)); left > 0; {
		next := (*piece)[:min(left, pieceBytes)]
		if _, err := io.ReadFull(body, next); err != nil {
			return readFailed(err)
		}
		if _, err := c.w.Write(next); err != nil {
			return nil
		}
		left -= int64(len(next))
	}
	return nil
}

// readFailed keeps an early end of stored bytes from looking like the client's fault.
func readFailed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("s3: the store's bytes ended early")
	}
	return err
}
