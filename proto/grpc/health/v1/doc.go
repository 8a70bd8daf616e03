// Package healthv1 is gRPC's health checking protocol as messages, generated
// from health.proto beside it: names and numbers are fixed by that protocol.
// Its nouns are Health, ServingStatus and service. It imports nothing of ours.
package healthv1
