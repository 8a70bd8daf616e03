// Package vectors keeps vector indexes and finds nearest neighbours. Its nouns
// are Index, Neighbourhood and Tail.
//
// An index is rows (key, vector, metadata, source) and neighbourhoods over them. A
// push is durable and searchable when it is answered; upkeep folds pushes into
// neighbourhoods in the background:
//
//	Put ──► frame of rows, durable ──► one index transaction ──► answer
//	                                     key → vector id            │ Watch
//	                                     tail record                ▼
//	                     memory:  tail, each row in the delta of its neighbourhood
//	                                                                │ upkeep, one transaction a step
//	                     segments: blocks, and their lexicons ◄─────┤
//	                     row files, open to others           ◄──────┘
//
//	Query ──► barrier ──► cells of the nearest neighbourhoods ──► the nearest of them, and deltas ──► filter, alive? ──► best k
//
// A key means a vector by its id, never by its place, so that upkeep rewrites no key.
// An overwritten or deleted id is superseded: hidden in memory at once, by the
// tail record that tells of it, and dropped from its block when that is
// rewritten. Vectors whose source object's version died are hidden by the same
// entry that deleted or replaced the object, through whichever door.
//
// Promises across a crash: a push that was answered is there, whole; one that was not
// is wholly there or absent. A step of upkeep is published in one transaction or
// not at all; nothing is rebuilt when an index is opened. Nothing acknowledged is
// ever missing from an exact answer, nor from a probed one for lack of freshness.
//
// An Engine may be used by many goroutines at once, and several engines may serve one
// store: conditions on the upkeep record let one of two publishers win. One follower
// applies committed entries in order; a query waits until it has reached the
// index's position. Locks are never held across I/O or while vectors are compared.
//
// Left to others: who may ask (query, ingest), making vectors from text (ingest), the
// form of row files (tables, through RowFiles), and where bytes lie (objects).
package vectors
