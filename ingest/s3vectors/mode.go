package s3vectors

// Every index applies a filter before it ranks, and knows $startsWith: that is
// the mode ENHANCED, and the only one. As in a bucket of S3 Vectors made since
// that mode is there, CLASSIC cannot be chosen.
const enhanced = "ENHANCED"

func checkMode(path, mode string) error {
	switch mode {
	case enhanced:
		return nil
	case "":
		return invalid(path, "is needed")
	case "CLASSIC":
		return invalid(path, "CLASSIC cannot be chosen in this bucket: its indexes are %s", enhanced)
	}
	return invalid(path, "%q is not %s", mode, enhanced)
}

func updateIndexMode(c *call) (any, error) {
	in, err := decode[struct {
		indexName
		Mode string `json:"indexMode"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName, false)
	if err != nil {
		return nil, err
	}
	if err := checkMode("indexMode", in.Mode); err != nil {
		return nil, err
	}
	_, err = c.door.o.Engine.Index(c.ctx, bucket, name)
	return struct{}{}, err
}

func putDefaultIndexMode(c *call) (any, error) {
	in, err := decode[struct {
		bucketName
		Mode string `json:"defaultIndexMode"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, err := in.bucket()
	if err != nil {
		return nil, err
	}
	if err := c.authorize(c.door.bucketARN(bucket)); err != nil {
		return nil, err
	}
	if err := checkMode("defaultIndexMode", in.Mode); err != nil {
		return nil, err
	}
	_, err = c.door.o.Buckets.Bucket(c.ctx, bucket)
	return struct{}{}, err
}
