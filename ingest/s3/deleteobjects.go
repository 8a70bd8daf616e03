package s3

import (
	"encoding/xml"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tarnlake/tarn/objects"
)

const (
	deletesMax         = 1000
	deletesAtOnce      = 16
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
	if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
		return err
	}
	x := newXML()
	x.root("DeleteResult")
	for i, err := range c.deleteEntries(doc.Object) {
		e := doc.Object[i]
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

// deleteEntries deletes some at a time, so that they share the store's commits.
func (c *call) deleteEntries(entries []deleteEntry) []error {
	errs := make([]error, len(entries))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(deletesAtOnce, len(entries)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(entries)); i = next.Add(1) - 1 {
				errs[i] = c.deleteEntry(entries[i])
			}
		})
	}
	workers.Wait()
	return errs
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
