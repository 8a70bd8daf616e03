// Package s3 is the door for every S3 client. Its nouns are Handler, operation
// and fault.
//
// A Handler serves the protocol on net/http. One table (operations.go) says
// which operation a method, a level and a sub-resource select; each operation
// is a function in a file of its own that calls the store and writes its
// answer, or returns a fault, which one table (faults.go) turns into S3's code.
//
//	request ─► address ─► signature ─► operation ─► authorize ─► checks ─► store
//	           bucket,    ingest/      the table    caller's     lengths,    │
//	           key        sigv4                     func         digests     ▼
//	                                                      XML, headers ◄─ answer
//
// Nothing of a body is read, and no 100-continue sent, before all that its
// headers say is admitted. What a body must prove (signature of the last chunk,
// trailers, digests) is proved before the store makes anything visible.
//
// The door keeps nothing, so it promises across a crash what the store does. A
// Handler serves many requests at once. Identities, policies and listening are
// its caller's.
package s3
