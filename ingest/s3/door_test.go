package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/sigv4"
)

const (
	testKey    = "TESTACCESSKEY"
	testSecret = "a secret of the tests"
)

type secrets map[string]string

func (s secrets) Secret(_ context.Context, id string) (string, error) {
	if secret, ok := s[id]; ok {
		return secret, nil
	}
	return "", sigv4.ErrUnknownKey
}

// door is a served handler over a store in memory.
type door struct {
	t       testing.TB
	server  *httptest.Server
	handler *Handler
	store   *memory
	mu      sync.Mutex
	entries []Entry
	deny    func(action, resource string) bool
}

// judge decides by a func; policies it takes as they are.
type judge func(r authority.Request) error

func (j judge) May(_ context.Context, r authority.Request) error { return j(r) }
func (judge) CheckBucketPolicy(string, string, string) error     { return nil }

// texts are policies by bucket.
type texts map[string]string

func (p texts) Get(_ context.Context, bucket string) (string, error) { return p[bucket], nil }
func (p texts) Put(_ context.Context, bucket, text string) error {
	p[bucket] = text
	return nil
}

func newDoor(t testing.TB) *door {
	d := unservedDoor(t)
	d.server = httptest.NewServer(d.handler)
	t.Cleanup(d.server.Close)
	return d
}

func newTLSDoor(t testing.TB) *door {
	d := unservedDoor(t)
	d.server = httptest.NewTLSServer(d.handler)
	t.Cleanup(d.server.Close)
	return d
}

func unservedDoor(t testing.TB) *door {
	d := &door{t: t, store: newMemory()}
	d.handler = New(Options{
		Store: d.store, Secrets: secrets{testKey: testSecret}, Host: host.Real(nil),
		Authority: judge(func(r authority.Request) error {
			if r.AccessKey != testKey || d.deny != nil && d.deny(r.Action, r.Resource) {
				return access.ErrDenied
			}
			return nil
		}), Policies: make(texts),
		Events: Events{Request: d.note},
	})
	return d
}

func (d *door) note(e Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, e)
}

func (d *door) sdk(options ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(d.server.URL), Region: "us-east-1", UsePathStyle: true,
		HTTPClient: d.server.Client(), RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
		Credentials:                credentials.NewStaticCredentialsProvider(testKey, testSecret, ""),
	}, options...)
}

func (d *door) minio() *minio.Client {
	c, err := minio.New(strings.TrimPrefix(d.server.URL, "http://"), &minio.Options{
		Creds: miniocredentials.NewStaticV4(testKey, testSecret, ""), Region: "us-east-1", TrailingHeaders: true})
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *door) bucket(name string) {
	d.t.Helper()
	if _, err := d.store.CreateBucket(context.Background(), name); err != nil {
		d.t.Fatal(err)
	}
}

// raw is a request that no client library would send.
type raw struct {
	method, target string // target: path and query as they stand on the wire
	body           string
	header         map[string]string
	payload        string                // x-amz-content-sha256; default UNSIGNED-PAYLOAD
	at             time.Time             // of the signature; default now
	secret         string                // default the right one
	anonymous      bool                  // not signed at all
	after          func(r *http.Request) // a change once it is signed
}

type reply struct {
	status int
	code   string // of S3's error
	body   string
	header http.Header
}

func (d *door) request(q raw) *http.Request {
	d.t.Helper()
	r, err := http.NewRequest(q.method, d.server.URL, strings.NewReader(q.body))
	if err != nil {
		d.t.Fatal(err)
	}
	path, query, _ := strings.Cut(q.target, "?")
	r.URL.Opaque = "//" + r.URL.Host + path
	r.URL.RawQuery = query
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	if q.body == "" {
		r.Body = nil
		r.ContentLength = 0
	}
	if !q.anonymous {
		d.sign(r, q)
	}
	if q.after != nil {
		q.after(r)
	}
	return r
}

func (d *door) sign(r *http.Request, q raw) {
	d.t.Helper()
	if q.payload == "" {
		q.payload = "UNSIGNED-PAYLOAD"
	}
	if q.at.IsZero() {
		q.at = time.Now()
	}
	if q.secret == "" {
		q.secret = testSecret
	}
	r.Header.Set("X-Amz-Content-Sha256", q.payload)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	keys := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: q.secret}
	if err := signer.SignHTTP(context.Background(), keys, r, q.payload, "s3", "us-east-1", q.at); err != nil {
		d.t.Fatal(err)
	}
}

func (d *door) do(q raw) reply {
	d.t.Helper()
	return d.send(d.request(q))
}

func (d *door) send(r *http.Request) reply {
	d.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return reply{status: resp.StatusCode, code: between(string(b), "<Code>", "</Code>"), body: string(b), header: resp.Header}
}

func between(s, left, right string) string {
	_, s, ok := strings.Cut(s, left)
	s, _, _ = strings.Cut(s, right)
	if !ok {
		return ""
	}
	return s
}

type hasher struct{ hash.Hash }

func (hasher) Close() {}

func crcOf(s string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
}
