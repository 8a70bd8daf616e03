// Package distance compares float32 vectors. Its nouns are Metric, Query and
// kernel.
//
// A kernel multiplies or subtracts one vector with one row or with four
// neighbouring rows of a row-major matrix. Each has a twin in plain Go; on amd64
// with AVX2 and FMA an assembly form takes its place when the program starts:
//
//	query  [d]float32 ─┐
//	rows   [4][d]float32 ─► four dot products, or four squared distances
//
// A Query turns those into the distances that an index answers with:
//
//	cosine      1 - cos(q, v)      0 to 2
//	euclidean   Σ (q - v)²         squared, which orders like the distance itself
//	dot         -Σ q·v             so that smaller is always nearer
//
// The package holds no state beyond the choice of kernels, touches no files,
// and may be called by many goroutines at once. Which rows are worth comparing
// is for package navigate and package vectors to decide.
package distance
