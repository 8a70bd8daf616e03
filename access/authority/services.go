package authority

import (
	"context"
	"strings"

	"github.com/tarnlake/tarn/access/policy"
)

// S3ARN names a bucket, or with a key an object.
func S3ARN(bucket, key string) string {
	if key == "" {
		return s3Kind + bucket
	}
	return s3Kind + bucket + "/" + key
}

// Actions on the store itself.
const (
	GetStatus     = "tarn:GetStatus"
	GetDurability = "tarn:GetDurability"
)

// Store is the resource of actions on the store itself.
const Store = "*"

// Tarn is the service of the store itself, which has no policies of resources.
func Tarn() Service {
	return Service{Name: "tarn", Actions: []string{GetStatus, GetDurability}}
}

const s3Kind = "arn:aws:s3:::"

// S3 is the service of buckets and objects.
func S3(actions []string, policyOf func(ctx context.Context, bucket string) (string, error)) Service {
	return Service{
		Name: "s3", Actions: actions, Kind: s3Kind, Facts: []string{policy.FactPrefix},
		Keeps:  []string{"s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:GetBucketPolicyStatus", "s3:DeleteBucketPolicy"},
		Bucket: s3Bucket,
		ARN:    func(bucket string) string { return S3ARN(bucket, "") },
		Policy: policyOf,
	}
}

func s3Bucket(arn string) string {
	rest, ok := strings.CutPrefix(arn, s3Kind)
	if !ok {
		return ""
	}
	bucket, _, _ := strings.Cut(rest, "/")
	return bucket
}

// Vectors are the resources of S3 Vectors in a region.
type Vectors struct{ Region string }

// ARN names a bucket, or with an index's name the index.
func (v Vectors) ARN(bucket, index string) string {
	arn := v.kind() + bucket
	if index != "" {
		arn += "/index/" + index
	}
	return arn
}

func (v Vectors) kind() string { return "arn:aws:s3vectors:" + v.Region + ":" + Account + ":bucket/" }

// Service is that of indexes and vectors.
func (v Vectors) Service(actions []string, policyOf func(ctx context.Context, bucket string) (string, error)) Service {
	return Service{
		Name: "s3vectors", Actions: actions, Kind: "arn:aws:s3vectors:",
		Keeps: []string{"s3vectors:PutVectorBucketPolicy", "s3vectors:GetVectorBucketPolicy", "s3vectors:DeleteVectorBucketPolicy"},
		Bucket: func(arn string) string {
			rest, ok := strings.CutPrefix(arn, v.kind())
			if !ok {
				return ""
			}
			bucket, _, _ := strings.Cut(rest, "/")
			return bucket
		},
		ARN:    func(bucket string) string { return v.ARN(bucket, "") },
		Policy: policyOf,
	}
}
