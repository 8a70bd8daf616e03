// Package indextest is the index's contract as tests, and the fakes that others
// test with. Its nouns are Run, Log and TwoShards.
//
//	indextest.New(t)        a whole index in memory: the real Machine on a Log in memory
//	indextest.Run(t, open)  the conformance suite: every Index must pass it
//	TwoShards               a fake that gives positions of two shards
//
// Everything here lives in memory and dies with its test; the Log survives the
// index on top of it, so that a test can crash and reopen the index. All values
// may be used by many goroutines at once. What durability costs on drives is
// tested where the drives are.
package indextest
