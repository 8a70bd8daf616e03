package filter

import (
	"slices"
	"strings"
)

// Limits on a filter.
const (
	FilterBytesMax = 64 << 10
	DepthMax       = 8    // of nested $and, $or and $not
	ConditionsMax  = 1024 // in all, each element of $in among them
)

// Filter is a parsed filter. The nil Filter matches everything.
type Filter struct {
	root   node
	fields []string
	text   string
}

// Fields are the names that the filter asks about, sorted.
func (f *Filter) Fields() []string {
	if f == nil {
		return nil
	}
	return f.fields
}

// Text is what was parsed.
func (f *Filter) Text() string { return f.text }

// Match reports whether the document is meant.
func (f *Filter) Match(d Document) bool { return f == nil || f.root.match(d) }

// Parse reads a filter. Nothing, null and {} match everything: the nil Filter.
func Parse(raw []byte) (*Filter, error) {
	if len(raw) > FilterBytesMax {
		return nil, fail("", "has %d bytes, more than %d", len(raw), FilterBytesMax)
	}
	if text := strings.TrimSpace(string(raw)); text == "" || text == "null" {
		return nil, nil
	}
	p := parser{budget: ConditionsMax, fields: map[string]bool{}}
	root, err := p.object(raw, "", 1)
	if err != nil || len(root) == 0 {
		return nil, err
	}
	f := &Filter{root: root, text: string(raw)}
	for name := range p.fields {
		f.fields = append(f.fields, name)
	}
	slices.Sort(f.fields)
	return f, nil
}

// node is a part of a filter.
type node interface {
	match(Document) bool
	choose(Lists) Set
	entries(Lists) int
}

// all holds when each part does.
type all []node

func (a all) match(d Document) bool {
	for _, n := range a {
		if !n.match(d) {
			return false
		}
	}
	return true
}

// some holds when at least one part does.
type some []node

func (s some) match(d Document) bool {
	return slices.ContainsFunc(s, func(n node) bool { return n.match(d) })
}

type not struct{ node }

func (n not) match(d Document) bool { return !n.node.match(d) }

// exists holds when the field is there, be its array empty or not.
type exists struct{ name string }

func (e exists) match(d Document) bool {
	_, _, found := d.field(e.name)
	return found
}

// condition holds when any value of the field passes, which is to lie in one of the spans.
type condition struct {
	name  string
	test  func(value) bool
	spans []Span
}

func (q condition) match(d Document) bool {
	c, n, _ := d.field(q.name)
	for ; n > 0 && !c.bad; n-- {
		if v := c.value(); !c.bad && q.test(v) {
			return true
		}
	}
	return false
}
