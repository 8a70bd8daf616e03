// Package drive keeps records on one drive so that a crash cannot tear an
// acknowledged one. Its nouns are Drive, Extent and Record.
//
// A drive is a folder with a header and append-only extents; there is no file
// per object. One writer goroutine a class takes whatever is queued, writes it,
// syncs once, and only then acknowledges it (group commit).
//
//	drive-1/
//	  header          who this drive is, twice, checksummed
//	  root            the store-wide root record, replaced atomically
//	  lock            held while the drive is open
//	  extents/        00000001.extent …
//
//	extent: ┌────────┬──────────┬──────────┬───┬──────────┬──────┬───────────────┐
//	        │ header │ record 1 │ record 2 │ … │ record n │ seal │ (room ahead)  │
//	        └────────┴──────────┴──────────┴───┴──────────┴──────┴───────────────┘
//	        a sector  records begin on 512-byte sectors    when it is ended
//
// Extents of stripes grow and end with their seal. Those of the journal and of
// small records have a fixed size and their seal in the last sector: they are
// zeroed once, ahead of need, and used again and again. Each life of one is a
// generation, which is part of every checksum and address: what an earlier one left
// behind never verifies, and whoever still asks for it is told that it is gone.
//
//	zeroed ─► free ─► active ─► sealed ─► removed: free, under the next generation
//
// Promise across a crash: a record whose Append returned nil is there and
// verifies, or is reported as rotten; one that was not acknowledged may be
// there, whole, or not. Each record tells which sequence was acknowledged when it
// was written: a bad record is a torn tail only where nothing proves that it was
// acknowledged, and rot otherwise. A failed sync is never retried: the extent is
// retired, which means that it stays readable and is never written again. No
// session appends to an extent of an earlier one.
//
// A Drive may be used by many goroutines at once. Which records are alive, and
// where their copies lie, is for package objects to know.
package drive
