package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/access/policy"
)

const arn = "arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs"

var rules = policy.Rules{
	Actions:  []string{"s3vectors:GetVectors", "s3vectors:QueryVectors", "s3vectors:DeleteIndex"},
	Resource: arn, Account: "000000000000",
}

// of is a policy of one statement.
func of(members string) string {
	return `{"Version":"2012-10-17","Statement":[{` + members + `}]}`
}

func base(with string) string {
	return `"Principal":"*","Action":"s3vectors:*","Resource":"*",` + with
}

func TestAStatementAppliesToWhatItNames(t *testing.T) {
	ask := policy.Request{
		AccessKey: "KEY", Action: "s3vectors:GetVectors", Resource: arn + "/index/notes",
		Facts: map[string]string{policy.FactSourceIP: "10.1.2.3", policy.FactSecure: "false", policy.FactPrincipalARN: "arn:aws:iam::000000000000:user/KEY"},
	}
	for _, c := range []struct {
		members string
		applies bool
	}{
		{base(`"Effect":"Deny"`), true},
		{`"Effect":"Deny","Principal":{"AWS":"*"},"Action":["s3vectors:getvectors"],"Resource":"` + arn + `/index/*"`, true},
		{`"Effect":"Deny","Principal":{"AWS":["000000000000"]},"Action":"s3vectors:Get*","Resource":"` + arn + `/index/n?tes"`, true},
		{`"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"*","Resource":"` + arn + `*"`, true},
		{`"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:user/KEY"},"Action":"*","Resource":"*"`, true},
		{`"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:user/ANOTHER"},"Action":"*","Resource":"*"`, false},
		{`"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::000000000000:user/ANOTHER"},"Action":"*","Resource":"*"`, true},
		{`"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::000000000000:user/KEY"},"Action":"*","Resource":"*"`, false},
		{`"Effect":"Deny","Principal":"*","Action":"s3vectors:QueryVectors","Resource":"*"`, false},
		{`"Effect":"Deny","Principal":"*","NotAction":"s3vectors:QueryVectors","Resource":"*"`, true},
		{`"Effect":"Deny","Principal":"*","NotAction":"s3vectors:Get*","Resource":"*"`, false},
		{`"Effect":"Deny","Principal":"*","Action":"*","Resource":"` + arn + `"`, false},
		{`"Effect":"Deny","Principal":"*","Action":"*","NotResource":"` + arn + `"`, true},
		{base(`"Effect":"Deny","Condition":{"IpAddress":{"aws:SourceIp":["192.168.0.0/16","10.0.0.0/8"]}}`), true},
		{base(`"Effect":"Deny","Condition":{"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8"]}}`), false},
		{base(`"Effect":"Deny","Condition":{"IpAddress":{"aws:SourceIp":"10.1.2.4"}}`), false},
		{base(`"Effect":"Deny","Condition":{"Bool":{"aws:SecureTransport":false}}`), true},
		{base(`"Effect":"Deny","Condition":{"Bool":{"aws:SecureTransport":"true"}}`), false},
		{base(`"Effect":"Deny","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/K?Y"}}`), false},
		{base(`"Effect":"Deny","Condition":{"StringEquals":{"aws:UserAgent":"x"}}`), false},
		{base(`"Effect":"Deny","Condition":{"StringNotEquals":{"aws:UserAgent":"x"}}`), true},
		{base(`"Effect":"Deny","Condition":{"StringEqualsIfExists":{"aws:UserAgent":"x"}}`), true},
		{base(`"Effect":"Deny","Condition":{"Null":{"aws:UserAgent":"true"}}`), true},
		{base(`"Effect":"Deny","Condition":{"Null":{"aws:SourceIp":"true"}}`), false},
		{base(`"Effect":"Deny","Condition":{"Bool":{"aws:SecureTransport":"false"},"IpAddress":{"aws:SourceIp":"10.1.2.4"}}`), false},
	} {
		p, err := policy.Parse([]byte(of(c.members)), rules)
		if err != nil {
			t.Errorf("%s: %v", c.members, err)
			continue
		}
		if got := p.Judge(ask); (got == policy.Denied) != c.applies || got == policy.Allowed {
			t.Errorf("%s: verdict %d, applies should be %v", c.members, got, c.applies)
		}
	}
}

func TestOneDenyOutweighsEveryAllow(t *testing.T) {
	allow, deny := `{`+base(`"Effect":"Allow"`)+`}`, `{"Effect":"Deny","Principal":"*","Action":"s3vectors:DeleteIndex","Resource":"*"}`
	for _, list := range []string{allow + "," + deny, deny + "," + allow} {
		p, err := policy.Parse([]byte(`{"Statement":[`+list+`]}`), rules)
		if err != nil {
			t.Fatal(err)
		}
		if v := p.Judge(policy.Request{AccessKey: "K", Action: "s3vectors:DeleteIndex", Resource: arn}); v != policy.Denied {
			t.Errorf("denied action: %d", v)
		}
		if v := p.Judge(policy.Request{AccessKey: "K", Action: "s3vectors:GetVectors", Resource: arn}); v != policy.Allowed {
			t.Errorf("allowed action: %d", v)
		}
	}
}

func TestAnAllowToTheAccountGrantsNothingByItself(t *testing.T) {
	for principal, want := range map[string]policy.Verdict{
		`"*"`: policy.Allowed, `{"AWS":"*"}`: policy.Allowed, `{"AWS":"arn:aws:iam::000000000000:user/K"}`: policy.Allowed,
		`{"AWS":"000000000000"}`: policy.Silent, `{"AWS":["arn:aws:iam::000000000000:root","arn:aws:iam::000000000000:user/L"]}`: policy.Silent,
	} {
		p, err := policy.Parse([]byte(of(`"Effect":"Allow","Action":"*","Resource":"*","Principal":`+principal)), rules)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Judge(policy.Request{AccessKey: "K", Action: "s3vectors:GetVectors", Resource: arn}); got != want {
			t.Errorf("%s: %d, want %d", principal, got, want)
		}
	}
}

func TestAPolicyOfAnIdentityNamesNoPrincipal(t *testing.T) {
	own := rules
	own.Resource, own.Kinds, own.Facts = "", []string{"arn:aws:s3:::", "arn:aws:s3vectors:"}, []string{policy.FactPrefix}
	p, err := policy.Parse([]byte(of(`"Effect":"Allow","Action":"s3vectors:Get*","Resource":["arn:aws:s3:::docs/*","arn:aws:s3vectors:*:bucket/docs/*"],"Condition":{"StringLikeIfExists":{"s3:prefix":"a/*"}}`)), own)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Judge(policy.Request{AccessKey: "K", Action: "s3vectors:GetVectors", Resource: arn + "/index/n"}); got != policy.Allowed {
		t.Errorf("verdict %d", got)
	}
	for _, bad := range []string{
		`"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"`, `"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"*","Resource":"*"`,
		`"Effect":"Allow","Action":"*","Resource":"arn:aws:sqs:::q"`, `"Effect":"Allow","Action":"*"`,
	} {
		if _, err := policy.Parse([]byte(of(bad)), own); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestWhatWouldNotBeEnforcedIsRefused(t *testing.T) {
	for _, c := range []struct{ text, path, words string }{
		{``, "", "is not one"},
		{`[]`, "", "is not one"},
		{`{"Statement":[]}`, "Statement", "needed"},
		{`{"Version":"2013-01-01","Statement":{` + base(`"Effect":"Deny"`) + `}}`, "Version", "neither"},
		{`{"Statement":{` + base(`"Effect":"Deny"`) + `}} {}`, "", "follows"},
		{of(base(`"Effect":"Deny","effect":"Allow"`)), "", "two members"},
		{of(base(`"Effect":"Deny","Condition":{"Null":{},"Null":{}}`)), "", "two members"},
		{of(`"Effect":"Deny","Principal":"*","Action":"*","Resource":"` + arn + `2/index/a"`), "Statement[0].Resource", "is not of"},
		{of(base(`"Effect":"deny"`)), "Statement[0].Effect", "neither"},
		{of(base(`"Effect":"Deny","Conditions":{}`)), "", "Conditions"},
		{of(`"Effect":"Deny","Action":"*","Resource":"*"`), "Statement[0].Principal", "needed"},
		{of(`"Effect":"Deny","Principal":{"Service":"x.amazonaws.com"},"Action":"*","Resource":"*"`), "Statement[0].Principal", "no other kinds"},
		{of(`"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"*","Resource":"*"`), "Statement[0].Principal.AWS", "neither"},
		{of(`"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::000000000000:user/*"},"Action":"*","Resource":"*"`), "Statement[0].Principal.AWS", "neither"},
		{of(`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"*","Resource":"*"`), "Statement[0].Principal", "for Deny only"},
		{of(`"Effect":"Deny","Principal":"*","Action":"*","Resource":"` + arn + `/${aws:username}"`), "Statement[0].Resource", "variable"},
		{of(base(`"Effect":"Deny","Condition":{"StringLike":{"aws:UserAgent":"${aws:username}"}}`)), "Statement[0].Condition.StringLike.aws:UserAgent", "cannot take"},
		{of(base(`"Effect":"Deny","Condition":{"StringLike":{"s3:prefix":"a"}}`)), "Statement[0].Condition.StringLike.s3:prefix", "no condition key"},
		{of(`"Effect":"Deny","Principal":"*","Resource":"*"`), "Statement[0].Action", "needed"},
		{of(`"Effect":"Deny","Principal":"*","Action":"*","NotAction":"*","Resource":"*"`), "Statement[0].Action", "not both"},
		{of(`"Effect":"Deny","Principal":"*","Action":"s3vectors:GetVector","Resource":"*"`), "Statement[0].Action", "no action"},
		{of(`"Effect":"Deny","Principal":"*","Action":"*"`), "Statement[0].Resource", "needed"},
		{of(`"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::docs"`), "Statement[0].Resource", "is not of"},
		{of(base(`"Effect":"Deny","Condition":{"DateLessThan":{"aws:CurrentTime":"2030-01-01"}}`)), "Statement[0].Condition.DateLessThan", "no operator"},
		{of(base(`"Effect":"Deny","Condition":{"StringEquals":{"aws:PrincipalTag/team":"x"}}`)), "Statement[0].Condition.StringEquals.aws:PrincipalTag/team", "no condition key"},
		{of(base(`"Effect":"Deny","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/99"}}`)), "Statement[0].Condition.IpAddress.aws:SourceIp", "cannot take"},
		{of(base(`"Effect":"Deny","Condition":{"StringEquals":{"aws:UserAgent":[]}}`)), "Statement[0].Condition.StringEquals.aws:UserAgent", "needs a value"},
		{`{"Statement":[` + strings.Repeat(`{},`, 200) + `{}]}`, "Statement", "the most is 200"},
		{strings.Repeat(" ", policy.BytesMax+1), "", "the most is 20480"},
	} {
		_, err := policy.Parse([]byte(c.text), rules)
		var bad *policy.Error
		if !errors.As(err, &bad) || bad.Path != c.path || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%.120s: %v; want %q at %q", c.text, err, c.words, c.path)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(of(base(`"Effect":"Deny","Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8"]}}`)))
	f.Add(of(`"Effect":"Deny","NotPrincipal":{"AWS":["000000000000"]},"NotAction":["s3vectors:Get*"],"NotResource":"` + arn + `"`))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policy.Parse([]byte(text), rules)
		if err != nil {
			return
		}
		r := policy.Request{AccessKey: "K", Action: "s3vectors:GetVectors", Resource: arn}
		if a, b := p.Judge(r), p.Judge(r); a != b {
			t.Error(fmt.Sprint("two verdicts: ", a, b))
		}
	})
}
