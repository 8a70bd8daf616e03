package sigv4

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	timeLayout       = "20060102T150405Z"
	expiryMax        = 7 * 24 * time.Hour
	signedHeadersMax = 100
)

// claim is what a request says of its signature, before anything is proved.
type claim struct {
	scope     Scope
	headers   []string // the signed ones, in lower case and in their order
	signature [32]byte
	at        time.Time
	presigned bool
	expires   time.Duration // of a presigned request
	token     string
	query     Query
}

func claimOf(r *http.Request) (claim, error) {
	query, err := ParseQuery(r.URL.RawQuery)
	if err != nil {
		return claim{}, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	header := r.Header.Get("Authorization")
	inQuery := query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature") || query.Has("X-Amz-Credential")
	switch {
	case header != "" && inQuery:
		return claim{}, ErrTwoMechanisms
	case header != "":
		return headerClaim(r, header, query)
	case inQuery:
		return queryClaim(query)
	case query.Has("Signature") && query.Has("AWSAccessKeyId"):
		return claim{}, ErrUnsupported // version 2
	}
	return claim{}, ErrAnonymous
}

func headerClaim(r *http.Request, header string, query Query) (claim, error) {
	c := claim{query: query, token: r.Header.Get("X-Amz-Security-Token")}
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok {
		return c, ErrUnsupported
	}
	fields, err := headerFields(rest)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if err := c.fill(fields.credential, fields.headers, fields.signature); err != nil {
		return c, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if c.at, err = headerTime(r.Header); err != nil {
		return c, err
	}
	return c, nil
}

// headerFields reads "Credential=…, SignedHeaders=…, Signature=…" in any order.
func headerFields(rest string) (f struct{ credential, headers, signature string }, err error) {
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || value == "" {
			return f, fmt.Errorf("a part is not name=value")
		}
		to := &f.credential
		switch name {
		case "Credential":
		case "SignedHeaders":
			to = &f.headers
		case "Signature":
			to = &f.signature
		default:
			return f, fmt.Errorf("an unknown part beside Credential, SignedHeaders and Signature")
		}
		if *to != "" {
			return f, fmt.Errorf("%s is given twice", name)
		}
		*to = value
	}
	if f.credential == "" || f.headers == "" || f.signature == "" {
		return f, fmt.Errorf("all of Credential, SignedHeaders and Signature are needed")
	}
	return f, nil
}

func (c *claim) fill(credential, headers, signature string) (err error) {
	if c.scope, err = parseScope(credential); err != nil {
		return err
	}
	if strings.Count(headers, ";") >= signedHeadersMax {
		return fmt.Errorf("the list SignedHeaders names more than %d headers", signedHeadersMax)
	}
	c.headers = strings.Split(headers, ";")
	for _, h := range c.headers {
		if h == "" || h != strings.ToLower(h) {
			return fmt.Errorf("SignedHeaders is not a list of lower-case names with semicolons between")
		}
	}
	if len(signature) != 2*len(c.signature) {
		return fmt.Errorf("the Signature is not 64 hexadecimal digits")
	}
	if _, err := hex.Decode(c.signature[:], []byte(signature)); err != nil {
		return fmt.Errorf("the Signature is not 64 hexadecimal digits")
	}
	return nil
}

func headerTime(h http.Header) (time.Time, error) {
	if s := h.Get("X-Amz-Date"); s != "" {
		if t, err := time.Parse(timeLayout, s); err == nil {
			return t, nil
		}
		return time.Time{}, ErrNoDate
	}
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return t, ErrNoDate
	}
	return t.UTC(), nil
}

func queryClaim(query Query) (claim, error) {
	c := claim{query: query, presigned: true, token: query.Get("X-Amz-Security-Token")}
	if a := query.Get("X-Amz-Algorithm"); a != algorithm {
		return c, fmt.Errorf("%w: X-Amz-Algorithm must be %s", ErrQuery, algorithm)
	}
	for _, name := range presignNames {
		if count(query, name) != 1 {
			return c, fmt.Errorf("%w: %s must be given once", ErrQuery, name)
		}
	}
	err := c.fill(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"))
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	if c.at, err = time.Parse(timeLayout, query.Get("X-Amz-Date")); err != nil {
		return c, fmt.Errorf("%w: X-Amz-Date must look like %s", ErrQuery, timeLayout)
	}
	seconds, err := strconv.ParseInt(query.Get("X-Amz-Expires"), 10, 64)
	if err != nil || seconds < 1 || seconds > int64(expiryMax/time.Second) {
		return c, fmt.Errorf("%w: X-Amz-Expires must be from 1 to %d seconds", ErrQuery, int64(expiryMax/time.Second))
	}
	c.expires = time.Duration(seconds) * time.Second
	return c, nil
}

var presignNames = []string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
}

func count(query Query, name string) int {
	n := 0
	for _, p := range query {
		if p.Name == name {
			n++
		}
	}
	return n
}

// IsSignature reports whether a query parameter belongs to the signature itself.
func IsSignature(name string) bool {
	return name == payloadHeader || name == "X-Amz-Security-Token" || slices.Contains(presignNames, name)
}
