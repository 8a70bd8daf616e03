package admission

import (
	"io"
	"net/http"
	"time"

	"github.com/tarnlake/tarn/host"
)

// Connection is a request's two-way connection to its client. While bytes are
// awaited or taken the permit is parked, and a client that neither sends nor takes
// anything for the idle time is given up: reads and writes then fail with
// os.ErrDeadlineExceeded. The zero value sets no deadlines.
type Connection struct {
	permit      *Permit
	deadlines   *http.ResponseController
	clock       host.Clock
	idle        time.Duration
	read, write time.Time // the deadlines that are set
}

// Over is the connection on which w answers. End must be called.
func Over(w http.ResponseWriter, clock host.Clock, idle time.Duration, p *Permit) *Connection {
	return &Connection{permit: p, deadlines: http.NewResponseController(w), clock: clock, idle: idle}
}

// Receive reads from the client once.
func (c *Connection) Receive(body io.Reader, p []byte) (int, error) {
	if due, set := c.renew(c.read); set {
		c.read = due
		_ = c.deadlines.SetReadDeadline(due) // a recorder in tests has none
	}
	c.permit.Park()
	n, err := body.Read(p)
	c.permit.Unpark()
	if err == io.EOF && !c.read.IsZero() {
		c.read = time.Time{}
		_ = c.deadlines.SetReadDeadline(c.read) // the server watches the connection from now on
	}
	return n, err
}

// Send writes to the client once.
func (c *Connection) Send(w io.Writer, p []byte) (int, error) {
	if due, set := c.renew(c.write); set {
		c.write = due
		_ = c.deadlines.SetWriteDeadline(due)
	}
	c.permit.Park()
	n, err := w.Write(p)
	c.permit.Unpark()
	return n, err
}

// renew gives a new deadline where the old one has run for a while: setting one
// at every read would cost more than the read.
func (c *Connection) renew(old time.Time) (due time.Time, set bool) {
	if c.clock == nil || c.idle == 0 {
		return old, false
	}
	now := c.clock.Now()
	if old.Sub(now) >= c.idle-min(time.Second, c.idle/2) {
		return old, false
	}
	return now.Add(c.idle), true
}

// End takes the deadline of writing off, for the next request of the connection,
// and ends the permit. That of reading stays where the body has not ended: it
// bounds how long the server looks for the end. For the next request the server
// sets its own.
func (c *Connection) End() {
	if !c.write.IsZero() {
		_ = c.deadlines.SetWriteDeadline(time.Time{})
	}
	c.permit.Done()
}

// Body is a request's body, read through the connection.
func (c *Connection) Body(body io.ReadCloser) io.ReadCloser { return &patient{c, body} }

type patient struct {
	c    *Connection
	body io.ReadCloser
}

func (p *patient) Read(b []byte) (int, error) { return p.c.Receive(p.body, b) }

func (p *patient) Close() error { return p.body.Close() }
