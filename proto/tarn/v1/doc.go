// Package tarnv1 is Tarn's query API as messages: vectors, objects and
// administration, generated from the .proto files beside it by `make generate`.
// Its nouns are Vector, Object and Drive.
//
// It imports nothing of ours and promises nothing across a crash. Messages may
// be read by many goroutines at once, and changed by one.
package tarnv1
