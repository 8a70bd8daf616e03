package s3

import (
	"github.com/tarnlake/tarn/objects"
)

func createUpload(c *call) error {
	a, err := c.about()
	if err != nil {
		return err
	}
	request := objects.UploadRequest{Bucket: c.bucket, Key: c.key, ContentType: a.contentType, Headers: a.headers, Metadata: a.metadata}
	if request.ChecksumAlgorithm, request.ChecksumType, err = c.checksumWords(); err != nil {
		return err
	}
	u, err := c.h.Store.CreateUpload(c.ctx, request)
	if err != nil {
		return err
	}
	if u.ChecksumAlgorithm != "" {
		c.w.Header().Set("X-Amz-Checksum-Algorithm", algorithmWord(u.ChecksumAlgorithm))
		c.w.Header().Set("X-Amz-Checksum-Type", u.ChecksumType)
	}
	x := newXML()
	x.root("InitiateMultipartUploadResult")
	x.text("Bucket", c.bucket)
	x.text("Key", c.key)
	x.text("UploadId", u.ID)
	x.close("InitiateMultipartUploadResult")
	return c.document(x)
}

func abortUpload(c *call) error {
	if err := c.h.Store.AbortUpload(c.ctx, c.bucket, c.key, c.query.Get("uploadId")); err != nil {
		return err
	}
	return c.empty(204)
}
