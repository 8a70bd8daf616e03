package main

// redundant sites may be lost without harm; each with the proof. A run says so
// where a test catches the loss of one all the same.
var redundant = map[string]string{
	"objects/complete.go Store.complete condition 1":          "whatever ends an upload deletes its touch key, which exists as soon as a part does: the condition on that key fails too",
	"objects/tx.go Tx.endLineage guard 2":                     "where there is no marker, deleting it changes nothing",
	"objects/tx.go Tx.LinkSource guard 1":                     "a marker is always empty and its version is never asked for: putting it again changes nothing that is read",
	"objects/index/viewfs.go viewDir.Sync sync 1":             "the view may vanish at any time: one that lost names in a crash is refused, or older, and made anew from checkpoint and log",
	"objects/index/imageread.go imageReader.end compare 1":    "the chained checksum, verified before, covers every block and the trailer, and the records were counted in those blocks",
	"objects/index/journal/restore.go scanned.take compare 2": "the record's identity, verified with its header, is the epoch's id: 16 bytes of entropy that no other epoch has",
	"objects/drive/read.go recordReader.open compare 1":       "the checksum of the header, verified before, begins with the extent's generation: one of another generation does not verify",
	"objects/drive/walk.go walker.belongs compare 1":          "the checksum of the header, verified before, begins with the extent's generation: one of another generation does not verify",
	"objects/drive/spares.go Drive.zeroStep sync 1":           "zeros ahead only make later syncs cheap: the sync of an extent's activation and of each group make durable what they need, its size too",
}
