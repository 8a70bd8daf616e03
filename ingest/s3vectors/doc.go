// Package s3vectors is the door for the AWS SDKs' S3 Vectors clients: REST-JSON,
// one POST an operation, errors with the SDKs' shapes. Its nouns are Door,
// Operation and Fault.
//
//	POST /QueryVectors ──► SigV4 (scope s3vectors, hash of the body) ──► operations[…] ──► vectors.Engine
//	                                              any error ──► fault, one table ──► {"message","fieldList"}
//
// A vector bucket is a bucket like any other: what is made here is seen by S3 and
// Connect, and the other way round. The door keeps nothing, so a crash leaves
// what the engine promises: an answered PutVectors is durable and found by
// every later query. It serves any number of requests at once.
//
// Limits are those of S3 Vectors. As there, distances are 1-cos for cosine and the
// square for euclidean; a page of ListVectors ends near 1 MiB; and who filters
// by metadata, or reads vectors or metadata by a query or a listing, needs the
// right to GetVectors too. Unlike there, an answer of QueryVectors is never in
// pages. Policies, tags and keys of a KMS are refused by name until they are kept.
package s3vectors
