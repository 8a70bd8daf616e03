// Package pages keeps answers that were given only in part, for their further pages. Its nouns
// are Shelf, Answer and Life.
//
//	query ──► Answer ──Keep(id)──► Shelf ──Find(id)──► the same Answer, until its Life ends
//
// A Shelf holds so many bytes; the answer that was asked for least lately leaves first. Nothing of
// it survives a crash, and an answer may leave at any time: whoever looks for it asks anew, or
// tells the client to.
//
// A Shelf may be used by many goroutines at once, and an Answer that was kept is not changed any
// more. Who may see an answer, and how it is cut, is for the doors: they put into the id what tells
// one caller's question from another's.
package pages
