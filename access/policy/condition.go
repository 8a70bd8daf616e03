package policy

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// Facts that a condition may ask about, by their keys in lower case.
const (
	FactSourceIP     = "aws:sourceip"
	FactSecure       = "aws:securetransport" // "true" or "false"
	FactPrincipalARN = "aws:principalarn"
	FactUserAgent    = "aws:useragent"
	FactPrefix       = "s3:prefix" // of a list of objects
)

var facts = []string{FactSourceIP, FactSecure, FactPrincipalARN, FactUserAgent}

// value is a text; policies may write booleans and numbers without quotes.
type value string

func (v *value) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(v))
	}
	if s := string(text); s == "true" || s == "false" {
		*v = value(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(text, &n); err != nil {
		return err
	}
	*v = value(n)
	return nil
}

// condition compares one fact with values.
type condition struct {
	fact     string
	values   []string
	match    func(value, fact string) bool
	inverted bool // holds where no value matches
	ifExists bool // holds where the fact is unknown
	null     bool // asks whether the fact is unknown
}

// operator is how a value is compared, and what values it takes.
type operator struct {
	match    func(value, fact string) bool
	takes    func(value string) bool
	inverted bool
}

func anything(string) bool { return true }
func boolean(v string) bool {
	return strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
}
func same(v, fact string) bool { return v == fact }

var operators = map[string]operator{
	"StringEquals":              {match: same, takes: anything},
	"StringNotEquals":           {match: same, takes: anything, inverted: true},
	"StringEqualsIgnoreCase":    {match: strings.EqualFold, takes: anything},
	"StringNotEqualsIgnoreCase": {match: strings.EqualFold, takes: anything, inverted: true},
	"StringLike":                {match: like, takes: anything},
	"StringNotLike":             {match: like, takes: anything, inverted: true},
	"ArnEquals":                 {match: like, takes: anything},
	"ArnLike":                   {match: like, takes: anything},
	"ArnNotEquals":              {match: like, takes: anything, inverted: true},
	"ArnNotLike":                {match: like, takes: anything, inverted: true},
	"Bool":                      {match: strings.EqualFold, takes: boolean},
	"Null":                      {takes: boolean},
	"IpAddress":                 {match: within, takes: network},
	"NotIpAddress":              {match: within, takes: network, inverted: true},
}

func network(v string) bool {
	_, err := prefixOf(v)
	return err == nil
}

func prefixOf(v string) (netip.Prefix, error) {
	if strings.Contains(v, "/") {
		return netip.ParsePrefix(v)
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Prefix(a.BitLen())
}

func within(v, fact string) bool {
	p, err := prefixOf(v)
	a, err2 := netip.ParseAddr(fact)
	return err == nil && err2 == nil && p.Contains(a.Unmap())
}

func conditions(path string, in map[string]map[string]oneOrMany[value], more []string) ([]condition, error) {
	var all []condition
	for name, byFact := range in {
		plain, ifExists := strings.CutSuffix(name, "IfExists")
		op, known := operators[plain]
		if !known || ifExists && plain == "Null" {
			return nil, fail(path+"."+name, "is no operator that is enforced here")
		}
		for fact, values := range byFact {
			at := path + "." + name + "." + fact
			c := condition{fact: strings.ToLower(fact), match: op.match, inverted: op.inverted, ifExists: ifExists, null: plain == "Null"}
			if !slices.Contains(facts, c.fact) && !slices.Contains(more, c.fact) {
				return nil, fail(at, "is no condition key that is known here")
			}
			if len(values) == 0 {
				return nil, fail(at, "needs a value")
			}
			for _, v := range values {
				if !op.takes(string(v)) || variable(string(v)) {
					return nil, fail(at, "cannot take %q", v)
				}
				c.values = append(c.values, string(v))
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func (c *condition) holds(known map[string]string) bool {
	fact, present := known[c.fact]
	if c.null {
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "true") == !present })
	}
	if !present {
		return c.ifExists || c.inverted
	}
	return slices.ContainsFunc(c.values, func(v string) bool { return c.match(v, fact) }) != c.inverted
}
