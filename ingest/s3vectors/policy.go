package s3vectors

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/tarnlake/tarn/access/policy"
)

// A policy of a bucket takes rights away by its Denies. Whoever has a key of the
// store has the rights of an identity of the same account, to which an Allow
// adds nothing. The root key keeps the three operations on policies, so that no
// policy can lock everyone out.
var policyOperations = map[string]bool{
	"s3vectors:PutVectorBucketPolicy": true, "s3vectors:GetVectorBucketPolicy": true, "s3vectors:DeleteVectorBucketPolicy": true,
}

// parsedMax bounds the policies that are held parsed.
const parsedMax = 256

// policies holds parsed policies by bucket and version of the settings.
type policies struct {
	mu struct { // held for map operations only
		sync.Mutex
		parsed map[string]parsed
	}
}

type parsed struct {
	version uint64
	policy  *policy.Policy // nil: the bucket has none
}

func (p *policies) get(bucket string, version uint64) (*policy.Policy, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have, ok := p.mu.parsed[bucket]
	return have.policy, ok && have.version == version
}

func (p *policies) put(bucket string, of parsed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.parsed) >= parsedMax || p.mu.parsed == nil {
		p.mu.parsed = map[string]parsed{}
	}
	p.mu.parsed[bucket] = of
}

func (d *Door) rules(bucket string) policy.Rules {
	return policy.Rules{Actions: d.actions, Resource: d.bucketARN(bucket), Account: account}
}

// policyOf is the bucket's policy; nil where there is none.
func (d *Door) policyOf(ctx context.Context, bucket string) (*policy.Policy, error) {
	s, version, err := d.settings(ctx, resource{bucket: bucket})
	if err != nil || s.Policy == "" {
		return nil, err
	}
	if p, ok := d.policies.get(bucket, version); ok {
		return p, nil
	}
	p, err := policy.Parse([]byte(s.Policy), d.rules(bucket))
	if err != nil {
		return nil, fmt.Errorf("the kept policy of bucket %s: %w", bucket, err)
	}
	d.policies.put(bucket, parsed{version, p})
	return p, nil
}

// judge refuses what the policy of the resource's bucket denies.
func (c *call) judge(action, arn string) error {
	r, ok := resourceOf(arn)
	if !ok || policyOperations[action] && c.door.o.Root(c.ctx, c.who) {
		return nil
	}
	p, err := c.door.policyOf(c.ctx, r.bucket)
	if p == nil || err != nil {
		if f := faultOf(err); err != nil && f.kind == notFound {
			return nil // no bucket, no policy: the operation says so itself
		}
		return err
	}
	if p.Judge(policy.Request{AccessKey: c.who, Action: action, Resource: arn, Facts: c.facts()}) == policy.Denied {
		return fmt.Errorf("%w: the bucket's policy denies %s to %s", ErrDenied, action, c.who)
	}
	return nil
}

// facts are what conditions may ask about a request.
func (c *call) facts() map[string]string {
	f := map[string]string{
		policy.FactSecure:       strconv.FormatBool(c.request.TLS != nil),
		policy.FactPrincipalARN: "arn:aws:iam::" + account + ":user/" + c.who,
	}
	if host, _, err := net.SplitHostPort(c.request.RemoteAddr); err == nil {
		f[policy.FactSourceIP] = host
	}
	if agent := c.request.UserAgent(); agent != "" {
		f[policy.FactUserAgent] = agent
	}
	return f
}

// policied is the bucket that an operation on policies is about, authorized.
func (c *call) policied(in bucketName) (string, error) {
	name, err := in.bucket()
	if err != nil {
		return "", err
	}
	return name, c.authorize(c.door.bucketARN(name))
}

func putPolicy(c *call) (any, error) {
	in, err := decode[struct {
		bucketName
		Policy string `json:"policy"`
	}](c)
	if err != nil {
		return nil, err
	}
	name, err := c.policied(in.bucketName)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Policy) == "" {
		return nil, invalid("policy", "is needed")
	}
	var bad *policy.Error
	if _, err := policy.Parse([]byte(in.Policy), c.door.rules(name)); errors.As(err, &bad) {
		return nil, invalid("policy", "%v", bad)
	} else if err != nil {
		return nil, err
	}
	return struct{}{}, c.door.change(c.ctx, resource{bucket: name}, func(s *settings) error {
		s.Policy = in.Policy
		return nil
	})
}

func getPolicy(c *call) (any, error) {
	in, err := decode[bucketName](c)
	if err != nil {
		return nil, err
	}
	name, err := c.policied(*in)
	if err != nil {
		return nil, err
	}
	s, _, err := c.door.settings(c.ctx, resource{bucket: name})
	if err != nil {
		return nil, err
	}
	if s.Policy == "" {
		return nil, &fault{status: http.StatusNotFound, kind: notFound, message: "bucket " + name + " has no policy"}
	}
	return map[string]any{"policy": s.Policy}, nil
}

func deletePolicy(c *call) (any, error) {
	in, err := decode[bucketName](c)
	if err != nil {
		return nil, err
	}
	name, err := c.policied(*in)
	if err != nil {
		return nil, err
	}
	return struct{}{}, c.door.change(c.ctx, resource{bucket: name}, func(s *settings) error {
		s.Policy = ""
		return nil
	})
}
