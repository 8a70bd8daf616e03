package s3

import (
	"errors"

	"github.com/tarnlake/tarn/objects"
)

func deleteObject(c *call) error {
	if err := c.checkVersion(c.query.Get("versionId")); err != nil {
		return err
	}
	conditions, err := c.writeConditions()
	if err != nil {
		return err
	}
	if err := c.delete(objects.DeleteRequest{Bucket: c.bucket, Key: c.key, Conditions: conditions}); err != nil {
		return err
	}
	return c.empty(204)
}

// delete succeeds where there is nothing to delete, unless a condition asked for it.
func (c *call) delete(r objects.DeleteRequest) error {
	_, err := c.h.Store.Delete(c.ctx, r)
	if errors.Is(err, objects.ErrNoObject) && r.Conditions == (objects.Conditions{}) {
		return nil
	}
	return err
}
