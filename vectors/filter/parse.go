package filter

import (
	"encoding/json"
	"fmt"
	"strings"
)

type parser struct {
	budget int // conditions that may still come
	fields map[string]bool
}

// spend counts conditions before memory is taken for them.
func (p *parser) spend(n int, path string) error {
	if p.budget -= n; p.budget < 0 {
		return fail(path, "has more than %d conditions", ConditionsMax)
	}
	return nil
}

// object reads {"field": …, "$and": […], …}: all of it must hold.
func (p *parser) object(raw []byte, path string, depth int) (all, error) {
	if depth > DepthMax {
		return nil, fail(path, "is nested deeper than %d", DepthMax)
	}
	list, err := members(raw, path)
	if err != nil {
		return nil, err
	}
	var parts all
	for _, m := range list {
		n, err := p.member(m, path, depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	return parts, nil
}

func (p *parser) member(m member, path string, depth int) (node, error) {
	at := join(path, m.name)
	if err := p.spend(1, at); err != nil {
		return nil, err
	}
	switch m.name {
	case "$and", "$or":
		parts, err := p.list(m.raw, at, depth)
		if err != nil {
			return nil, err
		}
		if m.name == "$or" {
			return some(parts), nil
		}
		return all(parts), nil
	case "$not":
		inner, err := p.object(m.raw, at, depth+1)
		if err == nil && len(inner) == 0 {
			err = fail(at, "must not be empty")
		}
		return not{inner}, err
	case "":
		return nil, fail(path, "a key is empty")
	}
	if strings.HasPrefix(m.name, "$") {
		return nil, fail(at, "is no operator here; known are $and, $or, $not, and within a field %s", operatorNames)
	}
	p.fields[m.name] = true
	return p.field(m, at, depth)
}

// list reads the filters of $and and $or.
func (p *parser) list(raw []byte, path string, depth int) ([]node, error) {
	elems, err := elements(raw, path)
	if err != nil {
		return nil, err
	}
	if len(elems) == 0 {
		return nil, fail(path, "must have at least one filter")
	}
	if err := p.spend(len(elems), path); err != nil {
		return nil, err
	}
	parts := make([]node, len(elems))
	for i, e := range elems {
		at := fmt.Sprintf("%s[%d]", path, i)
		inner, err := p.object(e, at, depth+1)
		if err != nil {
			return nil, err
		}
		if len(inner) == 0 {
			return nil, fail(at, "must not be empty")
		}
		parts[i] = inner
	}
	return parts, nil
}

// field reads what is asked of one field: a value, or an object of operators.
func (p *parser) field(m member, path string, depth int) (node, error) {
	if first(m.raw) != '{' {
		return p.operator(m.name, "$eq", m.raw, path, depth)
	}
	list, err := members(m.raw, path)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fail(path, "must have at least one operator")
	}
	var parts all
	for _, o := range list {
		n, err := p.operator(m.name, o.name, o.raw, join(path, o.name), depth)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	return parts, nil
}

const operatorNames = "$eq $ne $gt $gte $lt $lte $in $nin $exists $startsWith $not"

func (p *parser) operator(field, op string, raw json.RawMessage, path string, depth int) (node, error) {
	if err := p.spend(1, path); err != nil {
		return nil, err
	}
	switch op {
	case "$eq", "$ne":
		return equality(field, op == "$ne", raw, path)
	case "$gt", "$gte", "$lt", "$lte":
		return ordering(field, op, raw, path)
	case "$in", "$nin":
		return p.membership(field, op == "$nin", raw, path)
	case "$exists":
		return existence(field, raw, path)
	case "$startsWith":
		return prefix(field, raw, path)
	case "$not":
		return p.negation(field, raw, path, depth)
	}
	return nil, fail(path, "is no operator; known are %s", operatorNames)
}

func equality(field string, opposite bool, raw []byte, path string) (node, error) {
	want, err := scalar(raw, path)
	if err != nil {
		return nil, err
	}
	return opposed(condition{field, func(v value) bool { return same(v, want) }, []Span{want.point()}}, opposite), nil
}

func opposed(n node, opposite bool) node {
	if opposite {
		return not{n}
	}
	return n
}

func ordering(field, op string, raw []byte, path string) (node, error) {
	bound, err := scalar(raw, path)
	if err != nil {
		return nil, err
	}
	if bound.kind != kindNumber && bound.kind != kindString {
		return nil, fail(path, "needs a number or a string")
	}
	holds := map[string]func(order int) bool{
		"$gt":  func(o int) bool { return o > 0 },
		"$gte": func(o int) bool { return o >= 0 },
		"$lt":  func(o int) bool { return o < 0 },
		"$lte": func(o int) bool { return o <= 0 },
	}[op]
	return condition{field, func(v value) bool {
		order, ok := compare(v, bound)
		return ok && holds(order)
	}, []Span{spanOf(op, bound)}}, nil
}

func (p *parser) membership(field string, opposite bool, raw []byte, path string) (node, error) {
	list, err := elements(raw, path)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fail(path, "must have at least one value")
	}
	if err := p.spend(len(list), path); err != nil {
		return nil, err
	}
	values, _, err := scalars(list, path)
	if err != nil {
		return nil, err
	}
	set, spans := make(map[value]bool, len(values)), []Span(nil)
	for _, v := range values {
		if !set[v] {
			spans = append(spans, v.point())
		}
		set[v] = true
	}
	return opposed(condition{field, func(v value) bool { return set[v] }, spans}, opposite), nil
}

func existence(field string, raw []byte, path string) (node, error) {
	want, err := scalar(raw, path)
	if err != nil {
		return nil, err
	}
	if want.kind != kindTrue && want.kind != kindFalse {
		return nil, fail(path, "needs true or false")
	}
	return opposed(exists{field}, want.kind == kindFalse), nil
}

func prefix(field string, raw []byte, path string) (node, error) {
	want, err := scalar(raw, path)
	if err != nil {
		return nil, err
	}
	if want.kind != kindString {
		return nil, fail(path, "needs a string")
	}
	return condition{field, func(v value) bool {
		return v.kind == kindString && strings.HasPrefix(v.text, want.text)
	}, []Span{want.begins()}}, nil
}

// negation reads {"field": {"$not": {"$gt": 3}}}.
func (p *parser) negation(field string, raw json.RawMessage, path string, depth int) (node, error) {
	if depth >= DepthMax {
		return nil, fail(path, "is nested deeper than %d", DepthMax)
	}
	if first(raw) != '{' {
		return nil, fail(path, "needs an object of operators")
	}
	inner, err := p.field(member{field, raw}, path, depth+1)
	return not{inner}, err
}
