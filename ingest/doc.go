// Package ingest is the doors through which data comes in. Its nouns are Door,
// Signature and Request: each door speaks one protocol of others, proves who
// signed a request, and calls the layers below.
//
//	ingest/sigv4      who are you: AWS Signature Version 4, for every AWS door
//	ingest/s3         objects, for any S3 client
//	ingest/s3vectors  vectors, for the AWS SDKs
//
// Doors keep nothing: what they promise across a crash is what the layer below
// promises, and all of them serve many requests at once. They leave policies to
// an authorize func of their caller, and routing between doors to cmd.
package ingest
