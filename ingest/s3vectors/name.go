package s3vectors

import (
	"regexp"
	"time"
)

var (
	bucketARN = regexp.MustCompile(`^arn:aws[-a-z0-9]*:s3vectors:[a-z0-9-]+:[0-9]{12}:bucket/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$`)
	indexARN  = regexp.MustCompile(`^arn:aws[-a-z0-9]*:s3vectors:[a-z0-9-]+:[0-9]{12}:bucket/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/index/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$`)
)

// bucketName is how inputs name a bucket: by name or by ARN, never both.
type bucketName struct {
	Name string `json:"vectorBucketName"`
	ARN  string `json:"vectorBucketArn"`
}

func (b bucketName) bucket() (string, error) {
	switch {
	case b.Name != "" && b.ARN != "":
		return "", invalid("vectorBucketArn", "give vectorBucketName or vectorBucketArn, not both")
	case b.Name != "":
		return b.Name, nil
	case b.ARN == "":
		return "", invalid("vectorBucketName", "vectorBucketName or vectorBucketArn is needed")
	}
	m := bucketARN.FindStringSubmatch(b.ARN)
	if m == nil {
		return "", invalid("vectorBucketArn", "is not the ARN of a vector bucket")
	}
	return m[1], nil
}

// indexName is how inputs name an index: by bucket and name, or by ARN.
type indexName struct {
	Bucket string `json:"vectorBucketName"`
	Name   string `json:"indexName"`
	ARN    string `json:"indexArn"`
}

func (i indexName) index() (bucket, name string, err error) {
	switch {
	case i.ARN != "" && (i.Bucket != "" || i.Name != ""):
		return "", "", invalid("indexArn", "give indexArn, or vectorBucketName and indexName, not both")
	case i.ARN == "" && i.Bucket == "":
		return "", "", invalid("vectorBucketName", "vectorBucketName and indexName, or indexArn, are needed")
	case i.ARN == "" && i.Name == "":
		return "", "", invalid("indexName", "is needed beside vectorBucketName")
	case i.ARN == "":
		return i.Bucket, i.Name, nil
	}
	m := indexARN.FindStringSubmatch(i.ARN)
	if m == nil {
		return "", "", invalid("indexArn", "is not the ARN of an index")
	}
	return m[1], m[2], nil
}

func (d *Door) bucketARN(bucket string) string {
	return d.arns.ARN(bucket, "")
}

func (d *Door) indexARN(bucket, name string) string {
	return d.bucketARN(bucket) + "/index/" + name // also where the name is empty: it is refused later
}

// epoch is a time as the protocol writes it: JSON number of seconds.
func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
