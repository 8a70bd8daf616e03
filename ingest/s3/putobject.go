package s3

import "github.com/tarnlake/tarn/objects"

func putObject(c *call) error {
	request := objects.PutRequest{Bucket: c.bucket, Key: c.key, Body: c.body}
	var err error
	if request.Bytes, err = c.bodyBytes(); err != nil {
		return err
	}
	if request.Conditions, err = c.writeConditions(); err != nil {
		return err
	}
	a, err := c.about()
	if err != nil {
		return err
	}
	request.ContentType, request.Headers, request.Metadata = a.contentType, a.headers, a.metadata
	p, err := c.proofs()
	if err != nil {
		return err
	}
	request.MD5, request.Checksums, request.ComputeChecksum = p.md5, p.sums, p.compute
	request.Verify, request.Computed = p.verify, p.computed
	o, err := c.h.Store.Put(c.ctx, request)
	if err != nil {
		return err
	}
	c.w.Header()["ETag"] = []string{`"` + o.ETag + `"`}
	c.checksumHeaders(o.Checksums, 0)
	return c.empty(200)
}

// proofs are what a body must stand up to before it counts.
type proofs struct {
	md5      []byte
	sums     objects.Checksums
	compute  string
	verify   func() error
	computed func(objects.Checksums) error
}

func (c *call) proofs() (p proofs, err error) {
	if p.md5, err = c.contentMD5(); err != nil {
		return p, err
	}
	e, err := c.announced()
	if err != nil {
		return p, err
	}
	p.sums, p.compute, p.verify = e.given, e.compute, c.body.Finish
	if e.trailer != "" {
		p.computed = func(got objects.Checksums) error {
			if err := c.body.Finish(); err != nil { // trailers stand behind the last byte
				return err
			}
			return e.compare(got, c.body.Trailers())
		}
	}
	return p, nil
}
