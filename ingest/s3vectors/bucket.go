package s3vectors

import (
	"sort"
	"strings"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

type encryption struct {
	Type string `json:"sseType,omitempty"`
	Key  string `json:"kmsKeyArn,omitempty"`
}

// check refuses what the store does not do: keys of a KMS.
func (e *encryption) check() error {
	const path = "encryptionConfiguration."
	switch {
	case e == nil || (e.Type == "" || e.Type == "AES256") && e.Key == "":
		return nil
	case e.Type == "aws:kms":
		return invalid(path+"sseType", "aws:kms is not possible: Tarn has no KMS; leave encryptionConfiguration out")
	case e.Key != "":
		return invalid(path+"kmsKeyArn", "is allowed with sseType aws:kms only, and Tarn has no KMS")
	}
	return invalid(path+"sseType", "%q is neither AES256 nor aws:kms", e.Type)
}

func createVectorBucket(c *call) (any, error) {
	in, err := decode[struct {
		Name       string            `json:"vectorBucketName"`
		Encryption *encryption       `json:"encryptionConfiguration"`
		Tags       map[string]string `json:"tags"`
	}](c)
	if err != nil {
		return nil, err
	}
	arn := c.door.bucketARN(in.Name)
	if err := c.authorize(arn); err != nil {
		return nil, err
	}
	if err := in.Encryption.check(); err != nil {
		return nil, err
	}
	if err := c.mayTag(arn, in.Tags); err != nil {
		return nil, err
	}
	_, err = c.door.o.Buckets.CreateBucketWith(c.ctx, in.Name, func(made objects.Bucket) ([]index.Mutation, error) {
		return firstSettings(resource{bucket: in.Name}, made.Created, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"vectorBucketArn": arn}, nil
}

func getVectorBucket(c *call) (any, error) {
	in, err := decode[bucketName](c)
	if err != nil {
		return nil, err
	}
	name, err := in.bucket()
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.bucketARN(name)); err != nil {
		return nil, err
	}
	b, err := c.door.o.Buckets.Bucket(c.ctx, name)
	if err != nil {
		return nil, err
	}
	return map[string]any{"vectorBucket": map[string]any{
		"vectorBucketName": b.Name, "vectorBucketArn": c.door.bucketARN(b.Name), "creationTime": epoch(b.Created),
		"defaultIndexMode": enhanced,
	}}, nil
}

func deleteVectorBucket(c *call) (any, error) {
	in, err := decode[bucketName](c)
	if err != nil {
		return nil, err
	}
	name, err := in.bucket()
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.bucketARN(name)); err != nil {
		return nil, err
	}
	return struct{}{}, c.door.o.Buckets.DeleteBucket(c.ctx, name)
}

// listing is the paging of buckets and indexes.
type listing struct {
	Max    *int   `json:"maxResults"`
	Next   string `json:"nextToken"`
	Prefix string `json:"prefix"`
}

// Limits of a listing of buckets or indexes.
const (
	listMax   = 500
	tokenMax  = 512
	prefixMax = 63
)

// open returns how many to list at most, and after which name.
func (l listing) open(c *call) (limit int, after string, err error) {
	limit = listMax
	if l.Max != nil {
		limit = *l.Max
	}
	switch {
	case limit < 1 || limit > listMax:
		return 0, "", invalid("maxResults", "%d is not in 1 to %d", limit, listMax)
	case len(l.Prefix) > prefixMax:
		return 0, "", invalid("prefix", "has %d characters, the most is %d", len(l.Prefix), prefixMax)
	}
	after, err = openToken(c.op, l.Next, tokenMax)
	return limit, after, err
}

func listVectorBuckets(c *call) (any, error) {
	in, err := decode[listing](c)
	if err != nil {
		return nil, err
	}
	limit, after, err := in.open(c)
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.bucketARN("*")); err != nil {
		return nil, err
	}
	all, err := c.door.o.Buckets.Buckets(c.ctx)
	if err != nil {
		return nil, err
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	found := []any{}
	next := ""
	for _, b := range all {
		if b.Name <= after || !strings.HasPrefix(b.Name, in.Prefix) {
			continue
		}
		if len(found) == limit {
			return map[string]any{"vectorBuckets": found, "nextToken": tokenOf(c.op, next)}, nil
		}
		found = append(found, map[string]any{"vectorBucketName": b.Name, "vectorBucketArn": c.door.bucketARN(b.Name), "creationTime": epoch(b.Created)})
		next = b.Name
	}
	return map[string]any{"vectorBuckets": found}, nil
}
