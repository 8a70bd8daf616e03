// Package audit reads every byte of every drive within a set time and compares
// what lies there with what should. Its nouns are Pass, Cursor and Finding.
//
//	      ┌─ index: which records shall lie in these extents (Wanted)
//	Pass ─┤
//	      └─ drive: extent 1, 2, 3 …, each record from the device, verified
//	           named and whole ──► verified
//	           named and bad, named and absent ──► Finding, after a second look
//	           whole and not named ──► orphan: counted, never touched
//
// A Cursor says how far a drive's present pass has come; it is kept by the caller
// and survives restarts, so that a crash repeats at most what was read since it was
// kept. A pass writes nothing to a drive.
//
// A Pass belongs to one goroutine; passes of several drives run side by side.
// Where cursors lie, how a record's owner is found, how damage is repaired, and how
// much of the drives' time an audit may take from others, is for package objects to
// know.
package audit
