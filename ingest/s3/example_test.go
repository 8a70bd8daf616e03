package s3_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/s3"
	"github.com/tarnlake/tarn/ingest/sigv4"
)

type nobody struct{}

func (nobody) Identity(context.Context, string) (access.Identity, error) {
	return access.Identity{}, access.ErrUnknownKey
}

func (nobody) Secret(context.Context, string) (string, error) { return "", sigv4.ErrUnknownKey }

// A door needs a store, secrets, the outside world, and someone who decides what
// is allowed. It is an http.Handler.
func ExampleNew() {
	var store struct{ s3.Store } // objects.Store, in production
	door := s3.New(s3.Options{
		Store: store, Secrets: nobody{}, Host: host.Real(nil),
		Authority: authority.New(nobody{}), Policies: authority.Policies{},
	})
	answer := httptest.NewRecorder()
	door.ServeHTTP(answer, httptest.NewRequest("GET", "/bucket/key", nil))
	fmt.Println(answer.Code)
	// Output: 403
}
