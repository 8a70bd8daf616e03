package main

// redundant sites may be lost without harm; each with the proof. A site leaves
// this table when a test catches its loss.
var redundant = map[string]string{}
