package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// interpreter is a Python that has boto3.
func interpreter(t *testing.T) string {
	t.Helper()
	python := os.Getenv("TARN_TEST_PYTHON")
	if python == "" {
		t.Skip("needs an interpreter with boto3 in TARN_TEST_PYTHON; `make test-clients` prepares one")
	}
	return python
}

func TestBoto3DoesTheMainJob(t *testing.T) {
	python := interpreter(t)
	s := start(t)
	policy := written(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]},
		{"Effect":"Allow","Action":["s3vectors:QueryVectors","s3vectors:GetVectors"],"Resource":"arn:aws:s3vectors:us-east-1:000000000000:bucket/shared/index/*"}]}`)
	var reader struct {
		AccessKey string `json:"access_key"`
		SecretKey string `json:"secret_key"`
	}
	if err := json.Unmarshal([]byte(s.must(t, "key", "create", "reader", "--policy", policy, "-o", "jsonl")), &reader); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-m", "unittest", "-v", "boto3_cases")
	cmd.Env = append(os.Environ(), "TARN_URL="+s.url, "TARN_ACCESS_KEY="+s.accessKey, "TARN_SECRET_KEY="+s.secret, "PYTHONDONTWRITEBYTECODE=1",
		"TARN_READER_ACCESS_KEY="+reader.AccessKey, "TARN_READER_SECRET_KEY="+reader.SecretKey)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "\nOK") {
		t.Errorf("unittest did not say OK:\n%s", out)
	}
}

func TestGrpcurlListsAndCalls(t *testing.T) {
	tool := os.Getenv("TARN_TEST_GRPCURL")
	if tool == "" {
		t.Skip("needs grpcurl in TARN_TEST_GRPCURL; `make test-clients` prepares one")
	}
	s := start(t)
	address := strings.TrimPrefix(s.url, "http://")
	token := strings.TrimSpace(s.must(t, "key", "token"))
	call := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), tool, append([]string{"-plaintext"}, args...)...).CombinedOutput()
		return string(out), err
	}
	auth := "Authorization: Bearer " + token
	out, err := call("-H", auth, address, "list")
	if err != nil || !strings.Contains(out, "tarn.v1.VectorService") || !strings.Contains(out, "grpc.health.v1.Health") {
		t.Fatalf("list: %v\n%s", err, out)
	}
	if out, err = call("-proto", "../../proto/grpc/health/v1/health.proto", address, "grpc.health.v1.Health/Check"); err != nil || !strings.Contains(out, "SERVING") {
		t.Errorf("health, without a token: %v\n%s", err, out)
	}
	if out, err = call(address, "tarn.v1.ObjectService/ListBuckets"); err == nil {
		t.Errorf("a call without a token was answered:\n%s", out)
	}
	s.must(t, "mb", "docs")
	s.must(t, "index", "create", "docs/points", "--dimension", "2")
	put := `{"bucket":"docs","index":"points","vectors":[{"key":"a","values":"AACAPwAAAAA=","metadata":{"n":1}},{"key":"b","values":"AAAAAAAAgD8="}]}`
	if out, err = call("-H", auth, "-d", put, address, "tarn.v1.VectorService/Put"); err != nil {
		t.Fatalf("put: %v\n%s", err, out)
	}
	out, err = call("-H", auth, "-d", `{"bucket":"docs","index":"points","values":"AACAPwAAAAA=","top_k":1}`, address, "tarn.v1.VectorService/Query")
	if err != nil {
		t.Fatalf("query: %v\n%s", err, out)
	}
	var answer struct{ Hits []struct{ Key string } }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Hits) != 1 || answer.Hits[0].Key != "a" {
		t.Errorf("query answers %s, %v", out, err)
	}
}
