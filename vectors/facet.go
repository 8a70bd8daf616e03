package vectors

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/lexicon"
	"github.com/tarnlake/tarn/vectors/segment"
)

// Limits of Facets.
const (
	FacetFieldsMax = 10
	FacetValuesMax = 1000    // that are returned of a field
	facetTermsMax  = 200_000 // different values of a field that are counted
)

// FacetRequest asks how often which values occur.
type FacetRequest struct {
	Filter []byte   // JSON; nil: all vectors
	Fields []string // 1 to 10 filterable metadata keys
	Max    int      // values of each field, the most frequent; 1 to 1000; 0: 100
}

// Facet is one field.
type Facet struct {
	Field    string
	Values   []FacetValue // the most frequent first
	Distinct int          // different values in all
	Vectors  uint64       // that have the field
}

// FacetValue is one value of a field: a string, a float64 or a bool. A vector with an array counts for each
// of its values.
type FacetValue struct {
	Value any
	Count uint64
}

// Facets counts the values of fields among the vectors that a filter means.
func (e *Engine) Facets(ctx context.Context, bucket, name string, r FacetRequest) (facets []Facet, total uint64, err error) {
	if r.Max == 0 {
		r.Max = 100
	}
	if err := r.validate(); err != nil {
		return nil, 0, err
	}
	err = e.withLiving(ctx, bucket, name, r.Filter, func(o *opened, m *moment, list []living) error {
		facets, total = nil, 0
		for _, l := range list {
			total += uint64(l.rows)
		}
		for i, field := range r.Fields {
			if !o.rec.spec.filterable(field) {
				return invalid(fmt.Sprintf("fields[%d]", i), "%q is one of the index's non-filterable metadata keys", field)
			}
			f, err := o.facet(ctx, m, list, field, r.Max)
			if err != nil {
				return err
			}
			facets = append(facets, f)
		}
		return nil
	})
	return facets, total, err
}

func (r *FacetRequest) validate() error {
	if len(r.Fields) < 1 || len(r.Fields) > FacetFieldsMax {
		return invalid("fields", "has %d, must have 1 to %d", len(r.Fields), FacetFieldsMax)
	}
	if r.Max < 1 || r.Max > FacetValuesMax {
		return invalid("max", "is %d, must be 1 to %d", r.Max, FacetValuesMax)
	}
	for i, f := range r.Fields {
		if f == "" || slices.Contains(r.Fields[:i], f) {
			return invalid(fmt.Sprintf("fields[%d]", i), "%q is empty, or named twice", f)
		}
	}
	return nil
}

func (o *opened) facet(ctx context.Context, m *moment, list []living, field string, most int) (Facet, error) {
	counts := map[string]uint64{}
	of := make([]wordsOf, len(list))
	for i, l := range list {
		of[i] = l.of
	}
	sections, err := o.sections(ctx, of, lexicon.Values, field)
	if err != nil {
		return Facet{}, err
	}
	for i, s := range sections {
		if s == nil {
			if err := o.facetDocuments(ctx, m, list[i], field, counts); err != nil {
				return Facet{}, err
			}
			continue
		}
		for t := range s.Terms() {
			if n := s.Count(list[i].set, t); n > 0 {
				counts[s.Term(t)] += uint64(n)
			}
		}
		if len(counts) > facetTermsMax {
			return Facet{}, invalid("fields", "%q has more than %d different values; narrow the filter", field, facetTermsMax)
		}
	}
	return facetOf(field, counts, most), nil
}

// facetDocuments counts in documents, where the field has no section although a row may have it.
func (o *opened) facetDocuments(ctx context.Context, m *moment, l living, field string, counts map[string]uint64) error {
	if covers, err := l.of.covers(ctx, o, lexicon.Values, field); err != nil || covers {
		return err
	}
	return o.eachBlock(ctx, m, []living{l}, func(b *segment.Block, row int) {
		seen := map[string]bool{}
		b.Document(row).Keep(func(name, value string) {
			if name == field && !seen[value] {
				seen[value] = true
				counts[value]++
			}
		})
	})
}

func facetOf(field string, counts map[string]uint64, most int) Facet {
	f := Facet{Field: field, Vectors: counts[filter.Present.Lo]}
	delete(counts, filter.Present.Lo)
	f.Distinct = len(counts)
	terms := slices.Collect(maps.Keys(counts))
	slices.SortFunc(terms, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, t := range terms[:min(most, len(terms))] {
		f.Values = append(f.Values, FacetValue{filter.ValueOf(t), counts[t]})
	}
	return f
}
