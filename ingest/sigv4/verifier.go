package sigv4

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
)

const skewMax = 15 * time.Minute

// Secrets knows the secret of each access key. For one that does not exist it
// returns an error that is ErrUnknownKey.
type Secrets interface {
	Secret(ctx context.Context, accessKeyID string) (secret string, err error)
}

// Options of a Verifier. Secrets, Clock and Service are needed.
type Options struct {
	Secrets Secrets
	Clock   host.Clock
	Service string // the service whose requests are accepted, such as "s3"
	Region  string // the only region accepted; default any
}

// Verifier verifies the requests of one service.
type Verifier struct {
	secrets Secrets
	clock   host.Clock
	service string
	region  string
	keys    keyring
}

// New makes a Verifier; it panics where a needed option is missing.
func New(o Options) *Verifier {
	if o.Secrets == nil || o.Clock == nil || o.Service == "" {
		panic("sigv4: Options need Secrets, Clock and Service")
	}
	return &Verifier{secrets: o.Secrets, clock: o.Clock, service: o.Service, region: o.Region}
}

// Signed is a request whose signature held.
type Signed struct {
	Scope     Scope
	At        time.Time // when it was signed
	Presigned bool
	Token     string // X-Amz-Security-Token, for the caller to judge
	Query     Query  // of the URL, decoded
	Payload   Payload
	Bytes     int64 // of the decoded body; -1 where the request does not say

	key       [32]byte
	signature [32]byte
	declared  [32]byte // SHA-256 of the body, where Payload is Hashed
	stamp     string   // At and the scope, as chunks sign them
}

// Verify proves the signature of a request whose payload hash stands in
// x-amz-content-sha256, or which is presigned. The body is not touched: read it
// through Signed.Body, which proves it.
func (v *Verifier) Verify(r *http.Request) (*Signed, error) {
	c, secret, err := v.admit(r)
	if err != nil {
		return nil, err
	}
	text, err := payloadText(r, &c)
	if err != nil {
		return nil, err
	}
	s, err := v.prove(r, &c, secret, text)
	if err != nil {
		return nil, err
	}
	return s, s.setPayload(r, text)
}

// VerifyBuffered proves the signature of a request that is signed with the hash
// of its body and need not say so in a header (s3vectors, s3tables, sts). The
// body is read, to bytesMax, once the claim looks right.
func (v *Verifier) VerifyBuffered(r *http.Request, bytesMax int64) (*Signed, []byte, error) {
	c, secret, err := v.admit(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := readBounded(r, bytesMax)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(body)
	text := string(appendHex(nil, sum[:]))
	switch declared := r.Header.Get(payloadHeader); {
	case declared == unsignedPayload:
		text = unsignedPayload
	case declared != "" && !strings.EqualFold(declared, text):
		return nil, nil, ErrPayload
	}
	s, err := v.prove(r, &c, secret, text)
	if err != nil {
		return nil, nil, err
	}
	s.Bytes = int64(len(body))
	return s, body, nil
}

func readBounded(r *http.Request, bytesMax int64) ([]byte, error) {
	if r.ContentLength > bytesMax {
		return nil, fmt.Errorf("%w of %d bytes", ErrBodyTooLarge, bytesMax)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bytesMax+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrIncomplete
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	case int64(len(body)) > bytesMax:
		return nil, fmt.Errorf("%w of %d bytes", ErrBodyTooLarge, bytesMax)
	}
	return body, nil
}

// admit checks all that can be checked without the canonical request.
func (v *Verifier) admit(r *http.Request) (claim, string, error) {
	c, err := claimOf(r)
	if err != nil {
		return c, "", err
	}
	if err := v.checkScope(&c); err != nil {
		return c, "", err
	}
	if err := v.checkTime(&c); err != nil {
		return c, "", err
	}
	if err := checkSignedHeaders(r, c.headers); err != nil {
		return c, "", err
	}
	secret, err := v.secrets.Secret(r.Context(), c.scope.AccessKey)
	if err != nil {
		return c, "", fmt.Errorf("look up the access key: %w", err)
	}
	return c, secret, nil
}

func (v *Verifier) checkScope(c *claim) error {
	kind := ErrHeader
	if c.presigned {
		kind = ErrQuery
	}
	switch {
	case c.scope.Service != v.service:
		return fmt.Errorf("%w: the service of the credential must be %q", kind, v.service)
	case v.region != "" && c.scope.Region != v.region:
		return fmt.Errorf("%w: the region is wrong; expecting %q", kind, v.region)
	case c.scope.Date != c.at.Format("20060102"):
		return fmt.Errorf("%w: the date of the credential is not that of the request", kind)
	}
	return nil
}

func (v *Verifier) checkTime(c *claim) error {
	late := v.clock.Now().Sub(c.at) // negative where the request is from the future
	switch {
	case c.presigned && late > c.expires:
		return ErrExpired
	case c.presigned && late < -skewMax:
		return ErrNotYet
	case !c.presigned && (late > skewMax || late < -skewMax):
		return ErrSkewed
	}
	return nil
}

// checkSignedHeaders demands that host and every x-amz-* header were signed:
// else a stranger could add one that changes what the request does.
func checkSignedHeaders(r *http.Request, signed []string) error {
	if !slices.Contains(signed, "host") {
		return fmt.Errorf("%w: host", ErrUnsigned)
	}
	for name := range r.Header {
		if len(name) < 6 || name[:6] != "X-Amz-" {
			continue
		}
		if lower := strings.ToLower(name); !slices.Contains(signed, lower) {
			return fmt.Errorf("%w: %s", ErrUnsigned, lower)
		}
	}
	return nil
}

// scratch holds canonical requests, which are longer than they are kept.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 2048); return &b }}

func (v *Verifier) prove(r *http.Request, c *claim, secret, payload string) (*Signed, error) {
	key := v.keys.get(secret, c.scope)
	if !c.holds(r, key, payload) {
		return nil, ErrMismatch
	}
	v.keys.keep(secret, c.scope, key)
	return &Signed{
		Scope: c.scope, At: c.at, Presigned: c.presigned, Token: c.token, Query: c.query, Bytes: r.ContentLength,
		key: key, signature: c.signature, stamp: c.at.Format(timeLayout) + "\n" + c.scope.text(),
	}, nil
}

// holds reports whether the signature is that of the request.
func (c *claim) holds(r *http.Request, key [32]byte, payload string) bool {
	buffer := scratch.Get().(*[]byte)
	defer scratch.Put(buffer)
	var text [scopeBytesMax + 128]byte
	for _, path := range pathForms(r.URL.EscapedPath(), c.scope.Service) {
		canonical := c.canonical((*buffer)[:0], r, path, payload)
		*buffer = canonical
		want := mac(key[:], string(c.stringToSign(text[:0], canonical)))
		if subtle.ConstantTimeCompare(want[:], c.signature[:]) == 1 {
			return true
		}
	}
	return false
}
