package authority

import (
	"net"
	"net/http"
	"strconv"

	"github.com/tarnlake/tarn/access/policy"
)

// FactsOf are what conditions may ask about an HTTP request of somebody.
func FactsOf(r *http.Request, accessKey string) map[string]string {
	f := map[string]string{
		policy.FactSecure:       strconv.FormatBool(r.TLS != nil),
		policy.FactPrincipalARN: UserARN(accessKey),
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		f[policy.FactSourceIP] = host
	}
	if agent := r.UserAgent(); agent != "" {
		f[policy.FactUserAgent] = agent
	}
	return f
}
