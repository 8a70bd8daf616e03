// Package durability answers how safe the bytes were, and how safe they are. Its
// nouns are Day, Loss and Estimate.
//
//	Day, Day, Day …  what was measured: bytes verified, errors found, drives lost, repair times
//	     │ upper bounds of the rates (exact Poisson)
//	     ▼
//	Markov chain of one stripe ──► Estimate: probability of its loss in a year, in nines,
//	                               with the assumptions in words
//
//	(visible, latent): shards that are known to be bad, and those that nobody knows of yet
//	 (0,0) ─latent error─► (0,1) ─audit─► (1,0) ─repair─► (0,0)
//	 (0,0) ─drive lost──► (1,0);  a device lost: as many at once as lie on it;  > m: lost
//
// A Loss is one entry of the exact ledger of acknowledged stripes of which fewer than
// k shards can be read: no estimate, but what happened. Days and Losses are encoded
// here and kept by package objects; a crash may cost the counts of the last minute
// of a Day, and no Loss.
//
// All of it are values without state of their own.
package durability
