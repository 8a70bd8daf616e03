package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// BytesMax bounds the text of a policy, as S3 Vectors does.
const BytesMax = 20 << 10

// statementsMax bounds the work of judging one request.
const statementsMax = 200

// Rules are what a policy may speak of.
type Rules struct {
	Actions  []string // all there are, such as "s3vectors:QueryVectors"
	Resource string   // ARN; a policy speaks of it, of what begins with it, or of "*"
	Account  string   // of every identity
	Facts    []string // condition keys beside those that all requests have, in lower case

	// Kinds are set for policies of identities, which name no principal: what the ARNs begin with
	// of which they speak, in place of Resource.
	Kinds []string
}

// Error tells what is wrong with a policy, and where.
type Error struct {
	Path   string // such as "Statement[0].Action"
	Reason string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "the policy " + e.Reason
	}
	return e.Path + " " + e.Reason
}

func fail(path, reason string, args ...any) error {
	return &Error{Path: path, Reason: fmt.Sprintf(reason, args...)}
}

// Request is what a policy is asked about.
type Request struct {
	AccessKey string
	Action    string
	Resource  string            // ARN
	Facts     map[string]string // by condition key in lower case; absent where unknown
}

// Verdict is what a policy says of a request. Silent is no Allow: who has none may do nothing.
type Verdict int

// The verdicts.
const (
	Silent Verdict = iota
	Allowed
	Denied
)

// Policy is statements.
type Policy struct {
	statements []statement
}

// Judge weighs all statements.
func (p *Policy) Judge(r Request) Verdict {
	v := Silent
	for i := range p.statements {
		s := &p.statements[i]
		if !s.applies(&r) {
			continue
		}
		if s.deny {
			return Denied
		}
		v = Allowed
	}
	return v
}

// Parse reads a policy, or says with an *Error what is wrong with it.
func Parse(text []byte, rules Rules) (*Policy, error) {
	if len(text) > BytesMax {
		return nil, fail("", "has %d bytes, the most is %d", len(text), BytesMax)
	}
	var in struct {
		Version   string
		ID        string `json:"Id"`
		Statement oneOrMany[rawStatement]
	}
	if err := noTwins(json.NewDecoder(bytes.NewReader(text))); err != nil {
		return nil, fail("", "is not one: %v", err)
	}
	if err := strictly(text, &in); err != nil {
		return nil, fail("", "is not one: %v", err)
	}
	switch {
	case in.Version != "2012-10-17" && in.Version != "2008-10-17" && in.Version != "":
		return nil, fail("Version", "%q is neither 2012-10-17 nor 2008-10-17", in.Version)
	case len(in.Statement) == 0:
		return nil, fail("Statement", "is needed")
	case len(in.Statement) > statementsMax:
		return nil, fail("Statement", "has %d members, the most is %d", len(in.Statement), statementsMax)
	}
	p := &Policy{}
	for i, raw := range in.Statement {
		s, err := raw.parse(fmt.Sprintf("Statement[%d]", i), &rules)
		if err != nil {
			return nil, err
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

// strictly refuses members that are not known: a Deny that was misspelt must not be lost.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something follows it")
	}
	return nil
}

// noTwins refuses objects with two members whose names differ in case at most: of
// them only the last would count.
func noTwins(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') && t != json.Delim('[') {
		return nil
	}
	names := map[string]bool{}
	for d.More() {
		if t == json.Delim('{') {
			name, err := d.Token()
			if err != nil {
				return err
			}
			folded := strings.ToLower(fmt.Sprint(name))
			if names[folded] {
				return fmt.Errorf("it has two members %q in one object", name)
			}
			names[folded] = true
		}
		if err := noTwins(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// oneOrMany reads a list, or what stands in place of a list of one.
type oneOrMany[T any] []T

func (l *oneOrMany[T]) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		var many []T
		err := strictly(text, &many)
		*l = many
		return err
	}
	var one T
	if err := strictly(text, &one); err != nil {
		return err
	}
	*l = []T{one}
	return nil
}
