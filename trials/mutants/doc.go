// Command mutants proves that the tests of the object layer would notice. Its
// nouns are Site, Mutant and Catch.
//
// A site is a place where the layer protects data: a sync, a comparison of a
// checksum or an identity, a condition of a transaction, a swap. The sites are
// found by rules over the syntax tree (rules.go), so that a new one cannot be
// forgotten. A mutant is the layer with one site taken out. It must be caught: a
// test fails.
//
//	sources ──rules──► sites ──instrument──► one overlay ──go test -c──► one binary a package
//	                                                                      │ TARN_MUTANT=n
//	                                  past catches first, then by speed ──┴──► caught by …, or survived
//
// All mutants are compiled at once, each behind a switch that the environment
// sets, and the working tree is never touched. catches.txt remembers which test
// caught what; redundant.go lists the sites whose loss is proven harmless, with
// the proof. A survivor fails the run. It leaves to the tests what a failure is.
package main
