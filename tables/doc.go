// Package tables keeps rows that others can read: Parquet files in the object
// layer. Its nouns are Row, File and Page.
//
// Its first part is the row files of vector indexes. A File is written, read back
// and compared value by value before its place is handed out, so that no commit
// can name a file that does not hold its rows. The vector column is required,
// PLAIN and uncompressed; a File knows where the values of each page begin, so
// that one vector is one range read:
//
//	┌ row group ────────────────────────────────────────┐
//	│ id │ key │ vector: page │ page │ page │ metadata … │   Page{FirstRow, Offset}
//	└───────────────┬────────────────────────────────────┘
//	                └─ values at Offset + (row-FirstRow)·4·dimension
//
// A file that was written but not committed is an orphan, collected by the
// object layer. Files are immutable; RowFiles may be used by many goroutines at
// once. Iceberg metadata, scans and catalogs are parts to come here; which rows
// are alive is for package vectors to know.
package tables
