package s3vectors

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
)

// FuzzOperations gives each operation a body: nothing panics, every refusal has a
// status below 500, and every answer is JSON.
func FuzzOperations(f *testing.F) {
	w := newWorld(f)
	w.furnish(f)
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `{"a`, `{} {}`, "\"\xff\"", `{"vectorBucketName":"\ud800"}`,
		`{"vectorBucketName":"docs","indexName":"notes","vectors":[{"key":"c","data":{"float32":[1,2e0,-3.5]},"metadata":{"lang":"en","n":[1,2]}}]}`,
		`{"vectorBucketName":"docs","indexName":"notes","keys":["a","b"],"returnData":true,"returnMetadata":true}`,
		`{"vectorBucketName":"docs","indexName":"notes","segmentCount":2,"segmentIndex":1,"maxResults":3,"nextToken":"AAAAAGE"}`,
		`{"vectorBucketName":"docs","indexName":"plain","topK":3,"queryVector":{"float32":[1,2]},"filter":{"$or":[{"x":{"$gt":1}},{"y":{"$in":["a",true]}}]},"returnDistance":true}`,
		`{"indexArn":"arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs/index/notes","topK":1,"queryVector":{"float32":[null]}}`,
		`{"vectorBucketName":"docs","indexName":"more","dataType":"float32","dimension":2,"distanceMetric":"cosine","metadataConfiguration":{"nonFilterableMetadataKeys":["t"]}}`,
		`{"vectorBucketName":"fresh","encryptionConfiguration":{"sseType":"AES256"},"tags":{}}`,
	} {
		f.Add([]byte(body))
	}
	names := []string{
		"ListVectorBuckets", "GetVectorBucket", "ListIndexes", "GetIndex", "GetVectors", "ListVectors", "QueryVectors",
		"CreateVectorBucket", "CreateIndex", "PutVectors", "DeleteVectors", "DeleteIndex", "DeleteVectorBucket",
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, name := range names {
			c := &call{door: w.door, ctx: t.Context(), who: fullKey, op: name, body: body, request: httptest.NewRequest(http.MethodPost, "/"+name, nil)}
			out, err := operations[name](c)
			if err != nil {
				if refused := faultOf(err); refused.status < 400 || refused.status >= http.StatusInternalServerError || refused.kind == "" {
					t.Errorf("%s: %d %s: %v", name, refused.status, refused.kind, err)
				}
				continue
			}
			if _, err := json.Marshal(out); err != nil {
				t.Errorf("%s answers what is no JSON: %v", name, err)
			}
		}
	})
}

// FuzzNumbers: what is read are the numbers that encoding/json reads, and nothing
// that it reads otherwise.
func FuzzNumbers(f *testing.F) {
	for _, text := range []string{`[1,2.5,-3e-2]`, `[ 1 ,	2 ]`, `[]`, `[1,null]`, `["1"]`, `[1e39]`, `[-0,1e-50]`, `[[1]]`, `{}`, `null`, `7`, `"["`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		got, err := (&vectorData{Float32: text}).numbers("data")
		var want []*float32
		other := json.Unmarshal(text, &want)
		if err != nil {
			return
		}
		if other != nil || len(got) != len(want) {
			t.Fatalf("%s read as %v, encoding/json: %v, %v", text, got, want, other)
		}
		for i := range got {
			if want[i] == nil || got[i] != *want[i] {
				t.Errorf("%s: number %d read as %v", text, i, got[i])
			}
		}
	})
}
