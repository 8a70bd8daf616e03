// Package admission decides whether a request may begin now, so that a server
// under more load than it can carry goes on doing as much as it can. Its nouns
// are Gate, Permit and Class.
//
//	request ──► Admit ──► room under the limit? ── yes ──► Permit ──► work ──► Done
//	              │                │ no                       │  ▲
//	              │                ▼                     Park │  │ Unpark
//	              │   lane of its class, newest first         ▼  │
//	              │                │                    waits for its client
//	              └── refused ◄────┘ lane full, waited too long, or its deadline passed
//
// Three measures work together against metastable overload. Waiting requests
// are served newest first, for the oldest are those whose clients are about to
// give up; who waited too long, or whose deadline passed, is dropped without
// having cost anything; and the limit of what is at work at once follows the
// time that work takes. Classes share the limit by weight, and tenants within
// a class share it evenly.
//
// A permit is parked while its request waits for its client's bytes, so that
// slow clients hold no room. Nothing here is durable. A Gate may be used by many
// goroutines at once; a Permit by one at a time. What a refusal looks like
// on the wire is for each door to know.
package admission
