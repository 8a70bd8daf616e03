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
	_, err = c.h.Store.Delete(c.ctx, objects.DeleteRequest{Bucket: c.bucket, Key: c.key, Conditions: conditions})
	if err := absentIsDeleted(err, conditions); err != nil {
		return err
	}
	return c.empty(204)
}

// absentIsDeleted: a delete succeeds where there is nothing to delete, unless a
// condition asked for it.
func absentIsDeleted(err error, conditions objects.Conditions) error {
	if errors.Is(err, objects.ErrNoObject) && conditions == (objects.Conditions{}) {
		return nil
	}
	return err
}
