package authority_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/access/policy"
)

// people are identities by access key.
type people map[string]access.Identity

func (p people) Identity(_ context.Context, accessKey string) (access.Identity, error) {
	who, ok := p[accessKey]
	if !ok {
		return who, access.ErrUnknownKey
	}
	who.AccessKey = accessKey
	return who, nil
}

var places = authority.Vectors{Region: "eu-west-3"}

// world is an authority over policies by service and bucket.
func world(who people, policies map[string]string) *authority.Authority {
	a := authority.New(who)
	of := func(service string) func(context.Context, string) (string, error) {
		return func(_ context.Context, bucket string) (string, error) {
			text := policies[service+"/"+bucket]
			if text == "broken" {
				return "", errors.New("the drives are gone")
			}
			return text, nil
		}
	}
	a.Register(authority.S3([]string{"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy"}, of("s3")))
	a.Register(places.Service([]string{"s3vectors:QueryVectors", "s3vectors:PutVectors", "s3vectors:PutVectorBucketPolicy"}, of("s3vectors")))
	a.Register(authority.Tarn())
	return a
}

func statement(effect, rest string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,%s}]}`, effect, rest)
}

func TestWhoMayDoWhat(t *testing.T) {
	read := statement("Allow", `"Action":["s3:GetObject","s3:ListBucket","s3vectors:QueryVectors"],"Resource":["arn:aws:s3:::docs","arn:aws:s3:::docs/open/*","arn:aws:s3vectors:*:bucket/docs/index/*"]`)
	prefix := statement("Allow", `"Action":"s3:ListBucket","Resource":"arn:aws:s3:::docs","Condition":{"StringLike":{"s3:prefix":"mine/*"}}`)
	who := people{
		"ROOT": {Root: true}, "FULL": {Rights: access.Rights{All: true}}, "NONE": {},
		"READ":   {Rights: access.Rights{Policy: read}},
		"PREFIX": {Rights: access.Rights{Policy: prefix}},
		"BUT": {Rights: access.Rights{Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
			{"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::docs/*"}]}`}},
		"STALE": {Rights: access.Rights{Policy: `{"Statement":[{"Effect":"Perhaps"}]}`}},
	}
	policies := map[string]string{
		"s3/shared": statement("Allow", `"Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"`),
		"s3/named":  statement("Allow", `"Principal":{"AWS":"`+authority.UserARN("NONE")+`"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::named/in/*"`),
		"s3/ours":   statement("Allow", `"Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"s3:*","Resource":"arn:aws:s3:::ours/*"`),
		"s3/shut":   statement("Deny", `"Principal":"*","Action":"*","Resource":"*"`),
		"s3/lost":   "broken", "s3/odd": `{}`,
		"s3vectors/shared": statement("Deny", `"Principal":{"AWS":"`+authority.UserARN("FULL")+`"},"Action":"s3vectors:QueryVectors","Resource":"*"`),
	}
	a := world(who, policies)
	const yes, no, broken = "yes", "no", "broken"
	for _, c := range []struct {
		who, action, resource string
		facts                 map[string]string
		want                  string
	}{
		{"ROOT", "s3:PutObject", "arn:aws:s3:::docs/a", nil, yes},
		{"FULL", "s3:PutObject", "arn:aws:s3:::docs/a", nil, yes},
		{"NONE", "s3:GetObject", "arn:aws:s3:::docs/a", nil, no},
		{"GONE", "s3:GetObject", "arn:aws:s3:::shared/a", nil, no},
		{"FULL", authority.GetStatus, authority.Store, nil, yes},
		{"NONE", authority.GetStatus, authority.Store, nil, no},
		{"BUT", authority.GetStatus, authority.Store, nil, yes},

		{"READ", "s3:GetObject", "arn:aws:s3:::docs/open/a", nil, yes},
		{"READ", "s3:GetObject", "arn:aws:s3:::docs/closed", nil, no},
		{"READ", "s3:PutObject", "arn:aws:s3:::docs/open/a", nil, no},
		{"READ", "s3:ListBucket", "arn:aws:s3:::docs", nil, yes},
		{"READ", "s3vectors:QueryVectors", places.ARN("docs", "notes"), nil, yes},
		{"READ", "s3vectors:QueryVectors", places.ARN("other", "notes"), nil, no},
		{"READ", "s3vectors:PutVectors", places.ARN("docs", "notes"), nil, no},
		{"PREFIX", "s3:ListBucket", "arn:aws:s3:::docs", map[string]string{policy.FactPrefix: "mine/a"}, yes},
		{"PREFIX", "s3:ListBucket", "arn:aws:s3:::docs", map[string]string{policy.FactPrefix: "theirs/"}, no},
		{"PREFIX", "s3:ListBucket", "arn:aws:s3:::docs", nil, no},
		{"BUT", "s3:PutObject", "arn:aws:s3:::other/a", nil, yes},
		{"BUT", "s3:PutObject", "arn:aws:s3:::docs/a", nil, no},
		{"STALE", "s3:GetObject", "arn:aws:s3:::docs/a", nil, broken},

		{"NONE", "s3:GetObject", "arn:aws:s3:::shared/a", nil, yes},
		{"NONE", "s3:PutObject", "arn:aws:s3:::shared/a", nil, no},
		{"NONE", "s3:PutObject", "arn:aws:s3:::named/in/a", nil, yes},
		{"NONE", "s3:PutObject", "arn:aws:s3:::named/out", nil, no},
		{"READ", "s3:PutObject", "arn:aws:s3:::named/in/a", nil, no},
		{"NONE", "s3:GetObject", "arn:aws:s3:::ours/a", nil, no},
		{"FULL", "s3:GetObject", "arn:aws:s3:::shut/a", nil, no},
		{"ROOT", "s3:GetObject", "arn:aws:s3:::shut/a", nil, no},
		{"ROOT", "s3:PutBucketPolicy", "arn:aws:s3:::shut", nil, yes},
		{"ROOT", "s3:PutBucketPolicy", "arn:aws:s3:::lost", nil, yes},
		{"FULL", "s3:PutBucketPolicy", "arn:aws:s3:::shut", nil, no},
		{"FULL", "s3vectors:QueryVectors", places.ARN("shared", "notes"), nil, no},
		{"FULL", "s3vectors:PutVectors", places.ARN("shared", "notes"), nil, yes},
		{"FULL", "s3:GetObject", "arn:aws:s3:::lost/a", nil, broken},
		{"FULL", "s3:GetObject", "arn:aws:s3:::odd/a", nil, broken},
	} {
		err := a.May(t.Context(), authority.Request{AccessKey: c.who, Action: c.action, Resource: c.resource, Facts: c.facts})
		got := map[bool]string{true: no, false: broken}[errors.Is(err, access.ErrDenied)]
		if err == nil {
			got = yes
		}
		if got != c.want {
			t.Errorf("%s %s %s %v: %s (%v), want %s", c.who, c.action, c.resource, c.facts, got, err, c.want)
		}
	}
}

func TestPoliciesAreCheckedAgainstWhatThereIs(t *testing.T) {
	a := world(people{}, nil)
	good := statement("Allow", `"Action":["s3:Get*","s3vectors:*","tarn:GetStatus"],"Resource":"*"`)
	if err := a.CheckIdentityPolicy(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", statement("Allow", `"Action":"s3:Gett*","Resource":"*"`), statement("Allow", `"Principal":"*","Action":"*","Resource":"*"`)} {
		var wrong *policy.Error
		if err := a.CheckIdentityPolicy(bad); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	of := statement("Deny", `"Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::docs/*"`)
	if err := a.CheckBucketPolicy("s3", "docs", of); err != nil {
		t.Error(err)
	}
	if err := a.CheckBucketPolicy("s3", "other", of); err == nil || !strings.Contains(err.Error(), "Resource") {
		t.Errorf("a policy of another bucket: %v", err)
	}
}
