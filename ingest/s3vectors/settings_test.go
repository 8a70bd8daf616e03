package s3vectors

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3vectors"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors/types"

	"github.com/tarnlake/tarn/objects"
)

const docsARN = "arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs"

func tagsOf(t *testing.T, c *sdk.Client, arn string) map[string]string {
	t.Helper()
	got, err := c.ListTagsForResource(t.Context(), &sdk.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	return got.Tags
}

func TestTagsAreKeptUntilTheyAreTakenAway(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.sdkClient(fullKey), t.Context()
	if _, err := c.CreateVectorBucket(ctx, &sdk.CreateVectorBucketInput{VectorBucketName: aws.String("docs"), Tags: map[string]string{"team": "search"}}); err != nil {
		t.Fatal(err)
	}
	create := &sdk.CreateIndexInput{
		VectorBucketName: aws.String("docs"), IndexName: aws.String("notes"), Dimension: aws.Int32(3),
		DataType: types.DataTypeFloat32, DistanceMetric: types.DistanceMetricCosine, Tags: map[string]string{"stage": "test", "a b/c": ""},
	}
	if _, err := c.CreateIndex(ctx, create); err != nil {
		t.Fatal(err)
	}
	index := docsARN + "/index/notes"
	if _, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &index, Tags: map[string]string{"stage": "live", "größe": "5 <&> kg"}}); err == nil {
		t.Error("a value with < was taken")
	}
	if _, err := c.TagResource(ctx, &sdk.TagResourceInput{ResourceArn: &index, Tags: map[string]string{"stage": "live", "größe": "5 kg"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := tagsOf(t, c, index), (map[string]string{"stage": "live", "a b/c": "", "größe": "5 kg"}); !maps.Equal(got, want) {
		t.Errorf("tags are %v, want %v", got, want)
	}
	if _, err := c.UntagResource(ctx, &sdk.UntagResourceInput{ResourceArn: &index, TagKeys: []string{"a b/c", "größe", "absent"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := tagsOf(t, c, index), (map[string]string{"stage": "live"}); !maps.Equal(got, want) {
		t.Errorf("tags are %v, want %v", got, want)
	}
	if got, want := tagsOf(t, c, docsARN), (map[string]string{"team": "search"}); !maps.Equal(got, want) {
		t.Errorf("the bucket's tags are %v, want %v", got, want)
	}
	// Whoever comes after an index, through whichever door that went, inherits nothing.
	if err := w.engine.DeleteIndex(ctx, "docs", "notes"); err != nil {
		t.Fatal(err)
	}
	create.Tags = nil
	if _, err := c.CreateIndex(ctx, create); err != nil {
		t.Fatal(err)
	}
	if got := tagsOf(t, c, index); len(got) != 0 {
		t.Errorf("a new index has the tags %v", got)
	}
	// Settings do not keep a bucket from being deleted.
	if _, err := c.DeleteIndex(ctx, &sdk.DeleteIndexInput{IndexArn: &index}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteVectorBucket(ctx, &sdk.DeleteVectorBucketInput{VectorBucketArn: aws.String(docsARN)}); err != nil {
		t.Fatal(err)
	}
	if left := w.contents(t); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// What is made with tags has them from the first moment on: one transaction makes both.
func TestTagsComeWithWhatTheyAreOf(t *testing.T) {
	w := newWorld(t)
	transactions := func() uint64 {
		at, err := w.store.Index().Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at.Sequence(0)
	}
	for _, made := range []struct{ op, body string }{
		{"CreateVectorBucket", `{"vectorBucketName":"tagged","tags":{"a":"1"}}`},
		{"CreateIndex", `{"vectorBucketName":"tagged","indexName":"notes","dimension":2,"dataType":"float32","distanceMetric":"cosine","tags":{"b":"2"}}`},
	} {
		before := transactions()
		w.do(t, made.op, made.body)
		if n := transactions() - before; n != 1 {
			t.Errorf("%s took %d transactions", made.op, n)
		}
	}
	bucket := "arn:aws:s3vectors:" + testRegion + ":000000000000:bucket/tagged"
	for arn, want := range map[string]string{bucket: "map[a:1]", bucket + "/index/notes": "map[b:2]"} {
		got, err := w.sdkClient(fullKey).ListTagsForResource(t.Context(), &sdk.ListTagsForResourceInput{ResourceArn: &arn})
		if err != nil || fmt.Sprint(got.Tags) != want {
			t.Errorf("%s: %v, %v", arn, got, err)
		}
	}
}

func TestTagsPutAtOnceAreAllKept(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	c, index := w.sdkClient(fullKey), docsARN+"/index/notes"
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if _, err := c.TagResource(t.Context(), &sdk.TagResourceInput{ResourceArn: &index, Tags: map[string]string{fmt.Sprint("k", i): "v"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := tagsOf(t, c, index); len(got) != 8 {
		t.Errorf("%d of 8 tags are there: %v", len(got), got)
	}
}

func TestAPolicyIsGivenBackAsItWasPut(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	c, ctx := w.sdkClient(fullKey), t.Context()
	text := "{\n  \"Id\": \"größe <1>\",\n  \"Statement\": []}"
	text = strings.Replace(text, "[]", `{"Effect":"Deny","Principal":"*","Action":"s3vectors:DeleteIndex","Resource":"`+docsARN+`/index/*"}`, 1)
	if _, err := c.PutVectorBucketPolicy(ctx, &sdk.PutVectorBucketPolicyInput{VectorBucketArn: aws.String(docsARN), Policy: &text}); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetVectorBucketPolicy(ctx, &sdk.GetVectorBucketPolicyInput{VectorBucketName: aws.String("docs")})
	if err != nil || *got.Policy != text {
		t.Fatalf("policy %v, %v", got, err)
	}
	for range 2 { // also where there is none any more
		if _, err := c.DeleteVectorBucketPolicy(ctx, &sdk.DeleteVectorBucketPolicyInput{VectorBucketName: aws.String("docs")}); err != nil {
			t.Fatal(err)
		}
	}
	var absent *types.NotFoundException
	if _, err := c.GetVectorBucketPolicy(ctx, &sdk.GetVectorBucketPolicyInput{VectorBucketName: aws.String("docs")}); !errors.As(err, &absent) {
		t.Errorf("after its deletion: %v", err)
	}
}

func TestAPolicyTakesRightsAway(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	ask := func(key, op, body string) string {
		return w.send(t, request{path: "/" + op, body: body, key: key}).kind
	}
	query := ask(narrowKey, "QueryVectors", `{`+notes+`"topK":1,"queryVector":{"float32":[1,2,3]}}`)
	if query != "" {
		t.Fatal(query)
	}
	steps := []struct {
		policy  string
		refused []string // operations of these, by the narrow and by the full key
		allowed []string
	}{
		{denying("s3vectors:QueryVectors", ""), []string{"QueryVectors"}, []string{"ListVectors", "GetIndex"}},
		{denying("s3vectors:*", `,"Condition":{"NotIpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), nil, []string{"QueryVectors", "ListVectors"}},
		{denying("s3vectors:*", `,"Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.1"}}`), []string{"QueryVectors", "ListVectors", "GetIndex", "DeleteIndex"}, nil},
		{denying("*", `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}`), []string{"QueryVectors", "GetIndex"}, nil},
		{strings.Replace(denying("*", ""), `"Principal":"*"`, `"Principal":{"AWS":"arn:aws:iam::000000000000:user/SOMEBODY"}`, 1), nil, []string{"QueryVectors", "GetIndex"}},
	}
	for _, s := range steps {
		if kind := ask(fullKey, "PutVectorBucketPolicy", policyPut(s.policy)); kind != "" {
			t.Fatalf("%s: %s", s.policy, kind)
		}
		body := `{` + notes + `"topK":1,"queryVector":{"float32":[1,2,3]}}`
		for _, op := range s.refused {
			if kind := ask(fullKey, op, body); kind != "AccessDeniedException" {
				t.Errorf("under %s, %s: %q", s.policy, op, kind)
			}
		}
		for _, op := range s.allowed {
			if kind := ask(fullKey, op, body); kind != "" {
				t.Errorf("under %s, %s: %q", s.policy, op, kind)
			}
		}
	}
	// A policy that denies all to all leaves the root key its operations on policies, and another bucket alone.
	ask(fullKey, "PutVectorBucketPolicy", policyPut(denying("*", "")))
	if kind := ask(fullKey, "GetVectorBucket", "{"+docs+"}"); kind != "AccessDeniedException" {
		t.Errorf("GetVectorBucket: %q", kind)
	}
	if kind := ask(fullKey, "GetVectorBucket", `{"vectorBucketName":"void"}`); kind != "" {
		t.Errorf("another bucket: %q", kind)
	}
	if kind := ask(fullKey, "DeleteVectorBucketPolicy", "{"+docs+"}"); kind != "" {
		t.Errorf("the root key may not delete the policy: %q", kind)
	}
	if kind := ask(fullKey, "GetVectorBucket", "{"+docs+"}"); kind != "" {
		t.Errorf("without the policy: %q", kind)
	}
}

func TestAnAllowGivesRightsInItsBucketOnly(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	allow := strings.Replace(denying("*", ""), "Deny", "Allow", 1)
	get := func(bucket, op string) string {
		return w.send(t, request{path: "/" + op, body: bucket, key: narrowKey}).kind
	}
	index := "{" + docs + `,"indexName":"notes"}`
	w.do(t, "PutVectorBucketPolicy", policyPut(strings.Replace(allow, `"Principal":"*"`, `"Principal":{"AWS":"000000000000"}`, 1)))
	if kind := get(index, "GetIndex"); kind != "AccessDeniedException" {
		t.Errorf("an Allow to the account is one to each of its users: %q", kind)
	}
	w.do(t, "PutVectorBucketPolicy", policyPut(allow))
	if kind := get(index, "GetIndex"); kind != "" {
		t.Errorf("an Allow to everybody: %q", kind)
	}
	if kind := get(`{"vectorBucketName":"void"}`, "GetVectorBucket"); kind != "AccessDeniedException" {
		t.Errorf("another bucket: %q", kind)
	}
}

func TestIndexesAreEnhanced(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	w.do(t, "UpdateIndexMode", `{"indexArn":"`+docsARN+`/index/notes","indexMode":"ENHANCED"}`)
	w.do(t, "PutVectorBucketDefaultIndexMode", `{"vectorBucketArn":"`+docsARN+`","defaultIndexMode":"ENHANCED"}`)
	if got := string(w.do(t, "GetIndex", "{"+docs+`,"indexName":"notes"}`)); !strings.Contains(got, `"indexMode":"ENHANCED"`) {
		t.Errorf("GetIndex: %s", got)
	}
	if got := string(w.do(t, "GetVectorBucket", "{"+docs+"}")); !strings.Contains(got, `"defaultIndexMode":"ENHANCED"`) {
		t.Errorf("GetVectorBucket: %s", got)
	}
	if got := string(w.do(t, "QueryVectors", ask(`"filter":{"lang":{"$startsWith":"e"}}`))); !strings.Contains(got, `"key":"a"`) {
		t.Errorf("QueryVectors: %s", got)
	}
}

func TestSettingsHaveTheirBytes(t *testing.T) {
	s := settings{Of: 1_700_000_000_000_000_001, Tags: map[string]string{"b": "<2>", "a": "1"}, Policy: `{"x":"&"}`}
	value, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err := objects.DecodeValue(value)
	want := `{"format":1,"of":1700000000000000001,"tags":{"a":"1","b":"<2>"},"policy":"{\"x\":\"&\"}"}`
	if err != nil || string(payload) != want {
		t.Errorf("%s, %v; want %s", payload, err, want)
	}
	for _, bad := range []string{`{"format":2}`, `{}`, `[]`, ``, strings.Repeat(" ", settingsBytesMax) + want} {
		if s, err := decodeSettings(objects.EncodeValue(nil, []byte(bad))); err == nil {
			t.Errorf("%.40s was read as %+v", bad, s)
		}
	}
	for key, r := range map[string]resource{"b/docs/c/s3vectors": {bucket: "docs"}, "b/docs/c/s3vectors/notes": {bucket: "docs", index: "notes"}} {
		if got := string(r.key()); got != key {
			t.Errorf("key %s, want %s", got, key)
		}
	}
}

func FuzzDecodeSettings(f *testing.F) {
	f.Add(objects.EncodeValue(nil, []byte(`{"format":1,"of":17,"tags":{"a":"1"},"policy":"{}"}`)))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decodeSettings(value)
		if err != nil {
			return
		}
		again, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeSettings(again); err != nil || back.Of != s.Of || !maps.Equal(back.Tags, s.Tags) || back.Policy != s.Policy {
			t.Errorf("%+v comes back as %+v, %v", s, back, err)
		}
	})
}
