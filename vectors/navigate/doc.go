// Package navigate finds the centroids nearest to a vector, and makes centroids.
// Its nouns are Centroids, Order and Cluster.
//
// Each neighbourhood of a vector index has a centroid. A vector that is written joins
// the neighbourhood of its nearest centroid; a query visits neighbourhoods in
// the Order of their centroids:
//
//	vector ──Nearest──► the one neighbourhood that it belongs to
//	query  ──Order────► nearest, second, third … as far as the query wants to go
//	rows   ──Cluster──► centroids, as even in size as the data lets them be
//
// Both directions scan every centroid with the four-row kernel: exact, and fast
// up to some 6,000 centroids. A tree above that belongs here, behind the same Order.
//
// A Navigator gives the n nearest centroids only. Choose returns the exact scan as
// one, or a Graph over coder/hnsw where that is measured to find what the scan finds:
//
//	Centroids ──many?──► newGraph ──recall ≥ Floor?──► Graph, for that many centroids or fewer
//	              no                     no            Centroids
//
// A neighbourhood is divided further, into cells. An Atlas is all cells of an index; a Search finds those nearest to a query, which is
// what queries look into. Refining gives rows their cells, and Guests give rows a second one:
//
//	rows, cells ──Refine──► cells in the middle of their rows ──Guests──► rows that each cell has as guests
//	query ──Search.Nearest──► places: cells, and neighbourhoods without any
//
// Centroids, Graphs and Atlases are immutable and may be used by many goroutines at once. Nothing here is
// durable; package vectors keeps centroids in the index.
package navigate
