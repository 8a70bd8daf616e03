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
// All methods may be called by many goroutines at once. The package knows
// nothing of buckets or objects; their key layout belongs to package objects.
package index
