package s3vectors

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/access/policy"
	"github.com/tarnlake/tarn/objects"
)

// Service is what an Authority has to know of this door.
func (d *Door) Service() authority.Service {
	return d.arns.Service(d.actions, d.policyOf)
}

// policyOf is the text of the bucket's policy; "" where there is none, or no bucket.
func (d *Door) policyOf(ctx context.Context, bucket string) (string, error) {
	s, _, err := d.settings(ctx, resource{bucket: bucket})
	if errors.Is(err, objects.ErrNoBucket) {
		return "", nil
	}
	return s.Policy, err
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
	if err := c.door.o.Authority.CheckBucketPolicy("s3vectors", name, in.Policy); errors.As(err, &bad) {
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
