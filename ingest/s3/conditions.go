package s3

import (
	"net/http"
	"strings"
	"time"

	"github.com/tarnlake/tarn/objects"
)

// writeConditions reads If-Match and If-None-Match of a write.
func (c *call) writeConditions() (objects.Conditions, error) {
	match, none := c.header("If-Match"), c.header("If-None-Match")
	switch {
	case match != "" && none != "":
		return objects.Conditions{}, notImplemented("If-Match together with If-None-Match at a write")
	case none != "" && none != "*":
		return objects.Conditions{}, notImplemented("If-None-Match other than * at a write")
	case none == "*":
		return objects.Conditions{IfAbsent: true}, nil
	case match == "*":
		return objects.Conditions{IfExists: true}, nil
	}
	return objects.Conditions{IfETag: unquote(match)}, nil
}

func unquote(etag string) string { return strings.Trim(strings.TrimSpace(etag), `"`) }

// readConditions are those of a GET or HEAD, or of the source of a copy.
type readConditions struct {
	match, noneMatch string
	modified         time.Time // If-Modified-Since; zero: none
	unmodified       time.Time
}

// conditionsOf reads the conditions from headers with a prefix. A date that does
// not parse is no condition.
func (c *call) conditionsOf(prefix string) readConditions {
	r := readConditions{match: c.header(prefix + "If-Match"), noneMatch: c.header(prefix + "If-None-Match")}
	r.modified = c.date(prefix + "If-Modified-Since")
	r.unmodified = c.date(prefix + "If-Unmodified-Since")
	return r
}

func (c *call) date(name string) (t time.Time) {
	if v := c.header(name); v != "" {
		t, _ = http.ParseTime(v)
	}
	return t
}

func (r readConditions) any() bool {
	return r.match != "" || r.noneMatch != "" || !r.modified.IsZero() || !r.unmodified.IsZero()
}

// failure says what the conditions make of an object: 0, 304 or 412. A matching
// ETag outweighs the date beside it, at either pair.
func (r readConditions) failure(o *objects.Object) int {
	modified := o.Modified.Truncate(time.Second) // HTTP dates know no more
	switch {
	case r.match != "" && !anyETag(r.match, o.ETag):
		return http.StatusPreconditionFailed
	case r.match == "" && !r.unmodified.IsZero() && modified.After(r.unmodified):
		return http.StatusPreconditionFailed
	case r.noneMatch != "" && anyETag(r.noneMatch, o.ETag):
		return http.StatusNotModified
	case r.noneMatch == "" && !r.modified.IsZero() && !modified.After(r.modified):
		return http.StatusNotModified
	}
	return 0
}

func anyETag(list, etag string) bool {
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimPrefix(strings.TrimSpace(part), "W/")
		if part == "*" || unquote(part) == etag {
			return true
		}
	}
	return false
}

var (
	errNotModified  = &fault{code: "NotModified", status: http.StatusNotModified, message: "Not Modified"}
	errPrecondition = &fault{code: "PreconditionFailed", status: http.StatusPreconditionFailed, message: "At least one of the pre-conditions you specified did not hold"}
)

func (r readConditions) check(o *objects.Object) error {
	switch r.failure(o) {
	case http.StatusNotModified:
		return errNotModified
	case http.StatusPreconditionFailed:
		return errPrecondition
	}
	return nil
}
