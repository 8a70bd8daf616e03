package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/ingest/s3"
	"github.com/tarnlake/tarn/ingest/s3vectors"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/query"
	"github.com/tarnlake/tarn/tables"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/embed"
	"github.com/tarnlake/tarn/web"
)

// handler is the one port: every door behind the router.
func (l *lake) handler(s settings) (http.Handler, error) {
	judge := authority.New(l.keys)
	rpc, names := query.Handler(query.Options{
		Host: l.host, Store: l.store, Vectors: l.vectors, Keys: l.keys, Version: version, Authority: judge, Region: s.Region,
		Embed:   embed.New(&http.Client{Timeout: time.Minute}, os.Getenv("TARN_EMBEDDER_KEY")),
		Presign: l.presign(s.Region), Called: l.called, Gate: l.gate,
	})
	services := map[string]http.Handler{}
	for _, name := range names {
		services[name] = rpc
	}
	policies := authority.Policies{Store: l.store}
	objectsDoor := s3.New(s3.Options{
		Store: l.store, Secrets: secrets{l.keys}, Host: l.host, Region: s.Region, Domain: s.Domain,
		Authority: judge, Policies: policies,
		Events: s3.Events{Request: l.requested}, Gate: l.gate, StallMax: s.StallMax,
	})
	vectorsDoor := s3vectors.New(s3vectors.Options{
		Host: l.host, Buckets: l.store, Engine: l.vectors, Secrets: secrets{l.keys}, Region: s.Region,
		Gate: l.gate, StallMax: s.StallMax, Authority: judge,
		Served: func(operation, accessKey string, status int, took time.Duration) {
			l.metrics.servedHTTP("s3vectors", operation, status, took)
			l.host.Log.Debug("request", "door", "s3vectors", "operation", operation, "key", accessKey, "status", status, "took", took)
		},
	})
	judge.Register(authority.S3(s3.Actions(), policies.Get))
	judge.Register(vectorsDoor.Service())
	judge.Register(authority.Tarn())
	return &router{
		domain: s.Domain, services: services, own: l.own(judge), s3: objectsDoor,
		aws:   map[string]http.Handler{"s3": objectsDoor, "s3vectors": vectorsDoor},
		scope: scopeService,
	}, nil
}

func scopeService(r *http.Request) (string, bool) {
	scope, ok := sigv4.ScopeOf(r)
	return scope.Service, ok
}

func (l *lake) called(procedure, accessKey, code string, took time.Duration) {
	l.metrics.served("connect", strings.TrimPrefix(procedure, "/"), code, took)
	l.host.Log.Debug("request", "door", "connect", "operation", procedure, "key", accessKey, "code", code, "took", took)
}

func (l *lake) requested(e s3.Entry) {
	l.metrics.servedHTTP("s3", e.Operation, e.Status, e.Duration)
	level := slog.LevelDebug
	if e.Status >= http.StatusInternalServerError && e.Code != "SlowDown" { // of which there may be thousands a second
		level = slog.LevelError
	}
	l.host.Log.Log(context.Background(), level, "request", "door", "s3", "id", e.ID, "operation", e.Operation, "bucket", e.Bucket, "object", e.Key,
		"key", e.AccessKey, "remote", e.Remote, "status", e.Status, "code", e.Code, "in", e.BytesIn, "out", e.BytesOut, "took", e.Duration, "error", e.Err)
}

// own serves everything under /_/.
func (l *lake) own(judge *authority.Authority) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/_/console/", web.Handler("/_/console/"))
	mux.Handle("/_/console", http.RedirectHandler("/_/console/", http.StatusFound))
	mux.HandleFunc("/_/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/_/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if health := l.store.Health(); !health.Writable {
			http.Error(w, "read-only: "+health.Reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("/_/metrics", l.proven(judge, l.metrics.handler()))
	return mux
}

// proven lets through whoever has a bearer token and may see the store's status.
func (l *lake) proven(judge *authority.Authority, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		who, err := l.keys.Verify(r.Context(), token)
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a bearer token is needed: make one with `tarn key token`", http.StatusUnauthorized)
			return
		}
		ask := authority.Request{AccessKey: who.AccessKey, Action: authority.GetStatus, Resource: authority.Store, Facts: authority.FactsOf(r, who.AccessKey)}
		if err := judge.May(r.Context(), ask); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// secrets tells the AWS doors the secrets of the keyring.
type secrets struct{ keys *access.Keyring }

func (s secrets) Secret(ctx context.Context, accessKey string) (string, error) {
	secret, err := s.keys.Secret(ctx, accessKey)
	if errors.Is(err, access.ErrUnknownKey) {
		return "", sigv4.ErrUnknownKey
	}
	return secret, err
}

func rowFiles(store *objects.Store) vectors.RowFiles {
	return vectors.ParquetRows(tables.NewRowFiles(vectors.Over(store)))
}

// presign signs URLs of the S3 door with a caller's own key.
func (l *lake) presign(region string) query.Presign {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return func(ctx context.Context, method, origin, bucket, key, accessKey, secret string, life time.Duration) (string, error) {
		u := origin + "/" + url.PathEscape(bucket) + "/" + escapeKey(key) + fmt.Sprintf("?X-Amz-Expires=%d", int(life/time.Second))
		r, err := http.NewRequestWithContext(ctx, method, u, nil)
		if err != nil {
			return "", fmt.Errorf("presign: %w", err)
		}
		signed, _, err := signer.PresignHTTP(ctx, aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}, r, "UNSIGNED-PAYLOAD", "s3", region, l.host.Clock.Now())
		return signed, err
	}
}

// escapeKey is the path of a key as S3 signs it: every byte but the unreserved and slashes.
func escapeKey(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return strings.Join(parts, "/")
}
