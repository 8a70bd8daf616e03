// Package survival puts the whole object layer through everything that it
// promises to survive. Its nouns are World, Request and Point.
//
// A world is a store on a fake host, the model of what it must hold, and a
// seed. It makes requests one after another, and lets time, drives and the
// process come to harm between them. At the operations of the disk it forks:
// a point is the disk as a power cut at that very moment leaves it.
//
//	request ─► store ─► disk ──fork at an operation──► point ─► open, compare, go on, cut again
//	   └─────► model ── what may be seen then: before, or after the request ──┘
//
// The other trials here damage drives byte by byte (nothing wrong is ever
// returned, and everything wrong is found), check concurrent histories for
// linearizability while drives fail and the process dies, and do the same to a
// real process.
//
// Every trial prints its seed; TARN_SEED repeats it, TARN_SOAK=1 makes it long.
// What a power cut leaves depends on the order of goroutines too, so that a
// seed repeats the requests, not always the failure.
package survival
