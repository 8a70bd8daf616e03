package s3

import "github.com/tarnlake/tarn/objects"

// listing is what both forms of ListObjects share.
type listing struct {
	request objects.ListRequest
	page    objects.ListPage
	encode  func(string) string
	encoded bool
	owners  bool
}

func (c *call) list(after string) (*listing, error) {
	most, err := c.numberParam("max-keys", objects.ListMax, 0, objects.ListMax)
	if err != nil {
		return nil, err
	}
	encoded, err := c.urlEncoding()
	if err != nil {
		return nil, err
	}
	l := &listing{encoded: encoded, encode: urlEncoder(encoded), request: objects.ListRequest{
		Bucket: c.bucket, Prefix: c.query.Get("prefix"), Delimiter: c.query.Get("delimiter"), After: after, Max: most}}
	if most == 0 { // an empty page, but of a bucket that exists
		_, err = c.h.Store.Bucket(c.ctx, c.bucket)
		return l, err
	}
	l.page, err = c.h.Store.List(c.ctx, l.request)
	return l, err
}

func listObjectsV2(c *call) error {
	if v := c.query.Get("list-type"); v != "2" {
		return invalidArgument("list-type", v, "must be 2")
	}
	after, err := c.token("continuation-token")
	if err != nil {
		return err
	}
	if after == "" {
		after = c.query.Get("start-after")
	}
	l, err := c.list(after)
	if err != nil {
		return err
	}
	l.owners = c.query.Get("fetch-owner") == "true"
	return c.document(l.version2(c))
}

func (l *listing) version2(c *call) *xmlWriter {
	x := newXML()
	x.root("ListBucketResult")
	l.head(c, x)
	x.number("KeyCount", int64(len(l.page.Objects)+len(l.page.Prefixes)))
	x.some("StartAfter", l.encode(c.query.Get("start-after")))
	x.some("ContinuationToken", c.query.Get("continuation-token"))
	if l.page.Next != "" {
		x.text("NextContinuationToken", encodeToken(l.page.Next))
	}
	l.entries(c, x)
	x.close("ListBucketResult")
	return x
}

func listObjects(c *call) error {
	l, err := c.list(c.query.Get("marker"))
	if err != nil {
		return err
	}
	l.owners = true
	x := newXML()
	x.root("ListBucketResult")
	l.head(c, x)
	x.text("Marker", l.encode(l.request.After))
	if l.request.Delimiter != "" {
		x.some("NextMarker", l.encode(l.page.Next))
	}
	l.entries(c, x)
	x.close("ListBucketResult")
	return c.document(x)
}

func (l *listing) head(c *call, x *xmlWriter) {
	x.text("Name", c.bucket)
	x.text("Prefix", l.encode(l.request.Prefix))
	x.some("Delimiter", l.encode(l.request.Delimiter))
	x.number("MaxKeys", int64(l.request.Max))
	if l.encoded {
		x.text("EncodingType", "url")
	}
	x.flag("IsTruncated", l.page.Next != "")
}

func (l *listing) entries(c *call, x *xmlWriter) {
	for i := range l.page.Objects {
		o := &l.page.Objects[i]
		x.open("Contents")
		x.text("Key", l.encode(o.Key))
		x.time("LastModified", o.Modified)
		x.etag(o.ETag)
		for _, a := range algorithms {
			if sumOf(&o.Checksums, a.name) != nil {
				x.text("ChecksumAlgorithm", a.word)
				x.text("ChecksumType", checksumType(o.Checksums))
			}
		}
		x.number("Size", o.Bytes)
		if l.owners {
			x.owner("Owner", c.h.Account)
		}
		x.text("StorageClass", storageStandard)
		x.close("Contents")
	}
	for _, p := range l.page.Prefixes {
		x.open("CommonPrefixes")
		x.text("Prefix", l.encode(p))
		x.close("CommonPrefixes")
	}
}
