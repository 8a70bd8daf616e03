package s3

import (
	"context"
	"errors"
	"net/http"

	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/access/policy"
)

// Authority decides what requests are allowed, and what is wrong with policies.
type Authority interface {
	May(ctx context.Context, r authority.Request) error
	CheckBucketPolicy(service, bucket, text string) error
}

// Policies keeps the policies of buckets; "" is none.
type Policies interface {
	Get(ctx context.Context, bucket string) (string, error)
	Put(ctx context.Context, bucket, text string) error
}

// policyBytesMax is above what a policy may have, so that the policy's own check tells the limit.
const policyBytesMax = 64 << 10

// Actions are all that the door asks an Authority about.
func Actions() []string {
	seen := map[string]bool{"s3:DeleteObject": true} // of a list of them
	for _, op := range append(operations, absentOperations()...) {
		if op.action != "" {
			seen[op.action] = true
		}
	}
	list := make([]string, 0, len(seen))
	for a := range seen {
		list = append(list, a)
	}
	return list
}

func (c *call) authorize(action, resource string) error {
	who := c.signed.Scope.AccessKey
	facts := authority.FactsOf(c.r, who)
	if prefix := "prefix"; action == "s3:ListBucket" && c.query.Has(prefix) {
		facts[policy.FactPrefix] = c.query.Get(prefix)
	}
	return c.h.Authority.May(c.ctx, authority.Request{AccessKey: who, Action: action, Resource: resource, Facts: facts})
}

var errNoPolicy = &fault{code: "NoSuchBucketPolicy", status: 404, message: "The bucket policy does not exist"}

// keptPolicy is the policy of a bucket that is there.
func (c *call) keptPolicy() (string, error) {
	if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
		return "", err
	}
	text, err := c.h.Policies.Get(c.ctx, c.bucket)
	if err == nil && text == "" {
		err = errNoPolicy
	}
	return text, err
}

func getBucketPolicy(c *call) error {
	text, err := c.keptPolicy()
	if err != nil {
		return err
	}
	c.w.Header()["Content-Type"] = []string{"application/json"}
	c.w.WriteHeader(http.StatusOK)
	_, _ = c.w.Write([]byte(text)) // the client may be gone, and cannot be told
	return nil
}

// getBucketPolicyStatus answers that the bucket is not public: nothing is done for strangers.
func getBucketPolicyStatus(c *call) error {
	if _, err := c.keptPolicy(); err != nil {
		return err
	}
	x := newXML()
	x.root("PolicyStatus")
	x.text("IsPublic", "false")
	x.close("PolicyStatus")
	return c.document(x)
}

func putBucketPolicy(c *call) error {
	text, err := c.readSmall(policyBytesMax)
	if err != nil {
		return err
	}
	var bad *policy.Error
	if err := c.h.Authority.CheckBucketPolicy("s3", c.bucket, string(text)); errors.As(err, &bad) {
		return &fault{code: "MalformedPolicy", status: 400, message: bad.Error()}
	} else if err != nil {
		return err
	}
	if err := c.h.Policies.Put(c.ctx, c.bucket, string(text)); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}

func deleteBucketPolicy(c *call) error {
	if err := c.h.Policies.Put(c.ctx, c.bucket, ""); err != nil {
		return err
	}
	return c.empty(http.StatusNoContent)
}
