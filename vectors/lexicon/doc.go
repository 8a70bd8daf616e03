// Package lexicon keeps inverted lists of the rows of a segment or a push. Its nouns are Lexicon,
// Section and List.
//
// A lexicon goes with rows that never change, and is made once with them: which rows have which values
// in which field of their filterable metadata, and which words in which text, how often. A section is
// one field of one kind, so that a question reads no more than the fields that it names:
//
//	┌──────┬─────┬──────────────────┬──────────────────┬───────────────┐
//	│ head │ ids │ values "section" │ values "year"    │ text "words"  │
//	└──────┴─────┴──────────────────┴──────────────────┴───────────────┘
//	                terms, rising ──► list of rows of each: gaps, or a bit a row where many have it
//
// What is alive among the rows is for package vectors to know, as is where a lexicon lies; it keeps a
// lexicon beside the rows, in the same transaction, so that no crash parts them. A field that was
// left out, because rows have too many different ones, is told of by Whole.
//
// A Lexicon and its Sections are immutable and may be used by many goroutines at once. Bytes are
// verified by checksum before they are used; malformed ones are an error, never a crash.
package lexicon
