package s3

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

func getObject(c *call) error {
	if err := c.checkVersion(c.query.Get("versionId")); err != nil {
		return err
	}
	o, err := c.h.Store.Open(c.ctx, c.bucket, c.key)
	if err != nil {
		return err
	}
	status, s, err := c.present(&o.Object)
	if err != nil {
		return err
	}
	return c.stream(o, status, s.off, s.n)
}

func headObject(c *call) error {
	if err := c.checkVersion(c.query.Get("versionId")); err != nil {
		return err
	}
	o, err := c.h.Store.Head(c.ctx, c.bucket, c.key)
	if err != nil {
		return err
	}
	status, s, err := c.present(&o)
	if err != nil {
		return err
	}
	c.w.Header()["Content-Length"] = []string{strconv.FormatInt(s.n, 10)}
	c.w.WriteHeader(status)
	return nil
}

// present sets the headers that tell of an object, and says which part of it,
// with which status, the client shall have.
func (c *call) present(o *objects.Object) (status int, s span, err error) {
	c.identityHeaders(o)
	if err := c.conditionsOf("").check(o); err != nil {
		return 0, s, err
	}
	status, s, err = c.selected(o)
	if err != nil {
		return 0, s, err
	}
	c.objectHeaders(o)
	if status == http.StatusPartialContent {
		c.w.Header()["Content-Range"] = []string{s.contentRange(o.Bytes)}
	} else if c.header("X-Amz-Checksum-Mode") == "ENABLED" {
		c.checksumHeaders(o.Checksums, len(o.PartBytes))
	}
	return status, s, c.overrides()
}

// selected is what Range or partNumber ask for.
func (c *call) selected(o *objects.Object) (int, span, error) {
	whole := span{0, o.Bytes}
	header := c.header("Range")
	if number, given := c.query.Lookup("partNumber"); given {
		if header != "" {
			return 0, whole, invalidRequest("Cannot specify both Range header and partNumber query parameter")
		}
		return c.selectedPart(o, number)
	}
	if header == "" || !c.rangeStillHolds(o) {
		return http.StatusOK, whole, nil
	}
	s, ok, err := parseRange(header, o.Bytes)
	if err != nil || !ok {
		return http.StatusOK, whole, err
	}
	return http.StatusPartialContent, s, nil
}

func (c *call) selectedPart(o *objects.Object, number string) (int, span, error) {
	n, err := partNumber(number)
	if err != nil {
		return 0, span{}, err
	}
	s, err := partSpan(o.PartBytes, o.Bytes, n)
	if err != nil {
		return 0, s, err
	}
	if len(o.PartBytes) > 0 {
		c.w.Header()["X-Amz-Mp-Parts-Count"] = []string{strconv.Itoa(len(o.PartBytes))}
	}
	if s.n == 0 {
		return http.StatusOK, s, nil
	}
	return http.StatusPartialContent, s, nil
}

// rangeStillHolds honours If-Range: a range of another version is of no use.
func (c *call) rangeStillHolds(o *objects.Object) bool {
	v := c.header("If-Range")
	if v == "" {
		return true
	}
	if t, err := http.ParseTime(v); err == nil {
		return o.Modified.Unix() == t.Unix()
	}
	return unquote(v) == o.ETag
}

// identityHeaders go with every answer about an object, 304 among them.
func (c *call) identityHeaders(o *objects.Object) {
	header := c.w.Header()
	header["ETag"] = []string{`"` + o.ETag + `"`}
	header["Last-Modified"] = []string{o.Modified.UTC().Format(http.TimeFormat)}
	for _, name := range []string{"Cache-Control", "Expires"} {
		if v, ok := o.Headers[name]; ok {
			header[name] = []string{v}
		}
	}
}

func (c *call) objectHeaders(o *objects.Object) {
	header := c.w.Header()
	header["Accept-Ranges"] = acceptRanges
	header["Content-Type"] = []string{o.ContentType}
	for name, value := range o.Headers {
		header[name] = []string{value}
	}
	for name, value := range o.Metadata {
		header[metaPrefix+name] = []string{value}
	}
}

var acceptRanges = []string{"bytes"}

// overridable headers may be set by the query of a signed request.
var overridable = map[string]string{
	"response-cache-control":       "Cache-Control",
	"response-content-disposition": "Content-Disposition",
	"response-content-encoding":    "Content-Encoding",
	"response-content-language":    "Content-Language",
	"response-content-type":        "Content-Type",
	"response-expires":             "Expires",
}

func (c *call) overrides() error {
	for _, p := range c.query {
		name, ok := overridable[p.Name]
		if !ok {
			continue
		}
		if strings.ContainsFunc(p.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return invalidArgument(p.Name, "", "must not hold control characters")
		}
		c.w.Header()[name] = []string{p.Value}
	}
	return nil
}
