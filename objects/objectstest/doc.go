// Package objectstest is the object layer as a few maps in memory. Its nouns
// are Store, Model and Same.
//
//	objects.Store ──┐
//	                ├── objectstest.Store: what a door calls
//	Model ──────────┘
//
// Model is the oracle of the object layer's own tests, and the mock for the
// tests of those above. It shares no code with what it models but the types,
// the errors and the checks of names. Nothing of it survives its process. It
// may be used by many goroutines at once, all of which take turns.
//
// Drives, lineage and transactions over several kinds are not modelled: who
// needs them takes the real Store on a fake host.
package objectstest
