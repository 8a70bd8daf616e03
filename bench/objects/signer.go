package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"
)

const (
	region     = "us-east-1"
	stampForm  = "20060102T150405Z"
	signedList = "host;x-amz-content-sha256;x-amz-date"
	unsigned   = "UNSIGNED-PAYLOAD"
)

// credentials of the servers that the bench starts.
type credentials struct{ access, secret string }

// signer signs requests of one connection by SigV4, with a key made once a day.
type signer struct {
	keys  credentials
	host  string
	mac   hash.Hash
	scope string // DATE/REGION/s3/aws4_request
	stamp string
	until time.Time // when the stamp is renewed
	text  []byte
}

func newSigner(keys credentials, host string) *signer { return &signer{keys: keys, host: host} }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// signingKey is SigV4's key for one day of a service.
func signingKey(secret, date string) []byte {
	return mac(mac(mac(mac([]byte("AWS4"+secret), date), region), "s3"), "aws4_request")
}

// renew takes the present time for the next second's requests.
func (s *signer) renew(now time.Time) {
	if now.Before(s.until) {
		return
	}
	s.stamp, s.until = now.UTC().Format(stampForm), now.Add(time.Second)
	date := s.stamp[:8]
	if scope := date + "/" + region + "/s3/aws4_request"; scope != s.scope {
		s.scope, s.mac = scope, hmac.New(sha256.New, signingKey(s.keys.secret, date))
	}
}

// sign appends the headers that prove a request to it. Path and query must stand
// in their canonical form.
func (s *signer) sign(b []byte, method, path, query string) []byte {
	s.renew(time.Now())
	t := append(s.text[:0], method...)
	t = append(append(append(append(t, '\n'), path...), '\n'), query...)
	t = append(append(t, "\nhost:"...), s.host...)
	t = append(append(t, "\nx-amz-content-sha256:"+unsigned+"\nx-amz-date:"...), s.stamp...)
	t = append(t, "\n\n"+signedList+"\n"+unsigned...)
	sum := sha256.Sum256(t)
	t = append(append(t[:0], "AWS4-HMAC-SHA256\n"...), s.stamp...)
	t = append(append(append(t, '\n'), s.scope...), '\n')
	t = hex.AppendEncode(t, sum[:])
	s.text = t
	s.mac.Reset()
	s.mac.Write(t)
	var signature [sha256.Size]byte
	b = append(append(b, "x-amz-content-sha256: "+unsigned+"\r\nx-amz-date: "...), s.stamp...)
	b = append(append(b, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential="...), s.keys.access...)
	b = append(append(b, '/'), s.scope...)
	b = append(b, ", SignedHeaders="+signedList+", Signature="...)
	b = hex.AppendEncode(b, s.mac.Sum(signature[:0]))
	return append(b, "\r\n"...)
}
