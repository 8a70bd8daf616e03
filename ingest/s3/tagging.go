package s3

// getObjectTagging answers that an object has no tags: none can be given yet.
func getObjectTagging(c *call) error {
	if err := c.checkVersion(c.query.Get("versionId")); err != nil {
		return err
	}
	if _, err := c.h.Store.Head(c.ctx, c.bucket, c.key); err != nil {
		return err
	}
	x := newXML()
	x.root("Tagging")
	x.open("TagSet")
	x.close("TagSet")
	x.close("Tagging")
	return c.document(x)
}
