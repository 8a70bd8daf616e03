package sigv4

import (
	"fmt"
	"net/http"
	"strings"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"

	scopeBytesMax     = 512 // of a whole credential
	accessKeyBytesMax = 128
)

// Scope is what a request claims of its signature.
type Scope struct {
	AccessKey string
	Date      string // YYYYMMDD
	Region    string
	Service   string // "s3", "s3vectors", "s3tables", "sts"
}

// text is the scope as it stands in the string to sign.
func (s Scope) text() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// ScopeOf reads the scope that a request claims, from its Authorization header
// or its query. Nothing is proved by it: it is for routing.
func ScopeOf(r *http.Request) (Scope, bool) {
	credential, ok := credentialOf(r)
	if !ok {
		return Scope{}, false
	}
	s, err := parseScope(credential)
	return s, err == nil
}

func credentialOf(r *http.Request) (string, bool) {
	if h := r.Header.Get("Authorization"); h != "" {
		rest, ok := strings.CutPrefix(h, algorithm)
		if !ok {
			return "", false
		}
		_, rest, ok = strings.Cut(rest, "Credential=")
		credential, _, _ := strings.Cut(rest, ",")
		return strings.TrimSpace(credential), ok
	}
	if !strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		return "", false
	}
	query, err := ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", false
	}
	return query.Lookup("X-Amz-Credential")
}

// parseScope reads key/date/region/service/aws4_request. The key may hold
// slashes, so it is read from the right.
func parseScope(credential string) (Scope, error) {
	if len(credential) > scopeBytesMax {
		return Scope{}, fmt.Errorf("credential of more than %d bytes", scopeBytesMax)
	}
	parts := strings.Split(credential, "/")
	n := len(parts)
	if n < 5 || parts[n-1] != terminator {
		return Scope{}, fmt.Errorf("credential is not <access key>/<YYYYMMDD>/<region>/<service>/%s", terminator)
	}
	s := Scope{
		AccessKey: strings.Join(parts[:n-4], "/"),
		Date:      parts[n-4], Region: parts[n-3], Service: parts[n-2],
	}
	if !validDate(s.Date) {
		return Scope{}, fmt.Errorf("credential date is not YYYYMMDD")
	}
	if s.AccessKey == "" || len(s.AccessKey) > accessKeyBytesMax || s.Region == "" || s.Service == "" {
		return Scope{}, fmt.Errorf("credential has an empty or over-long part")
	}
	return s, nil
}

func validDate(s string) bool {
	if len(s) != len("20060102") {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
