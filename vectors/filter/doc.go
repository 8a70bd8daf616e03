// Package filter decides which vectors a question means by their metadata. Its
// nouns are Document, Filter and condition.
//
// Metadata is a flat JSON object of strings, numbers, booleans and arrays of
// these. It is checked once and packed into a Document, a small binary form that
// a Filter reads without parsing JSON again:
//
//	{"year": 2020, "tags": ["a", "b"]}  ──Pack──►  Document  ◄──Match──  Filter  ◄──Parse──  {"year": {"$gte": 2000}}
//
// A condition holds for an array when it holds for any of its elements; $ne, $nin
// and $not are the exact opposites of $eq, $in and what they enclose, so that they hold for a
// document that lacks the field.
//
// Values of this package are immutable once made and may be used by many
// goroutines at once; the package keeps nothing on disk itself, but Documents lie in
// segments and tail frames, so their format has a version. Which fields are
// filterable is for package vectors to know.
package filter
