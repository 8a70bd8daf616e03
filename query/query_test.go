package query_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	connect "connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	healthv1 "github.com/tarnlake/tarn/proto/grpc/health/v1"
	"github.com/tarnlake/tarn/proto/grpc/health/v1/healthv1connect"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
	"github.com/tarnlake/tarn/query"
	"github.com/tarnlake/tarn/vectors"
)

// words embeds each text as (its length, 1): enough to tell texts apart.
type words struct{}

func (words) Embed(_ context.Context, _ vectors.EmbedderSpec, texts []string) ([][]float32, error) {
	out := make([][]float32, len(texts))
	for i, t := range texts {
		out[i] = []float32{float32(len(t)), 1}
	}
	return out, nil
}

// world is every service over a store on fake drives.
type world struct {
	keysHost *host.Host
	store    *objects.Store
	keys     *access.Keyring
	root     access.Key
	judge    *authority.Authority
	handler  http.Handler
	url      string
	vectors  tarnv1connect.VectorServiceClient
	objects  tarnv1connect.ObjectServiceClient
	admin    tarnv1connect.AdminServiceClient
}

func newWorld(t *testing.T) *world {
	t.Helper()
	h := hosttest.New(1)
	h.Clock = host.Real(nil).Clock // the store's; that of the keys stands still
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
	still := hosttest.New(2)
	keys, err := access.Open(t.Context(), still, store.Index(), make([]byte, access.MasterKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{keysHost: still, store: store, keys: keys, root: keys.NewRoot()}
	if err := keys.EnsureRoot(t.Context(), w.root); err != nil {
		t.Fatal(err)
	}
	w.judge = authority.New(keys)
	w.judge.Register(authority.S3([]string{"s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:ListAllMyBuckets"}, authority.Policies{Store: store}.Get))
	w.judge.Register(authority.Vectors{Region: "eu-west-3"}.Service([]string{"s3vectors:PutVectors", "s3vectors:QueryVectors", "s3vectors:GetVectors"}, func(context.Context, string) (string, error) { return "", nil }))
	w.judge.Register(authority.Tarn())
	handler, _ := query.Handler(query.Options{
		Host: h, Store: store, Vectors: engine, Keys: keys, Embed: words{}, Version: "test", Authority: w.judge, Region: "eu-west-3",
		Presign: func(_ context.Context, method, origin, bucket, key, _, _ string, life time.Duration) (string, error) {
			return fmt.Sprintf("%s %s/%s/%s for %v", method, origin, bucket, key, life), nil
		},
	})
	w.handler = handler
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w.url = server.URL
	token, _, err := keys.Token(w.root.AccessKey, access.TokenMax)
	if err != nil {
		t.Fatal(err)
	}
	c := w.client("Authorization", "Bearer "+token)
	w.vectors, w.objects, w.admin = tarnv1connect.NewVectorServiceClient(c), tarnv1connect.NewObjectServiceClient(c), tarnv1connect.NewAdminServiceClient(c)
	return w
}

// client sends the given headers with every call.
func (w *world) client(pairs ...string) *connect.Client {
	return connect.NewClient(connecthttp.NewTransport(http.DefaultClient, w.url), func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				for i := 0; i < len(pairs); i += 2 {
					info.RequestHeader().Set(pairs[i], pairs[i+1])
				}
			}
			return next(ctx, spec)
		}
	})
}

func (w *world) bucketAndIndex(t *testing.T) {
	t.Helper()
	if _, err := w.objects.CreateBucket(t.Context(), &tarnv1.CreateBucketRequest{Name: "docs"}); err != nil {
		t.Fatal(err)
	}
	_, err := w.vectors.CreateIndex(t.Context(), &tarnv1.CreateIndexRequest{
		Bucket: "docs", Name: "notes", Dimension: 2, Metric: tarnv1.Metric_METRIC_EUCLIDEAN,
		Embedder: &tarnv1.Embedder{Kind: "openai", Url: "http://127.0.0.1:1/v1", Model: "words"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func values(v ...float32) []byte {
	var out []byte
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func (w *world) keysNear(t *testing.T, v ...float32) string {
	t.Helper()
	res, err := w.vectors.Query(t.Context(), &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", Target: &tarnv1.QueryRequest_Values{Values: values(v...)}})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, h := range res.Hits {
		keys = append(keys, h.Key)
	}
	return strings.Join(keys, " ")
}

func TestAnObjectAndItsVectorsComeAndGoTogether(t *testing.T) {
	w := newWorld(t)
	w.bucketAndIndex(t)
	put := &tarnv1.PutRequest{
		Bucket: "docs", Index: "notes", Object: &tarnv1.ObjectPut{Key: "a.txt", Body: []byte("first second"), ContentType: "text/plain"},
		Vectors: []*tarnv1.Vector{
			{Key: "a#0", Values: values(1, 0), Source: &tarnv1.Source{LengthBytes: 5}},
			{Key: "a#1", Values: values(2, 0), Source: &tarnv1.Source{OffsetBytes: 6, LengthBytes: 6}},
		},
	}
	res, err := w.vectors.Put(t.Context(), put)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.vectors.Put(t.Context(), &tarnv1.PutRequest{Bucket: "docs", Index: "notes", Vectors: []*tarnv1.Vector{{Key: "free", Values: values(3, 0)}}}); err != nil {
		t.Fatal(err)
	}
	if got := w.keysNear(t, 0, 0); got != "a#0 a#1 free" {
		t.Fatalf("after the put: %s", got)
	}
	got, err := w.vectors.Query(t.Context(), &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", TopK: 1, Target: &tarnv1.QueryRequest_Values{Values: values(2, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Hits[0].Source; s.GetKey() != "a.txt" || s.GetVersion() != res.ObjectVersion || s.GetOffsetBytes() != 6 {
		t.Errorf("the hit leads back to %v, want version %s", s, res.ObjectVersion)
	}
	put.Object.Body, put.Vectors = []byte("third"), []*tarnv1.Vector{{Key: "a#2", Values: values(9, 0), Source: &tarnv1.Source{}}}
	if _, err := w.vectors.Put(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	if got := w.keysNear(t, 0, 0); got != "free a#2" {
		t.Errorf("after the object was replaced: %s", got)
	}
	if _, err := w.store.Delete(t.Context(), objects.DeleteRequest{Bucket: "docs", Key: "a.txt"}); err != nil {
		t.Fatal(err)
	}
	if got := w.keysNear(t, 0, 0); got != "free" {
		t.Errorf("after the object was deleted: %s", got)
	}
}

func TestABadBatchLeavesNeitherObjectNorVectors(t *testing.T) {
	w := newWorld(t)
	w.bucketAndIndex(t)
	_, err := w.vectors.Put(t.Context(), &tarnv1.PutRequest{
		Bucket: "docs", Index: "notes", Object: &tarnv1.ObjectPut{Key: "a.txt", Body: []byte("x")},
		Vectors: []*tarnv1.Vector{{Key: "good", Values: values(1, 0)}, {Key: "bad", Values: values(float32(math.NaN()), 0)}},
	})
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "vectors[1]") {
		t.Errorf("NaN: %v", err)
	}
	if _, err := w.objects.StatObject(t.Context(), &tarnv1.StatObjectRequest{Bucket: "docs", Key: "a.txt"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("the object: %v", err)
	}
	if got := w.keysNear(t, 0, 0); got != "" {
		t.Errorf("vectors: %s", got)
	}
}

func TestTextIsEmbeddedByTheIndexsModel(t *testing.T) {
	w := newWorld(t)
	w.bucketAndIndex(t)
	for _, n := range []float32{1, 5, 9} {
		if _, err := w.vectors.Put(t.Context(), &tarnv1.PutRequest{Bucket: "docs", Index: "notes", Vectors: []*tarnv1.Vector{{Key: fmt.Sprint(n), Values: values(n, 1)}}}); err != nil {
			t.Fatal(err)
		}
	}
	ask := &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", TopK: 1, Target: &tarnv1.QueryRequest_Text{Text: "hello"}}
	res, err := w.vectors.Query(t.Context(), ask)
	if err != nil || len(res.Hits) != 1 || res.Hits[0].Key != "5" {
		t.Errorf("%v, %v", res, err)
	}
	if _, err := w.vectors.CreateIndex(t.Context(), &tarnv1.CreateIndexRequest{Bucket: "docs", Name: "plain", Dimension: 2}); err != nil {
		t.Fatal(err)
	}
	ask.Index = "plain"
	if _, err := w.vectors.Query(t.Context(), ask); connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "docs/plain has no embedder") {
		t.Errorf("without an embedder: %v", err)
	}
}

func TestBadInputIsRefusedByNameAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.bucketAndIndex(t)
	one := func(v *tarnv1.Vector) *tarnv1.PutRequest {
		return &tarnv1.PutRequest{Bucket: "docs", Index: "notes", Vectors: []*tarnv1.Vector{v}}
	}
	object := func(name string, v any) *structpb.Struct {
		s, err := structpb.NewStruct(map[string]any{name: v})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	many := &tarnv1.PutRequest{Bucket: "docs", Index: "notes"}
	for i := range 501 {
		many.Vectors = append(many.Vectors, &tarnv1.Vector{Key: fmt.Sprint(i), Values: values(1, 1)})
	}
	inf := float32(math.Inf(1))
	ctx := t.Context()
	put := func(r *tarnv1.PutRequest) error { _, err := w.vectors.Put(ctx, r); return err }
	ask := func(r *tarnv1.QueryRequest) error {
		r.Bucket, r.Index = "docs", "notes"
		_, err := w.vectors.Query(ctx, r)
		return err
	}
	target := &tarnv1.QueryRequest_Values{Values: values(1, 1)}
	create := func(r *tarnv1.CreateIndexRequest) error { _, err := w.vectors.CreateIndex(ctx, r); return err }
	cases := []struct {
		about string
		err   error
		code  connect.Code
		say   string
	}{
		{"no vectors", put(&tarnv1.PutRequest{Bucket: "docs", Index: "notes"}), connect.CodeInvalidArgument, "vectors"},
		{"too many vectors", put(many), connect.CodeInvalidArgument, "500"},
		{"infinity", put(one(&tarnv1.Vector{Key: "x", Values: values(inf, 0)})), connect.CodeInvalidArgument, "vectors[0]"},
		{"another dimension", put(one(&tarnv1.Vector{Key: "x", Values: values(1)})), connect.CodeInvalidArgument, "dimension 2"},
		{"torn floats", put(one(&tarnv1.Vector{Key: "x", Values: []byte{1, 2, 3}})), connect.CodeInvalidArgument, "vectors[0].values"},
		{"no key", put(one(&tarnv1.Vector{Values: values(1, 1)})), connect.CodeInvalidArgument, "vectors[0].key"},
		{"a long key", put(one(&tarnv1.Vector{Key: strings.Repeat("k", 1025), Values: values(1, 1)})), connect.CodeInvalidArgument, "1024"},
		{"a key twice", put(&tarnv1.PutRequest{Bucket: "docs", Index: "notes", Vectors: []*tarnv1.Vector{{Key: "x", Values: values(1, 1)}, {Key: "x", Values: values(1, 2)}}}), connect.CodeInvalidArgument, "vectors[1].key"},
		{"nested metadata", put(one(&tarnv1.Vector{Key: "x", Values: values(1, 1), Metadata: object("a", map[string]any{"b": 1})})), connect.CodeInvalidArgument, "vectors[0].metadata"},
		{"much metadata", put(one(&tarnv1.Vector{Key: "x", Values: values(1, 1), Metadata: object("a", strings.Repeat("m", 3000))})), connect.CodeInvalidArgument, "2048"},
		{"a source that does not exist", put(one(&tarnv1.Vector{Key: "x", Values: values(1, 1), Source: &tarnv1.Source{Key: "none", Version: strings.Repeat("ab", 16)}})), connect.CodeNotFound, "none"},
		{"a malformed version", put(one(&tarnv1.Vector{Key: "x", Values: values(1, 1), Source: &tarnv1.Source{Key: "none", Version: "v1"}})), connect.CodeInvalidArgument, "source.version"},
		{"batch values of the wrong length", put(&tarnv1.PutRequest{Bucket: "docs", Index: "notes", Values: values(1), Vectors: []*tarnv1.Vector{{Key: "x"}}}), connect.CodeInvalidArgument, "values"},
		{"an absent index", put(&tarnv1.PutRequest{Bucket: "docs", Index: "none", Vectors: []*tarnv1.Vector{{Key: "x", Values: values(1, 1)}}}), connect.CodeNotFound, "index"},
		{"no target", ask(&tarnv1.QueryRequest{}), connect.CodeInvalidArgument, "target"},
		{"too large a top k", ask(&tarnv1.QueryRequest{Target: target, TopK: 10001}), connect.CodeInvalidArgument, "10000"},
		{"an unknown operator", ask(&tarnv1.QueryRequest{Target: target, Filter: object("a", map[string]any{"$near": 1})}), connect.CodeInvalidArgument, "$near"},
		{"like nothing", ask(&tarnv1.QueryRequest{Target: &tarnv1.QueryRequest_Like{Like: "nobody"}}), connect.CodeNotFound, "vector"},
		{"dimension 0", create(&tarnv1.CreateIndexRequest{Bucket: "docs", Name: "other"}), connect.CodeInvalidArgument, "dimension"},
		{"dimension 4097", create(&tarnv1.CreateIndexRequest{Bucket: "docs", Name: "other", Dimension: 4097}), connect.CodeInvalidArgument, "4096"},
		{"a bad index name", create(&tarnv1.CreateIndexRequest{Bucket: "docs", Name: "../x", Dimension: 2}), connect.CodeInvalidArgument, "indexName"},
		{"an index twice", create(&tarnv1.CreateIndexRequest{Bucket: "docs", Name: "notes", Dimension: 2}), connect.CodeAlreadyExists, "exists"},
		{"an index in no bucket", create(&tarnv1.CreateIndexRequest{Bucket: "none", Name: "notes", Dimension: 2}), connect.CodeNotFound, "bucket"},
	}
	for _, c := range cases {
		if c.err == nil || connect.CodeOf(c.err) != c.code || !strings.Contains(c.err.Error(), c.say) {
			t.Errorf("%s: %v, want %v that says %q", c.about, c.err, c.code, c.say)
		}
	}
	if got := w.keysNear(t, 0, 0); got != "" {
		t.Errorf("left behind: %s", got)
	}
	list, err := w.vectors.ListIndexes(ctx, &tarnv1.ListIndexesRequest{Bucket: "docs"})
	if err != nil || len(list.Indexes) != 1 {
		t.Errorf("indexes left behind: %v, %v", list, err)
	}
}

func TestNobodyComesInUnproven(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	plain, err := w.keys.Create(ctx, "plain", access.Rights{All: true})
	if err != nil {
		t.Fatal(err)
	}
	short, _, _ := w.keys.Token(plain.AccessKey, time.Second)
	hosttest.ClockOf(w.keysHost).Advance(2 * time.Second)
	token, _, _ := w.keys.Token(plain.AccessKey, time.Hour)
	list := func(pairs ...string) error {
		_, err := tarnv1connect.NewObjectServiceClient(w.client(pairs...)).ListBuckets(ctx, &tarnv1.ListBucketsRequest{})
		return err
	}
	cookie := query.SessionCookie + "=" + token
	cases := []struct {
		about string
		err   error
		code  connect.Code
	}{
		{"nothing", list(), connect.CodeUnauthenticated},
		{"nonsense", list("Authorization", "Bearer nonsense"), connect.CodeUnauthenticated},
		{"basic", list("Authorization", "Basic "+token), connect.CodeUnauthenticated},
		{"an expired token", list("Authorization", "Bearer "+short), connect.CodeUnauthenticated},
		{"a cookie from another page", list("Cookie", cookie), connect.CodePermissionDenied},
	}
	for _, c := range cases {
		if connect.CodeOf(c.err) != c.code || c.err == nil {
			t.Errorf("%s: %v, want %v", c.about, c.err, c.code)
		}
	}
	if err := list("Authorization", "Bearer "+token); err != nil {
		t.Errorf("a good token: %v", err)
	}
	if err := list("Cookie", cookie, query.ConsoleHeader, "1"); err != nil {
		t.Errorf("the console: %v", err)
	}
	admin := tarnv1connect.NewAdminServiceClient(w.client("Authorization", "Bearer "+token))
	if _, err := admin.CreateKey(ctx, &tarnv1.CreateKeyRequest{Name: "more"}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a key that is not root's makes keys: %v", err)
	}
	if _, err := admin.AdoptDrive(ctx, &tarnv1.AdoptDriveRequest{Path: "/data/x"}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a key that is not root's adopts drives: %v", err)
	}
	health, err := healthv1connect.NewHealthClient(w.client()).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil || health.Status != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health, without a token: %v, %v", health, err)
	}
}

func TestLoginSetsACookieThatNoScriptReads(t *testing.T) {
	w := newWorld(t)
	ctx, info := connect.NewClientContext(t.Context())
	session := tarnv1connect.NewSessionServiceClient(w.client())
	res, err := session.Login(ctx, &tarnv1.LoginRequest{AccessKey: w.root.AccessKey, SecretKey: w.root.Secret, Cookie: true})
	if err != nil {
		t.Fatal(err)
	}
	cookie := info.ResponseHeader().Get("Set-Cookie")
	if res.Token != "" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("token %q, cookie %q", res.Token, cookie)
	}
	_, err = session.Login(t.Context(), &tarnv1.LoginRequest{AccessKey: w.root.AccessKey, SecretKey: "wrong"})
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("a wrong secret: %v", err)
	}
}

func TestObjectsAreBrowsed(t *testing.T) {
	w := newWorld(t)
	w.bucketAndIndex(t)
	for _, key := range []string{"a", "b/1", "b/2", "c"} {
		if _, err := w.store.Put(t.Context(), objects.PutRequest{Bucket: "docs", Key: key, Body: strings.NewReader("body of " + key), Bytes: int64(len("body of " + key))}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	for token := ""; ; {
		page, err := w.objects.ListObjects(t.Context(), &tarnv1.ListObjectsRequest{Bucket: "docs", Delimiter: "/", PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			seen = append(seen, o.Key)
		}
		seen = append(seen, page.Prefixes...)
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if fmt.Sprint(seen) != "[a b/ c]" {
		t.Errorf("listed %v", seen)
	}
	part, err := w.objects.Read(t.Context(), &tarnv1.ReadRequest{Bucket: "docs", Key: "b/1", OffsetBytes: 5, LengthBytes: 2})
	if err != nil || string(part.Data) != "of" {
		t.Errorf("read %q, %v", part.GetData(), err)
	}
	if _, err := w.objects.Read(t.Context(), &tarnv1.ReadRequest{Bucket: "docs", Key: "a", LengthBytes: 5 << 20}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("too long a read: %v", err)
	}
	status, err := w.admin.Status(t.Context(), &tarnv1.StatusRequest{Redundancy: true})
	if err != nil || len(status.Drives) != 6 || !status.Writable || status.Buckets != 1 {
		t.Errorf("status %v, %v", status, err)
	}
}
