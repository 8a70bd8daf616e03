package sigv4

import "errors"

// Errors on which doors branch. They are wrapped with the detail.
var (
	ErrAnonymous     = errors.New("the request carries no signature")
	ErrUnsupported   = errors.New("the authorization mechanism is not supported; use AWS4-HMAC-SHA256")
	ErrTwoMechanisms = errors.New("only one of Authorization header and X-Amz-Algorithm may be given")
	ErrHeader        = errors.New("the authorization header is malformed")
	ErrQuery         = errors.New("the authorization query parameters are malformed")
	ErrUnknownKey    = errors.New("the access key id does not exist")
	ErrMismatch      = errors.New("the request signature does not match")
	ErrSkewed        = errors.New("the difference between the request time and the server's time is too large")
	ErrExpired       = errors.New("the request has expired")
	ErrNotYet        = errors.New("the request is not yet valid")
	ErrUnsigned      = errors.New("a header is present that was not signed")
	ErrNoDate        = errors.New("a valid Date or x-amz-date header is required")

	ErrNoPayloadHash  = errors.New("the header x-amz-content-sha256 is missing")
	ErrPayloadHash    = errors.New("x-amz-content-sha256 is not a SHA-256 or one of the known words")
	ErrPayload        = errors.New("x-amz-content-sha256 does not match the body")
	ErrNoLength       = errors.New("the header x-amz-decoded-content-length is missing")
	ErrLength         = errors.New("the header x-amz-decoded-content-length is malformed")
	ErrBodyTooLarge   = errors.New("the body is larger than the limit")
	ErrIncomplete     = errors.New("the body ended before all its bytes were there")
	ErrBroken         = errors.New("the body could not be read")
	ErrChunk          = errors.New("the chunked body is malformed")
	ErrChunkSignature = errors.New("a chunk's signature does not match")
	ErrTrailer        = errors.New("the trailers are malformed")
)
