// Package query is one question over objects, tables and vectors: the Connect
// services of tarn.v1, gRPC health and reflection. Its nouns are Service,
// Session and Embedder.
//
//	request ──► session (bearer token, or cookie and header) ──► service ──► vectors, objects
//	                                                               │
//	                                                errors: one table to Connect codes
//
// It keeps no state of its own: what a call answered is durable because the
// store beneath said so. All services may be called by many goroutines at once.
// The AWS protocols belong to ingest, and the port's routing to cmd.
package query
