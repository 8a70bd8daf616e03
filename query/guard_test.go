package query_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// limited is a key with rights, and its clients.
type limited struct {
	key     string
	token   string
	vectors tarnv1connect.VectorServiceClient
	objects tarnv1connect.ObjectServiceClient
	admin   tarnv1connect.AdminServiceClient
}

func (w *world) limited(t *testing.T, r access.Rights) *limited {
	t.Helper()
	k, err := w.keys.Create(t.Context(), "somebody", r)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := w.keys.Token(k.AccessKey, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := w.client("Authorization", "Bearer "+token)
	return &limited{k.AccessKey, token, tarnv1connect.NewVectorServiceClient(c), tarnv1connect.NewObjectServiceClient(c), tarnv1connect.NewAdminServiceClient(c)}
}

// free calls need no right: who one is, and the next page of an answer that was given.
var free = map[protoreflect.Name]bool{"WhoAmI": true, "Login": true, "Logout": true, "QueryPage": true}

func TestAKeyWithoutRightsMayCallNothing(t *testing.T) {
	w := newWorld(t)
	nobody := w.limited(t, access.Rights{})
	server := httptest.NewUnstartedServer(w.handler)
	server.EnableHTTP2 = true // which streams in both directions need
	server.StartTLS()
	defer server.Close()
	asked := 0
	for _, file := range []protoreflect.FileDescriptor{tarnv1.File_tarn_v1_vector_proto, tarnv1.File_tarn_v1_object_proto, tarnv1.File_tarn_v1_admin_proto, tarnv1.File_tarn_v1_durability_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				if free[m.Name()] {
					continue
				}
				asked++
				if got := call(t, server, nobody.token, m); !strings.Contains(got, "permission_denied") {
					t.Errorf("%s: %s", m.FullName(), got)
				}
			}
		}
	}
	if asked < 35 {
		t.Errorf("%d calls were tried", asked)
	}
}

// call sends an empty message in Connect's protocol and returns the answer.
func call(t *testing.T, server *httptest.Server, token string, m protoreflect.MethodDescriptor) string {
	t.Helper()
	kind, body := "application/json", "{}"
	if m.IsStreamingClient() || m.IsStreamingServer() {
		kind, body = "application/connect+json", "\x00\x00\x00\x00\x02{}"
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/"+string(m.Parent().FullName())+"/"+string(m.Name()), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAKeyMayDoWhatItsPolicySays(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.objects.CreateBucket(ctx, &tarnv1.CreateBucketRequest{Name: "docs"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.vectors.CreateIndex(ctx, &tarnv1.CreateIndexRequest{Bucket: "docs", Name: "notes", Dimension: 2, Metric: tarnv1.Metric_METRIC_COSINE}); err != nil {
		t.Fatal(err)
	}
	who := w.limited(t, access.Rights{Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"s3vectors:QueryVectors","Resource":"arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs/index/*"},
		{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":"arn:aws:s3:::docs*","Condition":{"StringLikeIfExists":{"s3:prefix":"open/*"}}},
		{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::docs/open/*"},
		{"Effect":"Allow","Action":"s3vectors:PutVectors","Resource":"*"}]}`})
	query := func(with bool) error {
		_, err := who.vectors.Query(ctx, &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", WithMetadata: with, Target: &tarnv1.QueryRequest_Values{Values: make([]byte, 8)}})
		return err
	}
	put := func(bucket, key string) error {
		req := &tarnv1.PutRequest{Bucket: bucket, Index: "notes"}
		if key != "" {
			req.Object = &tarnv1.ObjectPut{Key: key}
		}
		_, err := who.vectors.Put(ctx, req)
		return err
	}
	list := func(prefix string) error {
		_, err := who.objects.ListObjects(ctx, &tarnv1.ListObjectsRequest{Bucket: "docs", Prefix: prefix})
		return err
	}
	rights := func(text string) error {
		_, err := w.admin.SetKeyRights(ctx, &tarnv1.SetKeyRightsRequest{AccessKey: who.key, Policy: text})
		return err
	}
	_, status := who.admin.Status(ctx, &tarnv1.StatusRequest{})
	for _, c := range []struct {
		about string
		err   error
		code  connect.Code // 0: it goes through the guard and is answered, or fails there for other reasons
	}{
		{"a query", query(false), 0},
		{"a query that reads metadata", query(true), connect.CodePermissionDenied},
		{"vectors", put("docs", ""), connect.CodeInvalidArgument},
		{"vectors beside an object", put("docs", "open/a"), connect.CodeInvalidArgument},
		{"vectors beside an object elsewhere", put("docs", "closed"), connect.CodePermissionDenied},
		{"a list of what is open", list("open/a"), 0},
		{"a list of all", list(""), connect.CodePermissionDenied},
		{"the store's status", status, connect.CodePermissionDenied},
		{"a policy that says nothing here", rights(`{"Statement":[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]}`), connect.CodeInvalidArgument},
		{"a policy that takes it all back", rights(`{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`), 0},
		{"a query afterwards", query(false), connect.CodePermissionDenied},
	} {
		if c.code == connect.CodeInvalidArgument || c.code == connect.CodePermissionDenied {
			if connect.CodeOf(c.err) != c.code {
				t.Errorf("%s: %v", c.about, c.err)
			}
		} else if connect.CodeOf(c.err) == connect.CodePermissionDenied {
			t.Errorf("%s: %v", c.about, c.err)
		}
	}
}

// TestABucketsPolicyHoldsForCallsToo: what S3's policies deny, no other door allows.
func TestABucketsPolicyHoldsForCallsToo(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.objects.CreateBucket(ctx, &tarnv1.CreateBucketRequest{Name: "docs"}); err != nil {
		t.Fatal(err)
	}
	full, none := w.limited(t, access.Rights{All: true}), w.limited(t, access.Rights{})
	kept := authority.Policies{Store: w.store}
	text := `{"Statement":[{"Effect":"Deny","Principal":{"AWS":"` + authority.UserARN(full.key) + `"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::docs"},
		{"Effect":"Allow","Principal":{"AWS":"` + authority.UserARN(none.key) + `"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::docs"}]}`
	if err := kept.Put(ctx, "docs", text); err != nil {
		t.Fatal(err)
	}
	list := func(who *limited) connect.Code {
		if _, err := who.objects.ListObjects(ctx, &tarnv1.ListObjectsRequest{Bucket: "docs"}); err != nil {
			return connect.CodeOf(err)
		}
		return 0
	}
	if a, b := list(full), list(none); a != connect.CodePermissionDenied || b != 0 {
		t.Errorf("under the policy: %v, %v", a, b)
	}
	if err := kept.Put(ctx, "nowhere", text); err == nil {
		t.Error("a bucket that is not there got a policy")
	}
	if _, err := w.objects.DeleteBucket(ctx, &tarnv1.DeleteBucketRequest{Name: "docs"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.CreateBucket(ctx, "docs"); err != nil {
		t.Fatal(err)
	}
	if got, err := kept.Get(ctx, "docs"); err != nil || got != "" {
		t.Errorf("the policy outlived its bucket: %q, %v", got, err)
	}
	if a, b := list(full), list(none); a != 0 || b != connect.CodePermissionDenied {
		t.Errorf("without the policy: %v, %v", a, b)
	}
}
