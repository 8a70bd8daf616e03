// Package s3vectors is the door for the AWS SDKs' S3 Vectors clients: REST-JSON,
// one POST an operation, errors with the SDKs' shapes. Its nouns are Door,
// Operation and Fault.
//
//	POST /QueryVectors ──► SigV4 (scope s3vectors, hash of the body) ──► operations[…] ──► vectors.Engine
//	                                              any error ──► fault, one table ──► {"message","fieldList"}
//
// A vector bucket is a bucket like any other: what is made here is seen by S3 and
// Connect, and the other way round. Of its own the door keeps Settings: tags and
// policies, in the bucket's part of the index. What was answered is durable; a
// bucket or index whose making was not answered may be there without its tags.
// The door serves any number of requests at once.
//
// A policy (package access/policy) takes rights away at this door: one Deny refuses;
// an Allow adds nothing, as whoever has a key may use all data. S3 and Connect do
// not ask it. The root key may always put, get and delete a policy.
//
// Limits are those of S3 Vectors. As there, distances are 1-cos for cosine and the
// square for euclidean; pages of ListVectors and QueryVectors end near 1 MiB, the latter
// never before 100 hits; and who filters by metadata, or reads vectors or metadata by
// a query or a listing, or searches words, needs the right to GetVectors too. Unlike
// there, tokens do not expire, every index is of the mode ENHANCED, a text search is
// ACTIVE at once, and keys of a KMS and languages of text searches are refused.
package s3vectors
