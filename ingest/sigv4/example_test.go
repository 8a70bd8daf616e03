package sigv4_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/tarnlake/tarn/ingest/sigv4"
)

// A router reads the service that a request claims; a Verifier proves the claim.
func ExampleScopeOf() {
	r := httptest.NewRequest("POST", "/QueryVectors", nil)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20261122/eu-west-3/s3vectors/aws4_request, SignedHeaders=host, Signature=0")
	scope, ok := sigv4.ScopeOf(r)
	fmt.Println(scope.Service, scope.Region, ok)
	// Output: s3vectors eu-west-3 true
}
