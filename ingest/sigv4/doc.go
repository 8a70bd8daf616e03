// Package sigv4 proves who sent a request: it verifies AWS Signature Version 4.
// Its nouns are Scope, Signed and Body.
//
// A Scope says with which key, day, region and service a request claims to be
// signed, and is read without proof, for routing. Signed is a request whose
// signature held. Its Body reads the payload and proves that too, while it
// streams: against a SHA-256, or chunk by chunk.
//
//	Authorization │ X-Amz-Signature=        x-amz-content-sha256
//	      └──► claim ──► canonical request ──► HMAC with the day's key ──► Signed
//	                                                                        │
//	   body: plain, hashed, or  size;chunk-signature=…⏎ bytes ⏎ … trailers ─► Body
//
// Every link of the chunk chain depends on the one before it, the first on the
// request's own signature, so chunks cannot be swapped, dropped or repeated.
//
// The package keeps nothing on disk. A Verifier may be used by many goroutines
// at once; a Body belongs to one. Identities, secrets and what a signer may do
// are its callers'.
package sigv4
