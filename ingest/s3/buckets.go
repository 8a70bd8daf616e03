package s3

import (
	"encoding/xml"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

func listBuckets(c *call) error {
	buckets, err := c.h.Store.Buckets(c.ctx)
	if err != nil {
		return err
	}
	most, err := c.numberParam("max-buckets", 10000, 1, 10000)
	if err != nil {
		return err
	}
	after, err := c.token("continuation-token")
	if err != nil {
		return err
	}
	prefix := c.query.Get("prefix")
	x := newXML()
	x.root("ListAllMyBucketsResult")
	x.owner("Owner", c.h.Account)
	x.open("Buckets")
	last, more := c.bucketPage(x, buckets, prefix, after, most)
	x.close("Buckets")
	x.some("Prefix", prefix)
	if more {
		x.text("ContinuationToken", encodeToken(last))
	}
	x.close("ListAllMyBucketsResult")
	return c.document(x)
}

func (c *call) bucketPage(x *xmlWriter, buckets []objects.Bucket, prefix, after string, most int) (last string, more bool) {
	for _, b := range buckets {
		if b.Name <= after || !strings.HasPrefix(b.Name, prefix) {
			continue
		}
		if most == 0 {
			return last, true
		}
		most--
		last = b.Name
		x.open("Bucket")
		x.text("Name", b.Name)
		x.time("CreationDate", b.Created)
		x.text("BucketRegion", c.h.Region)
		x.close("Bucket")
	}
	return last, false
}

func headBucket(c *call) error {
	if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
		return err
	}
	c.w.Header()["X-Amz-Bucket-Region"] = []string{c.h.Region}
	return c.empty(200)
}

type createBucketConfiguration struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	LocationConstraint string
	Location           *struct{}
	Bucket             *struct{}
	Tags               *struct{}
}

func createBucket(c *call) error {
	if err := objects.CheckBucketName(c.bucket); err != nil {
		return err
	}
	var wanted createBucketConfiguration
	if _, err := c.readDocument(&wanted, c.h.DocBytesMax); err != nil {
		return err
	}
	if wanted.Location != nil || wanted.Bucket != nil || wanted.Tags != nil {
		return notImplemented("directory buckets and tags in CreateBucketConfiguration")
	}
	if err := c.checkRegion(wanted.LocationConstraint); err != nil {
		return err
	}
	if _, err := c.h.Store.CreateBucket(c.ctx, c.bucket); err != nil {
		return err
	}
	c.w.Header()["Location"] = []string{"/" + c.bucket}
	return c.empty(200)
}

// checkRegion takes the server's region, and the one that the request was signed
// for: this store lies wherever its client believes it to lie.
func (c *call) checkRegion(region string) error {
	if region == "" || region == c.h.Region || region == c.signed.Scope.Region {
		return nil
	}
	return &fault{code: "InvalidLocationConstraint", status: 400, message: "The specified location-constraint is not valid: this is " + c.h.Region + ".",
		details: []detail{{"LocationConstraint", clip(region)}}}
}

func deleteBucket(c *call) error {
	if err := c.h.Store.DeleteBucket(c.ctx, c.bucket); err != nil {
		return err
	}
	return c.empty(204)
}

func getBucketLocation(c *call) error {
	if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
		return err
	}
	x := newXML()
	x.root("LocationConstraint")
	if c.h.Region != "us-east-1" { // whose name is left out, as ever
		x.escape(c.h.Region)
	}
	x.close("LocationConstraint")
	return c.document(x)
}

// getBucketVersioning answers that versioning was never enabled.
func getBucketVersioning(c *call) error {
	if _, err := c.h.Store.Bucket(c.ctx, c.bucket); err != nil {
		return err
	}
	x := newXML()
	x.root("VersioningConfiguration")
	x.close("VersioningConfiguration")
	return c.document(x)
}
