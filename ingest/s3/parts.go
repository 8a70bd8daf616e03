package s3

import (
	"fmt"
	"strconv"

	"github.com/tarnlake/tarn/objects"
)

func partNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > objects.PartsMax {
		return 0, invalidArgument("partNumber", text, fmt.Sprintf("part number must be an integer between 1 and %d, inclusive", objects.PartsMax))
	}
	return n, nil
}

func uploadPart(c *call) error {
	request := objects.PartRequest{Bucket: c.bucket, Key: c.key, UploadID: c.query.Get("uploadId"), Body: c.body}
	var err error
	if request.Number, err = partNumber(c.query.Get("partNumber")); err != nil {
		return err
	}
	if request.Bytes, err = c.bodyBytes(); err != nil {
		return err
	}
	p, err := c.proofs()
	if err != nil {
		return err
	}
	request.MD5, request.Checksums, request.ComputeChecksum = p.md5, p.sums, p.compute
	request.Verify, request.Computed = p.verify, p.computed
	part, err := c.h.Store.UploadPart(c.ctx, request)
	if err != nil {
		return err
	}
	c.w.Header()["ETag"] = []string{`"` + part.ETag + `"`}
	c.partChecksumHeaders(part.Checksums)
	return c.empty(200)
}

// partChecksumHeaders tells a part's checksums: a part has no type of checksum.
func (c *call) partChecksumHeaders(sums objects.Checksums) {
	for _, a := range algorithms {
		if sum := sumOf(&sums, a.name); sum != nil {
			c.w.Header()[a.header] = []string{checksumText(sum, false, 0)}
		}
	}
}

func uploadPartCopy(c *call) error {
	s, err := c.copySourceOf()
	if err != nil {
		return err
	}
	request := objects.PartCopyRequest{SourceBucket: s.bucket, SourceKey: s.key, SourceVersion: s.version, Bytes: -1,
		Bucket: c.bucket, Key: c.key, UploadID: c.query.Get("uploadId")}
	if request.Number, err = partNumber(c.query.Get("partNumber")); err != nil {
		return err
	}
	if value := c.header(copySource + "-Range"); value != "" {
		if request.Offset, request.Bytes, err = copyRange(value); err != nil {
			return err
		}
	}
	part, err := c.h.Store.UploadPartCopy(c.ctx, request)
	if err != nil {
		return err
	}
	x := newXML()
	x.root("CopyPartResult")
	x.time("LastModified", part.Modified)
	x.etag(part.ETag)
	x.checksums(part.Checksums, 0)
	x.close("CopyPartResult")
	return c.document(x)
}

// copyRange reads bytes=first-last. Unlike a Range header it must be whole, and
// is cut to nothing.
func copyRange(value string) (off, n int64, err error) {
	const most = objects.ObjectBytesMax
	s, ok, _ := parseRange(value, most)
	if !ok || s.contentRange(most) != fmt.Sprintf("bytes %s/%d", value[len("bytes="):], int64(most)) {
		return 0, 0, invalidArgument("x-amz-copy-source-range", value, "must be bytes=first-last, with both offsets inside the source object")
	}
	return s.off, s.n, nil
}

func listParts(c *call) error {
	most, err := c.numberParam("max-parts", objects.ListMax, 0, objects.ListMax)
	if err != nil {
		return err
	}
	after, err := c.numberParam("part-number-marker", 0, 0, objects.PartsMax)
	if err != nil {
		return err
	}
	page, err := c.h.Store.ListParts(c.ctx, c.bucket, c.key, c.query.Get("uploadId"), after, max(most, 1))
	if err != nil {
		return err
	}
	if most == 0 {
		page.Parts, page.Next = nil, 0
	}
	return c.document(c.partsDocument(&page, after, most))
}

func (c *call) partsDocument(page *objects.PartPage, after, most int) *xmlWriter {
	x := newXML()
	x.root("ListPartsResult")
	x.text("Bucket", c.bucket)
	x.text("Key", c.key)
	x.text("UploadId", page.Upload.ID)
	x.owner("Initiator", c.h.Account)
	x.owner("Owner", c.h.Account)
	x.text("StorageClass", storageStandard)
	x.uploadChecksum(&page.Upload)
	x.number("PartNumberMarker", int64(after))
	x.number("NextPartNumberMarker", int64(page.Next))
	x.number("MaxParts", int64(most))
	x.flag("IsTruncated", page.Next != 0)
	for _, p := range page.Parts {
		x.open("Part")
		x.number("PartNumber", int64(p.Number))
		x.time("LastModified", p.Modified)
		x.etag(p.ETag)
		x.number("Size", p.Bytes)
		x.checksums(p.Checksums, 0)
		x.close("Part")
	}
	x.close("ListPartsResult")
	return x
}

func (x *xmlWriter) uploadChecksum(u *objects.Upload) {
	if u.ChecksumAlgorithm != "" {
		x.text("ChecksumAlgorithm", algorithmWord(u.ChecksumAlgorithm))
		x.text("ChecksumType", u.ChecksumType)
	}
}
