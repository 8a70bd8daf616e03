package s3

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
)

// call is one request on its way through the door.
type call struct {
	h      *Handler
	w      answer
	r      *http.Request
	ctx    context.Context
	id     string
	bucket string // empty: the service itself
	key    string // empty: the bucket itself
	hosted bool   // the bucket stood in the host name
	query  sigv4.Query
	signed *sigv4.Signed
	body   *sigv4.Body // nil until admitted
	op     *operation
	code   string // of the error answered
	err    error  // behind an answer of 5xx
}

// locate finds bucket and key. They are taken from the path as it stood on the
// wire, so that "//" and "%2F" in keys stay what they are.
func (c *call) locate() error {
	path := strings.TrimPrefix(c.r.URL.EscapedPath(), "/")
	name := ""
	if c.bucket, c.hosted = c.h.VirtualBucket(c.r.Host); !c.hosted {
		name, path, _ = strings.Cut(path, "/")
	}
	var err error
	if name != "" {
		if c.bucket, err = url.PathUnescape(name); err != nil {
			return errURI
		}
	}
	if c.key, err = url.PathUnescape(path); err != nil {
		return errURI
	}
	if c.query, err = sigv4.ParseQuery(c.r.URL.RawQuery); err != nil {
		return errURI
	}
	return c.checkPlace()
}

func (c *call) checkPlace() error {
	if c.bucket == "" && c.key != "" {
		return &objects.InvalidError{Field: "bucket", Reason: "the path names a key, but its bucket is empty"}
	}
	if c.key != "" {
		return checkKey(c.key)
	}
	return nil
}

func checkKey(key string) error {
	if len(key) > objects.KeyBytesMax {
		return &fault{code: "KeyTooLongError", status: 400, message: "Your key is too long.", details: []detail{
			{"Size", strconv.Itoa(len(key))}, {"MaxSizeAllowed", strconv.Itoa(objects.KeyBytesMax)}}}
	}
	return objects.CheckKey(key)
}

// VirtualBucket is the bucket that a host name addresses, where it is one of
// Options.Domain's.
func (h *Handler) VirtualBucket(hostPort string) (string, bool) {
	name := hostPort
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		name = host
	}
	at := len(name) - len(h.Domain) - 1
	if at < 1 || name[at] != '.' || !strings.EqualFold(name[at+1:], h.Domain) {
		return "", false
	}
	return strings.ToLower(name[:at]), true
}

func (c *call) level() level {
	switch {
	case c.bucket == "":
		return serviceLevel
	case c.key == "":
		return bucketLevel
	}
	return objectLevel
}

// resource is the ARN of what the request addresses.
func (c *call) resource() string {
	switch c.level() {
	case serviceLevel:
		return "*"
	case bucketLevel:
		return arn(c.bucket, "")
	}
	return arn(c.bucket, c.key)
}

func arn(bucket, key string) string {
	if key == "" {
		return "arn:aws:s3:::" + bucket
	}
	return "arn:aws:s3:::" + bucket + "/" + key
}

// header is the value of a request header.
func (c *call) header(name string) string { return c.r.Header.Get(name) }

// checkOwner honours a client's guard against buckets of someone else.
func (c *call) checkOwner() error {
	for _, name := range []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"} {
		if v := c.header(name); v != "" && v != c.h.Account {
			return errOtherOwner
		}
	}
	return nil
}

// checkVersion refuses versions other than the one that every unversioned
// object has.
func (c *call) checkVersion(version string) error {
	if version == "" || version == "null" {
		return nil
	}
	return errNoVersion
}
