package s3vectors

import (
	"net/http"
	"strings"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/ingest/sigv4"
)

// admit asks for leave to begin before the body is read, which the signature
// covers: the tenant is whom the request claims to be. From then on the body is
// read through the connection.
func (d *Door) admit(w http.ResponseWriter, r *http.Request, operation string) (*admission.Connection, error) {
	scope, _ := sigv4.ScopeOf(r)
	ask := admission.Ask{Class: class(operation), Tenant: scope.AccessKey, Units: admission.Units(r.ContentLength)}
	permit, err := d.o.Gate.Admit(r.Context(), ask)
	if err != nil {
		return nil, err
	}
	connection := admission.Over(w, d.o.Host.Clock, d.o.StallMax, permit)
	r.Body = connection.Body(r.Body)
	return connection, nil
}

func class(operation string) admission.Class {
	for _, verb := range []string{"Get", "List", "Query"} {
		if strings.HasPrefix(operation, verb) {
			return admission.Reads
		}
	}
	return admission.Writes
}
