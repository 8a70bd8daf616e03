package s3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// errStalled: the other side of the connection did nothing for StallMax.
var errStalled = errors.New("s3: the connection stalled")

// patience gives the other side time anew whenever it did something: a body may
// take as long as it takes, but one that stalls is given up, with all that it holds.
type patience struct {
	c     *call
	set   func(time.Time) error // a deadline of the connection
	until time.Time
}

func (p *patience) renew() {
	now := p.c.h.Host.Clock.Now()
	if p.until.Sub(now) >= p.c.h.StallMax/2 {
		return // a deadline costs a timer
	}
	p.until = now.Add(p.c.h.StallMax)
	_ = p.set(p.until) // what cannot have one goes without
}

func (p *patience) end() {
	if !p.until.IsZero() {
		_ = p.set(time.Time{})
	}
}

// patientBody is the request's body; each wait for more of it is bounded.
type patientBody struct {
	body io.Reader
	patience
}

func (c *call) patientBody() io.Reader {
	control := http.NewResponseController(c.w.ResponseWriter)
	return &patientBody{c.r.Body, patience{c: c, set: control.SetReadDeadline}}
}

func (b *patientBody) Read(p []byte) (int, error) {
	b.renew()
	n, err := b.body.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: nothing came for %v", errStalled, b.c.h.StallMax)
	}
	return n, err
}

// patientWriter is the way back: each wait for the client to take more is bounded.
func (c *call) patientWriter() *patience {
	control := http.NewResponseController(c.w.ResponseWriter)
	return &patience{c: c, set: control.SetWriteDeadline}
}
