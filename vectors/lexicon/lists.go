package lexicon

import "github.com/tarnlake/tarn/vectors/filter"

// Lists are the sections of values that a filter asks about, as package filter wants them. Fields
// that no row has need no section.
type Lists struct {
	Count  int // rows
	Fields map[string]*Section
}

// Rows that the lists are about.
func (l Lists) Rows() int { return l.Count }

// Union adds the rows that have a value of a field in a span.
func (l Lists) Union(set filter.Set, field string, span filter.Span) {
	if s := l.Fields[field]; s != nil {
		first, end := s.Range(span)
		s.Union(set, first, end)
	}
}

// Entries is how many entries of lists Union reads.
func (l Lists) Entries(field string, span filter.Span) int {
	s := l.Fields[field]
	if s == nil {
		return 0
	}
	return s.Entries(s.Range(span))
}
