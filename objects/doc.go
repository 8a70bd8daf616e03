// Package objects is the object layer: bytes that survive. Its nouns are
// Bucket, Object and Blob.
//
// A blob is durable bytes with a place but no name: inline in an index value,
// whole on m+1 drives, or cut into stripes whose k+m shards lie on k+m drives.
// An object is an index entry that names blobs. Vectors and tables keep their
// bytes here too, under index entries of their own.
//
//	PUT ──► shards appended and synced on the drives ──► one index transaction ──► answer
//	GET ──► index entry ──► k shards, each verified; rebuilt where one is missing, slow or wrong
//
// Promises across a crash: what was answered is there, whole; what was not
// answered is wholly there or wholly absent. Any m drives may be lost.
//
// A Store may be used by many goroutines at once. Protocols, identities and
// policies belong to those above.
package objects
