// Package epochmodel is the journal's epoch protocol without its code: small
// enough that every interleaving can be walked through. Its nouns are Bounds,
// Flaw and Report.
//
// Four drives, two copies of the log, one drive that may lack something at any
// time. The process takes the steps of the protocol one drive at a time:
//
//	serving ─ submit ─► writing ─ all synced ─► acknowledged, serving
//	                       │ a drive is gone, or too slow
//	                       ▼
//	                    sealed ─► reserving ─► copying ─► naming ─► serving
//	                       ▲                      │ a chosen drive is gone
//	                       ├──────────────────────┘
//	down ─ open ───────────┤ a drive of the epoch is missing or behind
//	                       └► rewriting ─► resaving ─► serving
//
// Between any two steps a drive may vanish, return with what it had, or be
// wiped; the process may be killed (unsynced writes stay visible) or the power
// cut (each unsynced write stays or goes). Explore visits every reachable state
// and checks, whenever the log serves, that all that was acknowledged or shown
// before is there in the same order, and that nothing appears that was once
// decided not to be there.
//
// A Flaw leaves one rule of the protocol out. Explore must then find the loss
// that the rule is there to prevent: so the model shows that it can fail.
//
// Left out: trimming, rot, and batches of several records, which the tests of
// package journal cover. The package keeps nothing and touches nothing outside;
// Explore may be called by many goroutines at once.
package epochmodel
