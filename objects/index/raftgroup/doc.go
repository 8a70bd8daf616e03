// Package raftgroup is an index.Index over a Raft group: the same Machine, fed
// by a replicated log instead of a local one. Its nouns are Group, replica and
// leader.
//
//	Commit ──► leader's log ──► a majority's logs ──► every replica's Machine ──► answer
//	Get, Scan, Snapshot, Position ──► leader, which a majority still follows ──► its Machine
//
// All replicas run in this process, on a network and with logs in memory: the
// group proves that nothing above the index depends on the journal, on Pebble or
// on one place. Replicas on other machines take the same code with another
// transport and another log store.
//
// A commit that was answered stays while a majority of the replicas lives;
// after a power cut everything is gone, as the logs are in memory. Reads are
// linearizable: the leader asks a majority before it answers. Positions are Raft
// log indexes of one shard; a watcher whose replica stops goes on at another.
//
// All methods may be called by many goroutines at once. Membership and
// durability belong to the cluster, which is yet to come.
package raftgroup
