package s3

import "strings"

// absent are the configurations that no bucket has yet, so that the true answer
// to a question for one is S3's "there is none".
var absent = []struct{ keys, action, code, message string }{
	{"cors", "s3:GetBucketCORS", "NoSuchCORSConfiguration", "The CORS configuration does not exist."},
	{"encryption", "s3:GetEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError", "The server-side encryption configuration was not found."},
	{"lifecycle", "s3:GetLifecycleConfiguration", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist."},
	{"object-lock", "s3:GetBucketObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "Object Lock is not configured for this bucket."},
	{"ownershipControls", "s3:GetBucketOwnershipControls", "OwnershipControlsNotFoundError", "The bucket's ownership controls were not found."},
	{"publicAccessBlock", "s3:GetBucketPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found."},
	{"replication", "s3:GetReplicationConfiguration", "ReplicationConfigurationNotFoundError", "The replication configuration was not found."},
	{"tagging", "s3:GetBucketTagging", "NoSuchTagSet", "There is no tag set for this bucket."},
	{"website", "s3:GetBucketWebsite", "NoSuchWebsiteConfiguration", "The bucket does not have a website configuration."},
}

func absentOperations() []operation {
	ops := make([]operation, 0, len(absent))
	for _, a := range absent {
		none := &fault{code: a.code, status: 404, message: a.message}
		ops = append(ops, operation{
			name:   "GetBucket" + strings.ToUpper(a.keys[:1]) + a.keys[1:],
			action: a.action, method: "GET", level: bucketLevel, keys: a.keys,
			serve: func(c *call) error {
				if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
					return err
				}
				return none
			},
		})
	}
	return ops
}
