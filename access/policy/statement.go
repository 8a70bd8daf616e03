package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

type words = oneOrMany[string]

type rawStatement struct {
	Sid          string
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       words
	NotAction    words
	Resource     words
	NotResource  words
	Condition    map[string]map[string]oneOrMany[value]
}

// statement is one that was checked.
type statement struct {
	deny       bool
	who        set
	action     set // patterns in lower case
	resource   set
	conditions []condition
}

// set holds what is in a list of patterns, or what is not.
type set struct {
	patterns []string
	inverted bool
}

func (s *set) holds(text string) bool {
	for _, p := range s.patterns {
		if like(p, text) {
			return !s.inverted
		}
	}
	return s.inverted
}

func (s *statement) applies(r *Request) bool {
	if !s.who.holds(r.AccessKey) || !s.action.holds(strings.ToLower(r.Action)) || !s.resource.holds(r.Resource) {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r.Facts) {
			return false
		}
	}
	return true
}

func (raw *rawStatement) parse(path string, rules *Rules) (s statement, err error) {
	switch raw.Effect {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return s, fail(path+".Effect", "%q is neither Allow nor Deny", raw.Effect)
	}
	if s.who, err = raw.principals(path, rules); err != nil {
		return s, err
	}
	if s.action, err = either(path, "Action", raw.Action, raw.NotAction); err != nil {
		return s, err
	}
	if err = s.action.checkActions(path, rules); err != nil {
		return s, err
	}
	if s.resource, err = either(path, "Resource", raw.Resource, raw.NotResource); err != nil {
		return s, err
	}
	for _, p := range s.resource.patterns {
		if variable(p) {
			return s, fail(path+".Resource", "%q has a variable; there are none here", p)
		}
		if !rules.covers(p) {
			return s, fail(path+".Resource", "%q is not of %s", p, strings.Join(append(rules.Kinds, rules.Resource), " "))
		}
	}
	s.conditions, err = conditions(path+".Condition", raw.Condition, rules.Facts)
	return s, err
}

// variable reports whether AWS would put something of the request in the place of a part of a text.
func variable(text string) bool { return strings.Contains(text, "${") }

func (r *Rules) covers(pattern string) bool {
	if r.Kinds == nil {
		return ofResource(pattern, r.Resource)
	}
	return pattern == "*" || slices.ContainsFunc(r.Kinds, func(kind string) bool { return strings.HasPrefix(pattern, kind) })
}

// ofResource reports whether a pattern is of a resource or of something in it.
func ofResource(pattern, resource string) bool {
	rest, ok := strings.CutPrefix(pattern, resource)
	return pattern == "*" || ok && (rest == "" || strings.ContainsRune("/*", rune(rest[0])))
}

// either takes the list that was given: the plain one, or that which names the exceptions.
func either(path, name string, plain, inverted []string) (set, error) {
	if (len(plain) == 0) == (len(inverted) == 0) {
		return set{}, fail(path+"."+name, "or Not%s is needed, and not both", name)
	}
	return set{patterns: append(plain, inverted...), inverted: len(plain) == 0}, nil
}

// checkActions refuses patterns that no action matches, and makes them lower case.
func (s *set) checkActions(path string, rules *Rules) error {
	for i, p := range s.patterns {
		s.patterns[i] = strings.ToLower(p)
		known := false
		for _, a := range rules.Actions {
			known = known || like(s.patterns[i], strings.ToLower(a))
		}
		if !known {
			return fail(path+".Action", "%q is no action here", p)
		}
	}
	return nil
}

// principals reads who is meant: "*", or {"AWS": …} with the account, its root, or
// users by their access keys. The patterns are of access keys.
func (raw *rawStatement) principals(path string, rules *Rules) (set, error) {
	text, path, inverted := raw.Principal, path+".Principal", false
	if rules.Kinds != nil {
		if len(text)+len(raw.NotPrincipal) > 0 {
			return set{}, fail(path, "and NotPrincipal are for policies of buckets: this one is of whoever it is given to")
		}
		return set{patterns: []string{"*"}}, nil
	}
	if raw.Effect == "Allow" && len(raw.NotPrincipal) > 0 {
		return set{}, fail(path, "is needed: NotPrincipal is for Deny only")
	}
	if len(text) == 0 {
		text, inverted = raw.NotPrincipal, true
	}
	if len(text) == 0 || len(raw.Principal) > 0 && len(raw.NotPrincipal) > 0 {
		return set{}, fail(path, "or NotPrincipal is needed, and not both")
	}
	if string(text) == `"*"` {
		return set{[]string{"*"}, inverted}, nil
	}
	var in struct{ AWS words }
	if err := strictly(text, &in); err != nil || len(in.AWS) == 0 {
		return set{}, fail(path, `must be "*" or {"AWS": …}; there are no other kinds of identity here`)
	}
	s := set{inverted: inverted}
	for _, name := range in.AWS {
		key, ok := accessKeyOf(name, rules.Account)
		if !ok {
			return set{}, fail(path+".AWS", "%q is neither * nor account %s nor arn:aws:iam::%s:user/ACCESSKEY", name, rules.Account, rules.Account)
		}
		if raw.Effect == "Allow" && key == "*" && name != "*" {
			continue // leaves it to the account, where each identity needs an Allow of its own
		}
		s.patterns = append(s.patterns, key)
	}
	return s, nil
}

// accessKeyOf is the pattern of the access keys that a principal names.
func accessKeyOf(name, account string) (string, bool) {
	root := "arn:aws:iam::" + account + ":root"
	if name == "*" || name == account || name == root {
		return "*", true
	}
	key, ok := strings.CutPrefix(name, "arn:aws:iam::"+account+":user/")
	return key, ok && key != "" && !strings.ContainsAny(key, "*?/")
}

// like matches * with any run of characters and ? with any one. It takes time
// proportional to the product of the lengths at most.
func like(pattern, text string) bool {
	p, t, star, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
