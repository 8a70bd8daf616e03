package s3

import (
	"net/url"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

// source is where the bytes of a copy come from.
type source struct {
	bucket, key string
	version     objects.VersionID // pinned where conditions were checked on it
}

// copySourceOf reads x-amz-copy-source, asks whether the signer may read it, and
// checks its conditions.
func (c *call) copySourceOf() (source, error) {
	s, err := c.parseCopySource(c.header(copySource))
	if err != nil {
		return s, err
	}
	if err := c.authorize("s3:GetObject", arn(s.bucket, s.key)); err != nil {
		return s, err
	}
	conditions := c.conditionsOf(copySource + "-")
	if !conditions.any() {
		return s, nil
	}
	o, err := c.h.Store.Head(c.ctx, s.bucket, s.key)
	if err != nil {
		return s, err
	}
	if conditions.failure(&o) != 0 { // a copy knows no 304
		return s, errPrecondition
	}
	s.version = o.Version
	return s, nil
}

func (c *call) parseCopySource(value string) (source, error) {
	path, query, _ := strings.Cut(strings.TrimPrefix(value, "/"), "?")
	bad := invalidArgument("x-amz-copy-source", value, "must be <bucket>/<key>, URL-encoded")
	if strings.HasPrefix(path, "arn:") {
		return source{}, notImplemented("access points as x-amz-copy-source")
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return source{}, bad
	}
	// The slash between the two may come encoded as well.
	bucket, key, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	if !ok || bucket == "" || key == "" {
		return source{}, bad
	}
	if version, given := strings.CutPrefix(query, "versionId="); given {
		if err := c.checkVersion(version); err != nil {
			return source{}, err
		}
	}
	return source{bucket: bucket, key: key}, checkKey(key)
}

func copyObject(c *call) error {
	s, err := c.copySourceOf()
	if err != nil {
		return err
	}
	request := objects.CopyRequest{SourceBucket: s.bucket, SourceKey: s.key, SourceVersion: s.version, Bucket: c.bucket, Key: c.key}
	if request.Conditions, err = c.writeConditions(); err != nil {
		return err
	}
	if request.ComputeChecksum, _, err = c.checksumWords(); err != nil {
		return err
	}
	if err := c.copyMetadata(&request); err != nil {
		return err
	}
	o, err := c.h.Store.Copy(c.ctx, request)
	if err != nil {
		return err
	}
	x := newXML()
	x.root("CopyObjectResult")
	x.etag(o.ETag)
	x.time("LastModified", o.Modified)
	if x.checksums(o.Checksums, len(o.PartBytes)) {
		x.text("ChecksumType", checksumType(o.Checksums))
	}
	x.close("CopyObjectResult")
	return c.document(x)
}

func (c *call) copyMetadata(r *objects.CopyRequest) error {
	switch v := c.header("X-Amz-Metadata-Directive"); v {
	case "", "COPY":
		if r.SourceBucket == r.Bucket && r.SourceKey == r.Key {
			return invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
		}
		return nil
	case "REPLACE":
	default:
		return invalidArgument("x-amz-metadata-directive", v, "must be COPY or REPLACE")
	}
	a, err := c.about()
	r.ReplaceMetadata = true
	r.ContentType, r.Headers, r.Metadata = a.contentType, a.headers, a.metadata
	return err
}
