package s3_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/s3"
	"github.com/tarnlake/tarn/ingest/sigv4"
)

type nobody struct{}

func (nobody) Secret(context.Context, string) (string, error) { return "", sigv4.ErrUnknownKey }

// A door needs a store, secrets, the outside world, and someone who decides what
// is allowed. It is an http.Handler.
func ExampleNew() {
	var store struct{ s3.Store } // objects.Store, in production
	door := s3.New(s3.Options{
		Store: store, Secrets: nobody{}, Host: host.Real(nil),
		Authorize: func(_ context.Context, who s3.Identity, action, resource string) error { return s3.ErrDenied },
	})
	answer := httptest.NewRecorder()
	door.ServeHTTP(answer, httptest.NewRequest("GET", "/bucket/key", nil))
	fmt.Println(answer.Code)
	// Output: 403
}
