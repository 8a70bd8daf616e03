package s3vectors

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3vectors"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors"
)

const (
	fullKey    = "TESTFULLACCESS"
	narrowKey  = "TESTQUERYONLY" // QueryVectors and ListVectors only
	testSecret = "a secret/of+many=kinds"
	testRegion = "eu-west-3"
)

type secrets map[string]string

func (s secrets) Secret(_ context.Context, id string) (string, error) {
	if secret, ok := s[id]; ok {
		return secret, nil
	}
	return "", sigv4.ErrUnknownKey
}

// world is the door over a store on fake drives. Its time is the real one, with which
// the SDK signs.
type world struct {
	store  *objects.Store
	engine *counting
	door   *Door
	server *httptest.Server
	client *http.Client
	served chan string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	h := hosttest.New(1)
	h.Clock = host.Real(nil).Clock
	var drives []string
	for i := range 6 {
		drives = append(drives, fmt.Sprintf("/data/drive-%d", i+1))
	}
	store, err := objects.Open(t.Context(), objects.Options{Host: h, Drives: drives, AutoFormat: true, ExtentBytes: 8 << 20, DriveTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	engine, err := vectors.Open(t.Context(), vectors.Options{Store: vectors.Over(store)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	counted := &counting{Engine: engine}
	w := &world{store: store, engine: counted, served: make(chan string, 1)}
	judge := authority.New(people{})
	w.door = New(Options{
		Host: h, Buckets: store, Engine: counted, Region: testRegion, Authority: judge,
		Secrets: secrets{fullKey: testSecret, narrowKey: testSecret},
		Served: func(operation, _ string, status int, _ time.Duration) {
			select {
			case w.served <- fmt.Sprintf("%s %d", operation, status):
			default:
			}
		},
	})
	judge.Register(w.door.Service())
	w.server = httptest.NewServer(w.door)
	t.Cleanup(w.server.Close)
	w.client = &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

// counting is an engine that counts its queries.
type counting struct {
	*vectors.Engine
	queries atomic.Int64
}

func (c *counting) Query(ctx context.Context, bucket, name string, r vectors.Request) (vectors.Answer, error) {
	c.queries.Add(1)
	return c.Engine.Query(ctx, bucket, name, r)
}

// people are the root key, and one that may query and list.
type people struct{}

func (people) Identity(_ context.Context, accessKey string) (access.Identity, error) {
	switch accessKey {
	case fullKey:
		return access.Identity{AccessKey: accessKey, Root: true}, nil
	case narrowKey:
		return access.Identity{AccessKey: accessKey, Rights: access.Rights{
			Policy: `{"Statement":{"Effect":"Allow","Action":["s3vectors:QueryVectors","s3vectors:ListVectors"],"Resource":"*"}}`,
		}}, nil
	}
	return access.Identity{}, access.ErrUnknownKey
}

// sdkClient is the unmodified SDK's client.
func (w *world) sdkClient(accessKey string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(w.server.URL), Region: testRegion, HTTPClient: w.client,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, testSecret, ""),
	})
}

// request is one on the raw wire. What is zero is as it should be.
type request struct {
	method, path, body string
	key, secret        string
	skew               time.Duration
	unsigned           bool
	sentBody           string // instead of the signed one
	chunked            bool   // its length is not told
	header             http.Header
}

func (q request) build(t testing.TB, base string) *http.Request {
	t.Helper()
	or := func(v, otherwise string) string {
		if v == "" {
			return otherwise
		}
		return v
	}
	r, err := http.NewRequestWithContext(t.Context(), or(q.method, http.MethodPost), base+q.path, strings.NewReader(or(q.sentBody, q.body)))
	if err != nil {
		t.Fatal(err)
	}
	if q.chunked {
		r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(q.body))
	}
	r.Header.Set("Content-Type", "application/json")
	for name, values := range q.header {
		r.Header[name] = values
	}
	if q.unsigned {
		return r
	}
	sum := sha256.Sum256([]byte(q.body))
	who := aws.Credentials{AccessKeyID: or(q.key, fullKey), SecretAccessKey: or(q.secret, testSecret)}
	if err := v4.NewSigner().SignHTTP(t.Context(), who, r, hex.EncodeToString(sum[:]), "s3vectors", testRegion, time.Now().Add(q.skew)); err != nil {
		t.Fatal(err)
	}
	return r
}

// reply is an answer with what an error says.
type reply struct {
	status  int
	kind    string
	id      string
	body    []byte
	Message string  `json:"message"`
	Fields  []field `json:"fieldList"`
}

func (w *world) send(t testing.TB, q request) reply {
	t.Helper()
	res, err := w.client.Do(q.build(t, w.server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := reply{status: res.StatusCode, kind: res.Header.Get("x-amzn-ErrorType"), id: res.Header.Get("x-amzn-RequestId"), body: body}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("answer %d is not JSON: %v: %q", a.status, err, body)
	}
	return a
}

// do is a request that must succeed.
func (w *world) do(t testing.TB, operation, body string) []byte {
	t.Helper()
	a := w.send(t, request{path: "/" + operation, body: body})
	if a.status != http.StatusOK {
		t.Fatalf("%s %s: %d %s: %s", operation, body, a.status, a.kind, a.Message)
	}
	return a.body
}

// furnish makes what the requests of the tests are about.
func (w *world) furnish(t testing.TB) {
	t.Helper()
	for _, b := range []string{"docs", "void"} {
		w.do(t, "CreateVectorBucket", `{"vectorBucketName":"`+b+`"}`)
	}
	w.do(t, "CreateIndex", `{"vectorBucketName":"docs","indexName":"notes","dataType":"float32","dimension":3,"distanceMetric":"cosine","metadataConfiguration":{"nonFilterableMetadataKeys":["text"]}}`)
	w.do(t, "CreateIndex", `{"vectorBucketName":"docs","indexName":"plain","dataType":"float32","dimension":2,"distanceMetric":"euclidean"}`)
	w.do(t, "PutVectors", `{"vectorBucketName":"docs","indexName":"notes","vectors":[
		{"key":"a","data":{"float32":[1,0,0]},"metadata":{"lang":"en","text":"first"}},
		{"key":"b","data":{"float32":[0,1,0]}}]}`)
	w.do(t, "PutVectors", `{"vectorBucketName":"docs","indexName":"plain","vectors":[{"key":"a","data":{"float32":[0,0]}}]}`)
}

// contents tells all that the store has of buckets, indexes and vectors.
func (w *world) contents(t testing.TB) string {
	t.Helper()
	buckets, err := w.store.Buckets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for item, err := range w.store.Index().Scan(t.Context(), []byte("b/docs/c/"), []byte("b/docs/c0"), index.ScanOptions{}) {
		fmt.Fprintf(&all, "%q %q %v\n", item.Key, item.Value, err)
	}
	for _, b := range buckets {
		fmt.Fprintln(&all, b.Name, b.Created.UnixNano())
		indexes, err := w.engine.Indexes(t.Context(), b.Name, "", "", vectors.PageMax)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range indexes {
			fmt.Fprintln(&all, " ", i.Spec)
			page, err := w.engine.List(t.Context(), b.Name, i.Name, vectors.ListRequest{Max: vectors.PageMax, WithValues: true, WithMetadata: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Vectors {
				fmt.Fprintf(&all, "    %q %v %s\n", v.Key, v.Values, v.Metadata)
			}
		}
	}
	return all.String()
}
