// Package policy decides what a policy says about a request, in the language that
// AWS's policies of identities and of resources are written in. Its nouns are Policy,
// Statement and Verdict.
//
//	text ──Parse(Rules)──► Policy{Statement…} ──Judge(Request)──► Denied │ Allowed │ Silent
//
// One Deny that applies outweighs every Allow. What the verdicts of several policies
// mean together is for package authority. An Allow of a resource's policy to the account
// leaves the decision to the account, as in AWS: it grants nothing by itself.
//
// Nothing is taken that would not be enforced: members, principals, actions,
// operators and condition keys that are unknown here are refused by Parse with
// their place, never passed over.
//
// The package keeps nothing; the text is its callers' to keep. A Policy never
// changes and may be used by many goroutines at once. Who signed a request, and
// on which resources policies lie, is for the doors to know.
package policy
