// Package host is the outside world as values: the clock, the drives' file
// systems, entropy and the log. Its nouns are Host, Clock and FS.
//
// Every other package receives what it needs of these from its caller, so that
// a test can hand it a seeded, crashable fake (package hosttest) and a trial can
// run a whole store in one address space. Only this package and cmd touch
// time.Now, the os file calls and crypto/rand; the fence test holds everyone to it.
//
// FS and File are Pebble's: one file system interface serves the drives' extents
// and the index's view alike, and one fake crashes both.
// See docs/decisions/0002-one-file-system.md.
//
// All values of this package may be used by many goroutines at once.
package host
