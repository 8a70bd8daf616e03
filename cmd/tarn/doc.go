// Command tarn is the one binary: the server and its command line. Its nouns are
// Setting, Door and Command.
//
// All the wiring of the house is here, and only here: `tarn serve` opens the
// store over its drives, puts the doors on one port, and closes everything in
// order. The other commands are clients of a running server.
//
//	:9000 ──► router ──► S3 │ S3 Vectors │ tarn.v1 │ /_/ (console, health, metrics)
//
// A SIGTERM lets requests finish for a bounded time; whatever is cut off was not
// answered, and is wholly there or wholly absent at the next start.
package main
