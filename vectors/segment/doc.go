// Package segment keeps vectors with all that belongs to them as bytes that
// can be used where they lie. Its nouns are Row, Block and Segment.
//
// A Block holds rows by column, each column (a tier) at a known offset with its
// own checksum. The same form serves three times:
//
//	tail frame       one block: the rows of one push, with the neighbourhood given to each
//	row file         one block: rows in the order of their ids
//	segment          directory, then one block for each neighbourhood:
//
//	  header │ directory: neighbourhood → block │ block │ block │ …
//	                                              ids, vectors, lengths, keys, documents, metadata, sources
//
// Rows of a block may lie in cells, and cells may have guests: rows of other cells that are found there too.
//
// A block of a segment is one range read. New tiers (codes, 8-bit vectors) get
// numbers of their own; a reader passes over tiers that it does not know.
//
// What is opened was verified: every checksum, every offset. The bytes come from and
// go to package objects, which makes them durable; nothing here changes after
// it was written. Blocks may be read by many goroutines at once; a Builder
// belongs to one. Who is alive, and which neighbourhood is near, is for package
// vectors to know.
package segment
