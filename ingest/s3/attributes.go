package s3

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

var attributeNames = []string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}

func getObjectAttributes(c *call) error {
	if err := c.checkVersion(c.query.Get("versionId")); err != nil {
		return err
	}
	wanted, err := c.attributesWanted()
	if err != nil {
		return err
	}
	o, err := c.h.Store.Head(c.ctx, c.bucket, c.key)
	if err != nil {
		return err
	}
	c.w.Header()["Last-Modified"] = []string{o.Modified.UTC().Format(http.TimeFormat)}
	x := newXML()
	x.root("GetObjectAttributesResponse")
	for _, name := range wanted {
		x.attribute(name, &o)
	}
	x.close("GetObjectAttributesResponse")
	return c.document(x)
}

func (c *call) attributesWanted() ([]string, error) {
	list := strings.Join(c.r.Header.Values("X-Amz-Object-Attributes"), ",")
	var wanted []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(attributeNames, name) {
			return nil, invalidArgument("x-amz-object-attributes", name, "must be some of "+strings.Join(attributeNames, ", "))
		}
		if !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
		}
	}
	return wanted, nil
}

func (x *xmlWriter) attribute(name string, o *objects.Object) {
	switch name {
	case "ETag":
		x.text("ETag", o.ETag) // here, and only here, S3 leaves the quotes out
	case "ObjectSize":
		x.number("ObjectSize", o.Bytes)
	case "StorageClass":
		x.text("StorageClass", storageStandard)
	case "Checksum":
		x.attributeChecksum(o)
	case "ObjectParts":
		if len(o.PartBytes) > 0 {
			x.open("ObjectParts")
			x.number("PartsCount", int64(len(o.PartBytes)))
			x.close("ObjectParts")
		}
	}
}

func (x *xmlWriter) attributeChecksum(o *objects.Object) {
	mark := len(x.b)
	x.open("Checksum")
	if !x.checksums(o.Checksums, len(o.PartBytes)) {
		x.b = x.b[:mark]
		return
	}
	x.text("ChecksumType", checksumType(o.Checksums))
	x.close("Checksum")
}
