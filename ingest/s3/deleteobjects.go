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
	Object  deleteList
}

// deleteList refuses the first object too many, before memory is taken for it.
type deleteList []deleteEntry

func (l *deleteList) UnmarshalXML(d *xml.Decoder, start xml.StartElement) error {
	if len(*l) == deletesMax {
		return fmt.Errorf("more than %d objects are named", deletesMax)
	}
	*l = append(*l, deleteEntry{})
	return d.DecodeElement(&(*l)[len(*l)-1], &start)
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
	errs, err := c.deleteEntries(doc.Object)
	if err != nil {
		return err
	}
	x := newXML()
	x.root("DeleteResult")
	for i, e := range doc.Object {
		switch {
		case errs[i] != nil:
			x.deleteError(e, faultOf(errs[i]))
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
	if empty || len(d.Object) == 0 {
		return malformedXML("no Object is named")
	}
	for _, e := range d.Object {
		if e.Key == "" {
			return malformedXML(deletesWithoutName)
		}
	}
	return nil
}

// deleteEntries deletes what may be deleted, together, and says of each entry
// what came of it.
func (c *call) deleteEntries(entries []deleteEntry) ([]error, error) {
	errs := make([]error, len(entries))
	requests := make([]objects.DeleteRequest, 0, len(entries))
	places := make([]int, 0, len(entries))
	for i, e := range entries {
		r, err := c.deleteRequest(e)
		if err != nil {
			errs[i] = err
			continue
		}
		requests, places = append(requests, r), append(places, i)
	}
	outcomes, err := c.h.Store.DeleteMany(c.ctx, c.bucket, requests)
	if err != nil {
		return nil, err
	}
	for j, o := range outcomes {
		errs[places[j]] = absentIsDeleted(o.Err, requests[j].Conditions)
	}
	return errs, nil
}

func (c *call) deleteRequest(e deleteEntry) (r objects.DeleteRequest, err error) {
	r = objects.DeleteRequest{Bucket: c.bucket, Key: e.Key}
	if e.ETag == "*" {
		r.Conditions.IfExists = true
	} else {
		r.Conditions.IfETag = unquote(e.ETag)
	}
	if err := checkKey(e.Key); err != nil {
		return r, err
	}
	if e.LastModifiedTime != nil || e.Size != nil {
		return r, notImplemented("LastModifiedTime and Size as conditions of a delete")
	}
	if err := c.checkVersion(e.VersionID); err != nil {
		return r, err
	}
	return r, c.authorize("s3:DeleteObject", arn(c.bucket, e.Key))
}

func (x *xmlWriter) deleteError(e deleteEntry, f *fault) {
	x.open("Error")
	x.text("Key", e.Key)
	x.some("VersionId", e.VersionID)
	x.text("Code", f.code)
	x.text("Message", f.message)
	x.close("Error")
}
