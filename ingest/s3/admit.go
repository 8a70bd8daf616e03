package s3

import (
	"math"
	"net/http"
	"strconv"

	"github.com/tarnlake/tarn/access/admission"
)

// admit asks for leave to begin, before a byte of the body is read. Who asks is
// proven by then, and what for is known.
func (c *call) admit(op *operation) error {
	ask := admission.Ask{Class: op.class(), Tenant: c.signed.Scope.AccessKey, Units: admission.Units(c.r.ContentLength)}
	permit, err := c.h.Gate.Admit(c.ctx, ask)
	if err != nil {
		return err
	}
	c.w.connection = admission.Over(c.w.ResponseWriter, c.h.Host.Clock, c.h.StallMax, permit)
	c.body = c.signed.Body(c.w.connection.Body(c.r.Body))
	return nil
}

func (op *operation) class() admission.Class {
	if op.method == http.MethodGet || op.method == http.MethodHead {
		return admission.Reads
	}
	return admission.Writes
}

// overloaded is the answer to a request that was not admitted.
func overloaded(e *admission.OverloadError) *fault {
	seconds := int(math.Ceil(max(e.RetryAfter.Seconds(), 1)))
	return &fault{code: "SlowDown", status: http.StatusServiceUnavailable, message: "Please reduce your request rate: " + e.Error() + ".",
		header: map[string]string{"Retry-After": strconv.Itoa(seconds)}}
}
