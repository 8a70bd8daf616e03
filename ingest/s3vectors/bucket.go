package s3vectors

import (
	"sort"
	"strings"
)

type encryption struct {
	Type string `json:"sseType,omitempty"`
	Key  string `json:"kmsKeyArn,omitempty"`
}

// check refuses what the store does not do: keys of a KMS.
func (e *encryption) check() error {
	if e != nil && e.Type != "" && e.Type != "AES256" || e != nil && e.Key != "" {
		return invalid("encryptionConfiguration.sseType", "aws:kms is not kept by this version of Tarn; leave encryptionConfiguration out")
	}
	return nil
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
	if len(in.Tags) > 0 {
		return nil, invalid("tags", "are not kept by this version of Tarn")
	}
	if _, err := c.door.o.Buckets.CreateBucket(c.ctx, in.Name); err != nil {
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

// listing is the paging of buckets and indexes: the token is the last name.
type listing struct {
	Max    *int   `json:"maxResults"`
	Next   string `json:"nextToken"`
	Prefix string `json:"prefix"`
}

const listMax = 500

func (l listing) limit() (int, error) {
	switch {
	case l.Max == nil:
		return listMax, nil
	case *l.Max < 1 || *l.Max > listMax:
		return 0, invalid("maxResults", "%d is not in 1 to %d", *l.Max, listMax)
	case len(l.Next) > 512:
		return 0, invalid("nextToken", "has %d characters, the most is 512", len(l.Next))
	}
	return *l.Max, nil
}

func listVectorBuckets(c *call) (any, error) {
	in, err := decode[listing](c)
	if err != nil {
		return nil, err
	}
	limit, err := in.limit()
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
		if b.Name <= in.Next || !strings.HasPrefix(b.Name, in.Prefix) {
			continue
		}
		if len(found) == limit {
			return map[string]any{"vectorBuckets": found, "nextToken": next}, nil
		}
		found = append(found, map[string]any{"vectorBucketName": b.Name, "vectorBucketArn": c.door.bucketARN(b.Name), "creationTime": epoch(b.Created)})
		next = b.Name
	}
	return map[string]any{"vectorBuckets": found}, nil
}
