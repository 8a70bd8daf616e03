package sigv4

import (
	"fmt"
	"net/url"
	"strings"
)

const queryPairsMax = 1000

// Pair is one decoded parameter of a query.
type Pair struct{ Name, Value string }

// Query is the parameters of a URL in their order, decoded.
type Query []Pair

// ParseQuery decodes the raw query of a URL. Unlike net/url it keeps semicolons
// and the order, and refuses what does not decode.
func ParseQuery(raw string) (Query, error) {
	if raw == "" {
		return nil, nil
	}
	n := strings.Count(raw, "&") + 1
	if n > queryPairsMax {
		return nil, fmt.Errorf("query has more than %d parameters", queryPairsMax)
	}
	query := make(Query, 0, n)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		p, err := decodePair(name, value)
		if err != nil {
			return nil, err
		}
		query = append(query, p)
	}
	return query, nil
}

func decodePair(name, value string) (Pair, error) {
	n, err := url.QueryUnescape(name)
	if err != nil {
		return Pair{}, fmt.Errorf("query parameter name: %w", err)
	}
	v, err := url.QueryUnescape(value)
	if err != nil {
		return Pair{}, fmt.Errorf("query parameter %q: %w", n, err)
	}
	return Pair{n, v}, nil
}

// Lookup returns the first value of a name.
func (q Query) Lookup(name string) (string, bool) {
	for _, p := range q {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

// Get returns the first value of a name, or nothing.
func (q Query) Get(name string) string {
	v, _ := q.Lookup(name)
	return v
}

// Has reports whether a name is there, with or without a value.
func (q Query) Has(name string) bool {
	_, ok := q.Lookup(name)
	return ok
}
