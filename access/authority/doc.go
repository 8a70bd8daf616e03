// Package authority decides who may do what: the one place that every door asks.
// Its nouns are Authority, Service and Request.
//
//	S3, S3 Vectors, Connect ──Request{who, action, resource, facts}──► May ──► nil │ access.ErrDenied
//	                                                                    │
//	            rights of the identity (package access) ────────────────┤
//	            policy of the bucket, of the action's Service ──────────┘
//
// Default deny: a request needs one Allow, from the identity's rights or from the
// bucket's policy, and no Deny from either. An identity with all rights needs no Allow,
// but a bucket's Deny binds it, and the root key too, which keeps only the operations on
// policies themselves, so that no policy locks everyone out.
//
// All doors speak of the same actions and resources: those of S3 for buckets and objects,
// those of S3 Vectors for indexes and vectors, and "tarn:…" for the store itself. What a
// policy allows or denies, it does so through every door.
//
// The policies that S3's PutBucketPolicy gives to buckets are kept here, as entries of the
// index; they go with their bucket, and survive a crash once Put has answered. An Authority
// may be used by many goroutines at once. It is Register'ed to before it is asked. A policy
// that cannot be read is an error, never an Allow. Proving who asks is for the doors.
package authority
