// Package policy decides what a resource's policy says about a request, in the
// language that AWS's resource policies are written in. Its nouns are Policy,
// Statement and Verdict.
//
//	text ──Parse(Rules)──► Policy{Statement…} ──Judge(Request)──► Denied │ Allowed │ Silent
//
// One Deny that applies outweighs every Allow. A policy that is silent leaves the
// decision to whoever asked: the right of an identity of the same account is
// enough, so an Allow adds nothing to it and only a Deny takes something away.
//
// Nothing is taken that would not be enforced: members, principals, actions,
// operators and condition keys that are unknown here are refused by Parse with
// their place, never passed over.
//
// The package keeps nothing; the text is its callers' to keep. A Policy never
// changes and may be used by many goroutines at once. Who signed a request, and
// on which resources policies lie, is for the doors to know.
package policy
