package s3

import "github.com/tarnlake/tarn/objects"

func listUploads(c *call) error {
	most, err := c.numberParam("max-uploads", objects.ListMax, 1, objects.ListMax)
	if err != nil {
		return err
	}
	encoded, err := c.urlEncoding()
	if err != nil {
		return err
	}
	r := objects.UploadsRequest{Bucket: c.bucket, Prefix: c.query.Get("prefix"), Delimiter: c.query.Get("delimiter"),
		KeyMarker: c.query.Get("key-marker"), UploadIDMarker: c.query.Get("upload-id-marker"), Max: most}
	page, err := c.h.Store.ListUploads(c.ctx, r)
	if err != nil {
		return err
	}
	return c.document(c.uploadsDocument(&r, &page, encoded))
}

func (c *call) uploadsDocument(r *objects.UploadsRequest, page *objects.UploadsPage, encoded bool) *xmlWriter {
	encode := urlEncoder(encoded)
	truncated := page.NextKeyMarker != ""
	x := newXML()
	x.root("ListMultipartUploadsResult")
	x.text("Bucket", c.bucket)
	x.text("KeyMarker", encode(r.KeyMarker))
	x.text("UploadIdMarker", r.UploadIDMarker)
	if truncated {
		x.text("NextKeyMarker", encode(page.NextKeyMarker))
		x.text("NextUploadIdMarker", page.NextUploadIDMarker)
	}
	x.text("Prefix", encode(r.Prefix))
	x.some("Delimiter", encode(r.Delimiter))
	if encoded {
		x.text("EncodingType", "url")
	}
	x.number("MaxUploads", int64(r.Max))
	x.flag("IsTruncated", truncated)
	for i := range page.Uploads {
		c.uploadEntry(x, &page.Uploads[i], encode)
	}
	for _, p := range page.Prefixes {
		x.open("CommonPrefixes")
		x.text("Prefix", encode(p))
		x.close("CommonPrefixes")
	}
	x.close("ListMultipartUploadsResult")
	return x
}

func (c *call) uploadEntry(x *xmlWriter, u *objects.Upload, encode func(string) string) {
	x.open("Upload")
	x.text("Key", encode(u.Key))
	x.text("UploadId", u.ID)
	x.owner("Initiator", c.h.Account)
	x.owner("Owner", c.h.Account)
	x.text("StorageClass", storageStandard)
	x.time("Initiated", u.Created)
	x.uploadChecksum(u)
	x.close("Upload")
}
