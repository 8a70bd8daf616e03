// Package quantize keeps vectors in few bits and estimates distances from them, with a
// bound on the error. Its nouns are Rotation, Code and Probe.
//
// A vector o of a neighbourhood with centroid c becomes the signs of P(o-c), where P is a
// fixed rotation: RaBitQ (Gao and Long, SIGMOD 2024). Beside the signs lie three numbers a
// row, by which the distance to a query and the width of its error follow from the sum of the
// rotated query's coordinates where the sign is set; and the same rotated residual in
// eight bits a coordinate, by which those that passed are ranked anew:
//
//	o-c ─► P ─► signs   ─► chunks of 32 rows: table look-ups, estimate, bound, mask (Scan)
//	          └► 8 bits  ─► rows: integer dot products (Probe.Wide)
//	q   ─► P ─► Query: one look-up table, one 16-bit vector ─► Probe, a query at one centroid
//
// The query is rotated once and not moved to each centroid: ⟨signs, P·c⟩ is known when a row is
// encoded and lies in its additive number, which is where we depart from the paper.
//
// The rotation of a dimension never changes, for codes on disk depend on it. Everything here is
// pure; a Rotation may be shared, a Query belongs to one goroutine. Which rows are alive and how
// chunks lie in a file is left to others.
package quantize
