// Package journal is the index's log, kept as copies on m+1 of the store's
// drives. Its nouns are Journal, Epoch and State.
//
// An append becomes one record (several above 4 MiB) that is synced on every
// drive of the present epoch before it is answered. An epoch is a set of m+1
// drives with the whole kept part of the log on each of them:
//
//	drives   1   2   3   4   5   6
//	epoch 4  ■   ■   ■                 drive 2 fails: the epoch is sealed
//	epoch 5  ■       ■   ■             everything kept is copied, then the roots name epoch 5
//
// Nothing is appended to an epoch after one of its drives failed. The next one
// comes to be in four steps, each durable before the following one begins:
//
//	reserve   the roots get the new epoch's number, which so is never used twice
//	copy      everything kept, and the batch under way, is synced on the new drives
//	name      the roots get the new epoch
//	answer    the batch is acknowledged; what older epochs left on drives is given back
//
// Each of the first and third steps reaches at least m+1 roots, and a store with
// fewer than all but m of its drives is refused: so every later start sees a
// step that was completed. A naming that was cut off may be seen or not. Either is right:
// nothing was acknowledged in that epoch, it holds all that the former one
// acknowledged, and the next number is above it. The former one is never gone on with
// once a number above its own is reserved, for the drive that knows the name could
// return later. Package epochmodel explores this.
//
// Promise across a crash: what Append has acknowledged is recovered, in order and
// without gap, although any m drives are lost, stale, or rotten; what it has not
// acknowledged is recovered as a prefix, or not. A record that does not verify is a torn
// tail only where no record or root on any drive tells that it was acknowledged; else
// another copy must have it, and where none does Open refuses (ErrLost) and
// changes nothing. Recovery makes everything durable on m+1 drives before it serves.
// With fewer well drives the journal is read-only.
//
// In memory there is only where each record lies. Replay reads and verifies copies,
// and goes to the next one where one is bad or slow.
//
// Append, Trim, Rest, Reconfigure and Close wait for each other; Replay, First, Last and
// Bytes may be called beside them. The package leaves to others: which drives
// are in which failure domain (Options.Choose), where a State lies in a drive's root
// (Roots), and what an entry means.
package journal
