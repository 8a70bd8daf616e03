package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/policy"
)

// Account is the one that everything belongs to.
const Account = "000000000000"

// Request is a question.
type Request = policy.Request

// Identities are looked up in a keyring.
type Identities interface {
	Identity(ctx context.Context, accessKey string) (access.Identity, error)
}

// Service is what policies of one kind of buckets speak of.
type Service struct {
	Name    string   // its actions begin with this and a colon
	Actions []string // all there are
	Kind    string   // what its ARNs begin with
	Facts   []string // condition keys beside those that all requests have
	Keeps   []string // actions that no policy takes from root

	// Bucket is the bucket that an ARN is of, or which it is of something in; "": none. ARN is its inverse.
	Bucket func(arn string) string
	ARN    func(bucket string) string
	// Policy is the text of a bucket's policy; "" where there is none, or no such bucket.
	Policy func(ctx context.Context, bucket string) (string, error)
}

// Authority decides.
type Authority struct {
	identities Identities
	services   map[string]*Service

	mu struct { // held for map operations only
		sync.Mutex
		parsed map[parsedKey]*policy.Policy
	}
}

type parsedKey struct{ whose, text string }

// parsedMax bounds the policies that are held parsed.
const parsedMax = 512

// New makes an Authority that knows no service yet.
func New(identities Identities) *Authority {
	a := &Authority{identities: identities, services: map[string]*Service{}}
	a.mu.parsed = map[parsedKey]*policy.Policy{}
	return a
}

// Register adds a service, before the first request.
func (a *Authority) Register(s Service) { a.services[s.Name] = &s }

// May is nil where a request is allowed; else access.ErrDenied is in the chain of its error, or
// what kept it from deciding.
func (a *Authority) May(ctx context.Context, r Request) error {
	who, err := a.identities.Identity(ctx, r.AccessKey)
	if errors.Is(err, access.ErrUnknownKey) {
		return denied(r, "because there is no such access key")
	}
	if err != nil {
		return fmt.Errorf("authorize %s: %w", r.Action, err)
	}
	own, err := a.ofIdentity(&who, r)
	if err != nil {
		return err
	}
	s := a.serviceOf(r.Action)
	if who.Root && s != nil && slices.Contains(s.Keeps, r.Action) {
		return nil
	}
	shared, err := a.ofBucket(ctx, s, r)
	if err != nil {
		return err
	}
	switch {
	case own == policy.Denied:
		return denied(r, "with an explicit deny in an identity-based policy")
	case shared == policy.Denied:
		return denied(r, "with an explicit deny in a resource-based policy")
	case own == policy.Allowed || shared == policy.Allowed:
		return nil
	}
	return denied(r, "because no policy allows the "+r.Action+" action")
}

// denied says it as AWS does, for clients that read it.
func denied(r Request, why string) error {
	return fmt.Errorf("%w: user %s is not authorized to perform %s on resource %q %s", access.ErrDenied, UserARN(r.AccessKey), r.Action, r.Resource, why)
}

// UserARN names an identity in policies.
func UserARN(accessKey string) string { return "arn:aws:iam::" + Account + ":user/" + accessKey }

func (a *Authority) serviceOf(action string) *Service {
	name, _, _ := strings.Cut(action, ":")
	return a.services[name]
}

func (a *Authority) ofIdentity(who *access.Identity, r Request) (policy.Verdict, error) {
	switch {
	case who.Root || who.All:
		return policy.Allowed, nil
	case who.Policy == "":
		return policy.Silent, nil
	}
	p, err := a.parsed("identity", who.Policy, a.ownRules)
	if err != nil {
		return policy.Denied, fmt.Errorf("the kept policy of identity %s: %w", who.AccessKey, err)
	}
	return p.Judge(r), nil
}

func (a *Authority) ofBucket(ctx context.Context, s *Service, r Request) (policy.Verdict, error) {
	if s == nil || s.Policy == nil {
		return policy.Silent, nil
	}
	bucket := s.Bucket(r.Resource)
	if bucket == "" {
		return policy.Silent, nil
	}
	text, err := s.Policy(ctx, bucket)
	if err != nil || text == "" {
		return policy.Silent, err
	}
	p, err := a.parsed(s.Name+"/"+bucket, text, func() policy.Rules { return s.rules(bucket) })
	if err != nil {
		return policy.Denied, fmt.Errorf("the kept policy of bucket %s: %w", bucket, err)
	}
	return p.Judge(r), nil
}

func (a *Authority) parsed(whose, text string, rules func() policy.Rules) (*policy.Policy, error) {
	key := parsedKey{whose, text}
	a.mu.Lock()
	p := a.mu.parsed[key]
	a.mu.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := policy.Parse([]byte(text), rules())
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.mu.parsed) >= parsedMax {
		clear(a.mu.parsed)
	}
	a.mu.parsed[key] = p
	return p, nil
}

func (s *Service) rules(bucket string) policy.Rules {
	return policy.Rules{Actions: s.Actions, Resource: s.ARN(bucket), Account: Account, Facts: s.Facts}
}

// ownRules are those of identities' policies, which may speak of everything.
func (a *Authority) ownRules() policy.Rules {
	r := policy.Rules{Account: Account, Kinds: []string{}}
	for _, s := range a.services {
		r.Actions = append(r.Actions, s.Actions...)
		r.Facts = append(r.Facts, s.Facts...)
		if s.Kind != "" {
			r.Kinds = append(r.Kinds, s.Kind)
		}
	}
	slices.Sort(r.Kinds)
	return r
}

// CheckIdentityPolicy says, with a *policy.Error, what is wrong with a policy for an identity.
func (a *Authority) CheckIdentityPolicy(text string) error {
	_, err := policy.Parse([]byte(text), a.ownRules())
	return err
}

// CheckBucketPolicy says what is wrong with a policy for a bucket of a service.
func (a *Authority) CheckBucketPolicy(service, bucket, text string) error {
	_, err := policy.Parse([]byte(text), a.services[service].rules(bucket))
	return err
}
