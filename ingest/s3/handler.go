package s3

import (
	"net/http"
	"strings"
	"time"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
)

// Options of a Handler. Those to Policies are needed.
type Options struct {
	Store   Store
	Secrets sigv4.Secrets
	Host    *host.Host // its clock and entropy

	// Authority is asked before each operation, once for every resource that it
	// touches. The action is S3's ("s3:GetObject"), the resource an ARN
	// ("arn:aws:s3:::bucket/key"; "*" for the list of buckets).
	Authority Authority
	Policies  Policies

	Region      string // reported to clients; default "us-east-1". Requests may be signed for any
	Domain      string // names bucket.Domain address buckets; default "localhost"
	Account     string // the owner reported; default "000000000000"
	PutBytesMax int64  // of one object put or part; default objects.PutBytesMax
	DocBytesMax int64  // of an XML body; default 1 MiB
	ServerName  string // value of the Server header; default "Tarn"

	// StallMax is how long the other side may do nothing while a body is under way;
	// default 30 s.
	StallMax time.Duration

	Gate *admission.Gate // admits requests once they are proven; nil: all of them

	Events Events
}

// Events tell what the door does. Nil funcs are not called.
type Events struct {
	Request func(Entry) // each request, once answered
}

// Entry is one request as the access log and the metrics see it.
type Entry struct {
	ID        string
	Operation string // such as "PutObject"; empty where none was found
	Method    string
	Bucket    string
	Key       string
	AccessKey string // proved; empty where it was not
	Remote    string
	Status    int
	Code      string // S3's error code; empty on success
	BytesIn   int64  // of the decoded body
	BytesOut  int64
	Began     time.Time
	Duration  time.Duration
	Err       error // behind an answer of 5xx
}

// Handler is the door. It implements http.Handler.
type Handler struct {
	Options
	verifier *sigv4.Verifier
	routes   routes
	ids      identifiers
}

// New makes a Handler; it panics where the wiring is incomplete.
func New(o Options) *Handler {
	if o.Store == nil || o.Secrets == nil || o.Host == nil || o.Authority == nil || o.Policies == nil {
		panic("s3: Options need Store, Secrets, Host, Authority and Policies")
	}
	setDefault(&o.Region, "us-east-1")
	setDefault(&o.Domain, "localhost")
	setDefault(&o.Account, "000000000000")
	setDefault(&o.ServerName, "Tarn")
	setDefault(&o.PutBytesMax, int64(objects.PutBytesMax))
	setDefault(&o.DocBytesMax, 1<<20)
	setDefault(&o.StallMax, 30*time.Second)
	return &Handler{
		Options:  o,
		verifier: sigv4.New(sigv4.Options{Secrets: o.Secrets, Clock: o.Host.Clock, Service: "s3"}),
		routes:   newRoutes(operations),
		ids:      newIdentifiers(o.Host.Entropy),
	}
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.Host.Clock.Now()
	c := &call{h: h, r: r, ctx: r.Context(), id: h.ids.next()}
	c.w.ResponseWriter = w
	c.commonHeaders()
	defer c.report(began)
	defer c.w.end()
	if err := c.serve(); err != nil {
		c.refuse(err)
	}
}

func (c *call) commonHeaders() {
	header := c.w.Header()
	header["Server"] = []string{c.h.ServerName}
	header["X-Amz-Request-Id"] = []string{c.id}
	header["X-Amz-Id-2"] = []string{c.h.ids.long(c.id)}
	// What is stored may be hostile, and the console lives on the same origin.
	header["Content-Security-Policy"] = sandbox
	header["X-Content-Type-Options"] = nosniff
}

var sandbox, nosniff = []string{"sandbox"}, []string{"nosniff"}

// serve admits a request step by step: the cheapest checks first, all of them
// before its body.
func (c *call) serve() error {
	if err := c.locate(); err != nil {
		return err
	}
	if c.r.Method == http.MethodOptions {
		return errNoCORS
	}
	if err := c.identify(); err != nil {
		return err
	}
	op, err := c.h.routes.find(c)
	if err != nil {
		return err
	}
	c.op = op
	if err := c.checkOwner(); err != nil {
		return err
	}
	if err := c.checkHeaders(op); err != nil {
		return err
	}
	if err := c.admit(op); err != nil {
		return err
	}
	if op.action != "" {
		if err := c.authorize(op.action, c.resource()); err != nil {
			return err
		}
	}
	return op.serve(c)
}

// identify proves who sent the request. Strangers may do nothing.
func (c *call) identify() error {
	signed, err := c.h.verifier.Verify(c.r)
	if err != nil {
		return err
	}
	if signed.Token != "" {
		return errToken
	}
	c.signed = signed
	if signed.Presigned {
		c.lowerHoisted()
	}
	return nil
}

// lowerHoisted makes headers again of the x-amz-* parameters into which signers
// turn headers when they presign. They were signed like the rest of the URL.
func (c *call) lowerHoisted() {
	var header http.Header
	for _, p := range c.query {
		name := http.CanonicalHeaderKey(p.Name)
		if !strings.HasPrefix(name, "X-Amz-") || sigv4.IsSignature(name) || len(c.r.Header[name]) > 0 {
			continue
		}
		if header == nil {
			header = c.r.Header.Clone()
		}
		header.Add(name, p.Value)
	}
	if header != nil {
		r := *c.r
		r.Header = header
		c.r = &r
	}
}

func (c *call) report(began time.Time) {
	// A panic passes through here: http.ErrAbortHandler cuts an answer short.
	if c.h.Events.Request == nil {
		return
	}
	e := Entry{
		ID: c.id, Method: c.r.Method, Bucket: c.bucket, Key: c.key, Remote: c.r.RemoteAddr,
		Status: c.w.status, Code: c.code, BytesOut: c.w.bytes, Began: began, Err: c.err,
		Duration: c.h.Host.Clock.Now().Sub(began),
	}
	if c.op != nil {
		e.Operation = c.op.name
	}
	if c.signed != nil {
		e.AccessKey = c.signed.Scope.AccessKey
	}
	if c.body != nil {
		e.BytesIn = c.body.Seen()
	}
	c.h.Events.Request(e)
}
