package sigv4

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonical appends the canonical request:
//
//	method ⏎ path ⏎ query ⏎ name:value ⏎ … ⏎ ⏎ signed names ⏎ payload hash
func (c *claim) canonical(b []byte, r *http.Request, path, payload string) []byte {
	b = append(append(b, r.Method...), '\n')
	b = append(append(b, path...), '\n')
	b = appendQuery(b, c.query, c.presigned)
	b = append(b, '\n')
	for _, name := range c.headers {
		b = append(append(b, name...), ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	for i, name := range c.headers {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	return append(b, payload...)
}

// pathForms are the forms of the path that a signer may have signed. For s3,
// whose keys are arbitrary bytes, it is the path encoded once and strictly;
// a client that puts another encoding on the wire may have signed that as it
// stands, which is as unambiguous. Every other service encodes the wire's form
// once more.
func pathForms(wire, service string) []string {
	if wire == "" {
		wire = "/"
	}
	if service != "s3" {
		return []string{string(appendEscaped(nil, wire, true))}
	}
	plain, err := url.PathUnescape(wire)
	if err != nil {
		return []string{wire}
	}
	strict := string(appendEscaped(make([]byte, 0, len(wire)), plain, true))
	if strict == wire {
		return []string{wire}
	}
	return []string{strict, wire}
}

// appendQuery sorts the parameters by their encoded form, the signature left out.
func appendQuery(b []byte, query Query, presigned bool) []byte {
	if len(query) == 0 {
		return b
	}
	type encoded struct{ name, value string }
	all := make([]encoded, 0, len(query))
	for _, p := range query {
		if presigned && p.Name == "X-Amz-Signature" {
			continue
		}
		all = append(all, encoded{escape(p.Name), escape(p.Value)})
	}
	slices.SortFunc(all, func(x, y encoded) int {
		if c := strings.Compare(x.name, y.name); c != 0 {
			return c
		}
		return strings.Compare(x.value, y.value)
	})
	for i, p := range all {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

func appendHeader(b []byte, r *http.Request, name string) []byte {
	if name == "host" {
		return appendFolded(b, r.Host)
	}
	values := r.Header.Values(name)
	if len(values) == 0 {
		switch name { // net/http keeps these beside the header
		case "content-length":
			return strconv.AppendInt(b, max(r.ContentLength, 0), 10)
		case "transfer-encoding":
			values = r.TransferEncoding
		}
	}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFolded(b, v)
	}
	return b
}

// appendFolded trims a value and folds runs of spaces in it into one.
func appendFolded(b []byte, v string) []byte {
	v = strings.Trim(v, " \t")
	for i := range len(v) {
		if v[i] == ' ' && v[i-1] == ' ' {
			continue
		}
		b = append(b, v[i])
	}
	return b
}

const upperHex = "0123456789ABCDEF"

func escape(s string) string {
	for i := range len(s) {
		if !unreserved(s[i]) {
			return string(appendEscaped(make([]byte, 0, len(s)+16), s, false))
		}
	}
	return s
}

func appendEscaped(b []byte, s string, keepSlash bool) []byte {
	for i := range len(s) {
		c := s[i]
		if unreserved(c) || c == '/' && keepSlash {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// stringToSign is what the key signs: the algorithm, time and scope, and the
// hash of the canonical request.
func (c *claim) stringToSign(b, canonical []byte) []byte {
	sum := sha256.Sum256(canonical)
	b = append(append(b, algorithm...), '\n')
	b = append(c.at.AppendFormat(b, timeLayout), '\n')
	b = append(append(b, c.scope.text()...), '\n')
	return appendHex(b, sum[:])
}

func appendHex(b, sum []byte) []byte {
	for _, c := range sum {
		b = append(b, lowerHex[c>>4], lowerHex[c&15])
	}
	return b
}

const lowerHex = "0123456789abcdef"
