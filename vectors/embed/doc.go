// Package embed turns texts into vectors with the model that an index names. Its
// nouns are Client, Model and Text.
//
// The first kind is "openai": any server of POST /v1/embeddings. An answer is
// checked before it is used: as many vectors as texts, each of the index's
// dimension, every number finite. Nothing is kept, so nothing is lost in a
// crash. A Client may be used by many goroutines at once. Which model an index
// has, and that no other is mixed in, is for package vectors to hold.
package embed
