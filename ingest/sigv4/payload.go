package sigv4

import (
	"encoding/hex"
	"net/http"
	"strconv"
)

// Payload is how a request's body is proved.
type Payload uint8

// Payload kinds, each a word of x-amz-content-sha256.
const (
	Unsigned        Payload = iota // not at all
	Hashed                         // by its SHA-256, given in advance
	SignedChunks                   // each chunk by a signature that depends on the one before it
	SignedTrailer                  // the same, and trailers, signed too
	UnsignedTrailer                // chunks without signatures, and trailers
)

const (
	payloadHeader   = "X-Amz-Content-Sha256"
	unsignedPayload = "UNSIGNED-PAYLOAD"
)

var payloadWords = map[string]Payload{
	unsignedPayload:                              Unsigned,
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD":         SignedChunks,
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": SignedTrailer,
	"STREAMING-UNSIGNED-PAYLOAD-TRAILER":         UnsignedTrailer,
}

// Chunked reports whether the body comes in aws-chunked encoding.
func (p Payload) Chunked() bool { return p >= SignedChunks }

// payloadText is the payload's line in the canonical request.
func payloadText(r *http.Request, c *claim) (string, error) {
	text := r.Header.Get(payloadHeader)
	if text == "" && c.presigned {
		text = c.query.Get(payloadHeader)
		if text == "" {
			text = unsignedPayload
		}
	}
	if text == "" {
		return "", ErrNoPayloadHash
	}
	if _, known := payloadWords[text]; known {
		return text, nil
	}
	if _, err := hex.DecodeString(text); err != nil || len(text) != 64 {
		return "", ErrPayloadHash
	}
	return text, nil
}

func (s *Signed) setPayload(r *http.Request, text string) error {
	kind, known := payloadWords[text]
	if !known {
		s.Payload = Hashed
		_, err := hex.Decode(s.declared[:], []byte(text))
		return err
	}
	s.Payload = kind
	if !kind.Chunked() {
		return nil
	}
	decoded := r.Header.Get("X-Amz-Decoded-Content-Length")
	if decoded == "" {
		return ErrNoLength
	}
	n, err := strconv.ParseInt(decoded, 10, 64)
	if err != nil || n < 0 {
		return ErrLength
	}
	s.Bytes = n
	return nil
}
