// Package index is the one strongly consistent ordered map that decides what
// exists. Its nouns are Txn, Position and Watcher.
//
// A transaction is one entry {request id, conditions, mutations}. Entries are
// put in one order and made durable by a log (the journal on m+1 drives, or a
// Raft group), then evaluated deterministically by a Machine, whose view is a
// Pebble store that can always be rebuilt:
//
//	Commit ──► log: ordered, synced on m+1 drives ──► Machine.apply ──► answer
//	                                                      │
//	                                                      └──► Watch: every follower, in order
//
// A commit is the only point of visibility: what Commit has answered, every
// later Get, Scan and Watch sees, and a crash loses none of it. What a crash
// left unanswered is either wholly there or wholly absent.
//
// Pebble's own log is off. The view keeps a prefix of the log across a crash and
// says which; where its folder is gone, damaged, or of another store, or fails
// while serving, it is made anew from a checkpoint and the log's rest, in the
// first folder that takes it. A checkpoint is the whole view as one verified
// stream, after which the log is trimmed to what watchers may still ask for.
//
// Watchers get the latest entries from a ring in memory, older ones from the
// log, with the outcomes (which guards held) that the view keeps for as long.
//
// The outside formats are in txn.go (entries), image.go (checkpoints), layout.go
// (the view) and position.go.
//
// All methods may be called by many goroutines at once. The package knows
// nothing of buckets or objects; their key layout belongs to package objects.
package index
