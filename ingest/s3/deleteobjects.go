package s3

import (
	"encoding/xml"
	"fmt"

	"github.com/tarnlake/tarn/objects"
)

const (
	deletesMax         = 1000
	deleteBytesMax     = 4 << 20 // 1,000 keys of 1 KiB, escaped
	deletesWithoutName = "an Object has no Key"
)

type deleteDocument struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []deleteEntry
}

type deleteEntry struct {
	Key              string
	VersionID        string `xml:"VersionId"`
	ETag             string
	LastModifiedTime *string
	Size             *string
}

func deleteObjects(c *call) error {
	var doc deleteDocument
	empty, err := c.readDocument(&doc, deleteBytesMax)
	if err != nil {
		return err
	}
	if err := doc.check(empty); err != nil {
		return err
	}
	if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
		return err
	}
	x := newXML()
	x.root("DeleteResult")
	for _, e := range doc.Object {
		err := c.deleteEntry(e)
		switch {
		case err != nil:
			x.deleteError(e, faultOf(err))
		case !doc.Quiet:
			x.open("Deleted")
			x.text("Key", e.Key)
			x.some("VersionId", e.VersionID)
			x.close("Deleted")
		}
	}
	x.close("DeleteResult")
	return c.document(x)
}

func (d *deleteDocument) check(empty bool) error {
	switch {
	case empty || len(d.Object) == 0:
		return malformedXML("no Object is named")
	case len(d.Object) > deletesMax:
		return malformedXML(fmt.Sprintf("%d objects are named, at most %d", len(d.Object), deletesMax))
	}
	for _, e := range d.Object {
		if e.Key == "" {
			return malformedXML(deletesWithoutName)
		}
	}
	return nil
}

func (c *call) deleteEntry(e deleteEntry) error {
	if err := checkKey(e.Key); err != nil {
		return err
	}
	if e.LastModifiedTime != nil || e.Size != nil {
		return notImplemented("LastModifiedTime and Size as conditions of a delete")
	}
	if err := c.checkVersion(e.VersionID); err != nil {
		return err
	}
	if err := c.authorize("s3:DeleteObject", arn(c.bucket, e.Key)); err != nil {
		return err
	}
	r := objects.DeleteRequest{Bucket: c.bucket, Key: e.Key}
	if e.ETag == "*" {
		r.Conditions.IfExists = true
	} else {
		r.Conditions.IfETag = unquote(e.ETag)
	}
	return c.delete(r)
}

func (x *xmlWriter) deleteError(e deleteEntry, f *fault) {
	x.open("Error")
	x.text("Key", e.Key)
	x.some("VersionId", e.VersionID)
	x.text("Code", f.code)
	x.text("Message", f.message)
	x.close("Error")
}
