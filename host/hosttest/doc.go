// Package hosttest is a host made of memory: seeded, and able to fail in every
// way that a machine can. Its nouns are Disk, Clock and Op.
//
// A Disk is a file system (Pebble runs on it too) that keeps two states apart:
// what programs see, and what the platters hold.
//
//	           write            sync of the file
//	program ─────────► page cache ─────────► platter      contents, by 512-byte sectors
//	           create           sync of the folder
//	program ─────────► names seen ─────────► names kept   create, rename, remove, link
//
// CrashClone is the disk after a power cut: what was synced is there; of the
// rest each sector, each file size and each change of a name survives or not, as
// the seed decides. Locks are gone. EveryCrash cuts the power at every operation
// of a workload in turn. Faults make chosen operations fail, hang or lie; Corrupt,
// Swap, LoseWrites and Wipe do to the bytes what bad drives do.
//
// The models of the fake err on the cruel side: a folder's sync keeps only that
// folder's names, a grown file may hold zeros where unsynced sectors lay, and data
// whose sync failed is dropped although later syncs succeed.
//
// All of it may be used by many goroutines at once. Timing of real devices is not
// modelled.
package hosttest
