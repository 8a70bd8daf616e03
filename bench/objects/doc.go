// Command objects measures the object layer from outside: a load client speaks S3
// to a `tarn serve` of six folders at 4+2 that it starts itself. Its nouns are Job,
// Target and Round.
//
//	         ┌────────────── one round ──────────────┐
//	job 1:   bare HTTP     tarn     raw disk
//	job 2:   bare HTTP     tarn     raw disk
//	…
//
// Two yardsticks take part in every round, so that a busy machine slows all three:
// a bare net/http handler that checks SigV4 and the MD5 and keeps bodies in
// memory, and the raw disk, which gets the same bytes by pwrite and fdatasync with
// group commit to preallocated, zeroed files. The medians of all rounds are
// printed as a Markdown table, the ratios first. The yardsticks are pinned: to
// change one needs a decision record, for every ratio ever published leans on them.
//
// The client writes its requests by hand over kept connections, so that what it
// costs is small; it is told apart from what the servers cost. Every answer is
// checked: ETags of puts, the bytes of gets, the number of keys listed.
//
// Nothing here survives a crash, and it leaves its folders behind only when asked to.
package main
