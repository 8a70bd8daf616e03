package s3

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

const completeBytesMax = 8 << 20 // 10,000 parts with ETag and checksum

type completeDocument struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Part    completeList
}

// completeList refuses the first part too many, before memory is taken for it.
type completeList []completeEntry

func (l *completeList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if len(*l) == objects.PartsMax {
		return fmt.Errorf("more than %d parts are named", objects.PartsMax)
	}
	*l = append(*l, completeEntry{})
	return d.DecodeElement(&(*l)[len(*l)-1], &start)
}

type completeEntry struct {
	PartNumber        int
	ETag              string
	ChecksumCRC32     string
	ChecksumCRC32C    string
	ChecksumCRC64NVME string
	ChecksumSHA1      string
	ChecksumSHA256    string
}

func completeUpload(c *call) error {
	conditions, err := c.writeConditions()
	if err != nil {
		return err
	}
	sums, err := c.objectChecksums()
	if err != nil {
		return err
	}
	parts, err := c.readParts()
	if err != nil {
		return err
	}
	if err := c.checkObjectSize(parts); err != nil {
		return err
	}
	o, err := c.h.Store.CompleteUpload(c.ctx, objects.CompleteRequest{Bucket: c.bucket, Key: c.key, UploadID: c.query.Get("uploadId"),
		Parts: parts, Checksums: sums, Conditions: conditions})
	if err != nil {
		return err
	}
	x := newXML()
	x.root("CompleteMultipartUploadResult")
	x.text("Location", c.location())
	x.text("Bucket", c.bucket)
	x.text("Key", c.key)
	x.etag(o.ETag)
	if x.checksums(o.Checksums, len(o.PartBytes)) {
		x.text("ChecksumType", checksumType(o.Checksums))
	}
	x.close("CompleteMultipartUploadResult")
	return c.document(x)
}

// objectChecksums are what the client says of the whole object. A composite one
// carries the number of parts behind it.
func (c *call) objectChecksums() (sums objects.Checksums, err error) {
	for _, a := range algorithms {
		value := c.header(a.header)
		if value == "" {
			continue
		}
		text, _, composite := strings.Cut(value, "-")
		sum, err := decodeChecksum(text, a.bytes)
		if err != nil {
			return sums, invalidRequest("Value for %s%s header is invalid.", checksumPrefix, a.name)
		}
		sums.Set(a.name, sum)
		sums.Composite = composite
	}
	return sums, nil
}

func (c *call) readParts() ([]objects.CompletePart, error) {
	b, err := c.readUnsummed(completeBytesMax)
	if err != nil {
		return nil, err
	}
	var doc completeDocument
	if len(b) == 0 {
		return nil, malformedXML("no Part is named")
	}
	if err := decodeXML(b, &doc); err != nil {
		return nil, err
	}
	if len(doc.Part) == 0 {
		return nil, malformedXML("no Part is named")
	}
	parts := make([]objects.CompletePart, len(doc.Part))
	for i, e := range doc.Part {
		if parts[i], err = e.part(); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func (e *completeEntry) part() (objects.CompletePart, error) {
	p := objects.CompletePart{Number: e.PartNumber, ETag: unquote(e.ETag)}
	if p.Number < 1 || p.Number > objects.PartsMax {
		return p, invalidArgument("PartNumber", fmt.Sprint(p.Number), fmt.Sprintf("must be from 1 to %d", objects.PartsMax))
	}
	if p.ETag == "" {
		return p, malformedXML("a Part has no ETag")
	}
	texts := [...]string{e.ChecksumCRC32, e.ChecksumCRC32C, e.ChecksumCRC64NVME, e.ChecksumSHA1, e.ChecksumSHA256}
	for i, a := range algorithms {
		if texts[i] == "" {
			continue
		}
		sum, err := decodeChecksum(texts[i], a.bytes)
		if err != nil {
			return p, invalidArgument(a.element, texts[i], "is not a checksum of its algorithm")
		}
		p.Checksums.Set(a.name, sum)
	}
	return p, nil
}

// location is the URL of what the request made.
func (c *call) location() string {
	scheme := "http"
	if c.r.TLS != nil {
		scheme = "https"
	}
	path := c.r.URL.EscapedPath()
	return scheme + "://" + c.r.Host + path
}

// checkObjectSize honours x-amz-mp-object-size, by which a client makes sure
// that the parts are those it believes.
func (c *call) checkObjectSize(parts []objects.CompletePart) error {
	value := c.header("X-Amz-Mp-Object-Size")
	if value == "" {
		return nil
	}
	want, err := strconv.ParseInt(value, 10, 64)
	if err != nil || want < 0 {
		return invalidArgument("x-amz-mp-object-size", value, "must be a number of bytes")
	}
	sizes, err := c.partSizes()
	if err != nil {
		return err
	}
	var got int64
	for _, p := range parts {
		got += sizes[p.Number]
	}
	if got != want {
		return invalidRequest("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", want, got)
	}
	return nil
}

func (c *call) partSizes() (map[int]int64, error) {
	sizes := map[int]int64{}
	for after := 0; ; {
		page, err := c.h.Store.ListParts(c.ctx, c.bucket, c.key, c.query.Get("uploadId"), after, objects.ListMax)
		if err != nil {
			return nil, err
		}
		for _, p := range page.Parts {
			sizes[p.Number] = p.Bytes
		}
		if page.Next <= after {
			return sizes, nil
		}
		after = page.Next
	}
}
