// Package access knows who may come in. Its nouns are Identity, Token and
// Keyring.
//
// An identity is an access key with a secret. Identities live in the index,
// each secret sealed with a key derived from the store's master key, which lies
// outside the drives: whoever takes the drives alone learns no secret, and a
// store opened with another master key fails with ErrMasterKey, not with wrong
// answers. Bearer tokens are signed, expire, and end with their identity.
//
//	SigV4 door ──► Secret(access key) ──┐
//	bearer, cookie ──► Verify(token) ───┴──► Identity ──► the door's own authorization
//
// A created identity survives a crash as soon as Create has answered; a deleted
// one is refused from then on. A Keyring may be used by many goroutines at
// once. Verifying signatures belongs to the doors.
package access
