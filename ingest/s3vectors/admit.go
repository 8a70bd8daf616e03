package s3vectors

import (
	"net/http"
	"strings"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/ingest/sigv4"
)

// admit asks for leave to begin before the body is read, which the signature
// covers: the tenant is whom the request claims to be.
func (d *Door) admit(w http.ResponseWriter, r *http.Request, operation string) (*admission.Connection, error) {
	scope, _ := sigv4.ScopeOf(r)
	ask := admission.Ask{Class: class(operation), Tenant: scope.AccessKey, Units: admission.Units(r.ContentLength)}
	permit, err := d.o.Gate.Admit(r.Context(), ask)
	if err != nil {
		return nil, err
	}
	return admission.Over(w, d.o.Host.Clock, d.o.StallMax, permit), nil
}

// through is the request with its body read through the connection. The request
// itself stays as it came: the server looks at its body in the end.
func through(c *admission.Connection, r *http.Request) *http.Request {
	copied := *r
	copied.Body = c.Body(r.Body)
	return &copied
}

func class(operation string) admission.Class {
	for _, verb := range []string{"Get", "List", "Query"} {
		if strings.HasPrefix(operation, verb) {
			return admission.Reads
		}
	}
	return admission.Writes
}
