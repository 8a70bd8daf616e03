package clients

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandLineDoesTheMainJob(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "a file.txt")
	if err := os.WriteFile(file, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "mb", "docs")
	s.must(t, "cp", file, "tarn://docs/in/")
	s.must(t, "cp", "tarn://docs/in/a file.txt", "tarn://docs/copy.txt")
	if got := s.must(t, "cat", "docs/copy.txt"); got != "hello\n" {
		t.Errorf("cat gives %q", got)
	}
	s.must(t, "cp", "tarn://docs/copy.txt", filepath.Join(dir, "back.txt"))
	if got, err := os.ReadFile(filepath.Join(dir, "back.txt")); err != nil || string(got) != "hello\n" {
		t.Errorf("copied back: %q, %v", got, err)
	}
	var listed []struct {
		Key  string
		Size int
	}
	if err := json.Unmarshal([]byte(s.must(t, "ls", "-r", "docs", "-o", "json")), &listed); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(listed) != "[{copy.txt 6} {in/a file.txt 6}]" {
		t.Errorf("ls lists %v", listed)
	}
	if got := s.must(t, "stat", "docs/copy.txt", "-o", "jsonl"); !strings.Contains(got, `"etag":"b1946ac92492d2347c6235b4d2611184"`) {
		t.Errorf("stat says %s", got)
	}
	s.must(t, "rm", "-r", "docs/in/")
	s.must(t, "rm", "docs/copy.txt")
	s.must(t, "rb", "docs")
	if got := s.must(t, "ls", "-o", "json"); strings.TrimSpace(got) != "[]" {
		t.Errorf("left over: %s", got)
	}
}

func TestCommandLineFindsNeighbours(t *testing.T) {
	s := start(t)
	rows := filepath.Join(t.TempDir(), "rows.jsonl")
	var text strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&text, `{"key":"k%d","vector":[%d,%d,1],"metadata":{"odd":%v}}`+"\n", i, i, 1200-i, i%2 == 1)
	}
	if err := os.WriteFile(rows, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "mb", "docs")
	s.must(t, "index", "create", "docs/points", "--dimension", "3", "--metric", "euclidean")
	if got := s.must(t, "put-vectors", rows, "docs/points", "-o", "jsonl"); !strings.Contains(got, `"vectors":1200`) {
		t.Errorf("put-vectors says %s", got)
	}
	out, errs, status := s.tarn(t, "", "query", "docs/points", "--vector", "[600,600,1]", "-k", "2", "--filter", `{"odd":true}`, "--explain", "-o", "jsonl")
	if status != 0 || !strings.Contains(errs, "compared") {
		t.Fatalf("status %d: %s", status, errs)
	}
	var hit struct {
		Key      string
		Distance float64
		Metadata map[string]any
	}
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &hit); err != nil || (hit.Key != "k599" && hit.Key != "k601") || hit.Metadata["odd"] != true {
		t.Errorf("the first hit is %+v, %v, of %s", hit, err, out)
	}
	if got := s.must(t, "query", "docs/points", "--like", "k7", "-k", "1", "-o", "jsonl"); !strings.Contains(got, `"k6"`) && !strings.Contains(got, `"k8"`) {
		t.Errorf("like k7: %s", got)
	}
	if got := s.must(t, "index", "ls", "docs", "-o", "jsonl"); !strings.Contains(got, `"vectors":1200`) {
		t.Errorf("index ls says %s", got)
	}
	if got := s.must(t, "index", "recall", "docs/points", "--samples", "20", "--floor", "0.95", "-o", "jsonl"); !strings.Contains(got, `"recall":1`) {
		t.Errorf("a young index is scanned exactly, but recall is %s", got)
	}
	if got := s.must(t, "index", "recall", "docs/points", "--target", "0.9", "-o", "jsonl"); !strings.Contains(got, `"target":0.9,`) {
		t.Errorf("the target of recall is %s", got)
	}
	if _, errs, status := s.tarn(t, "", "query", "docs/points", "--text", "words"); status != 5 || !strings.Contains(errs, "no embedder") {
		t.Errorf("text without an embedder: status %d, %s", status, errs)
	}
	s.must(t, "index", "rm", "docs/points")
}

func TestCommandLineSaysWhatIsWrong(t *testing.T) {
	s := start(t)
	s.must(t, "mb", "docs")
	s.must(t, "index", "create", "docs/points", "--dimension", "2")
	cases := []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"mb"}, 2, "usage: tarn mb BUCKET"},
		{[]string{"mb", "Bad_Name"}, 2, ""},
		{[]string{"mb", "docs"}, 5, ""},
		{[]string{"rb", "absent"}, 3, ""},
		{[]string{"cat", "docs/absent"}, 3, ""},
		{[]string{"cp", "a", "b"}, 2, "tarn://"},
		{[]string{"ls", "--nonsense"}, 2, "nonsense"},
		{[]string{"ls", "docs", "-o", "xml"}, 2, "xml"},
		{[]string{"index", "create", "docs/x", "--dimension", "3"}, 2, "indexName"},
		{[]string{"index", "create", "docs/points", "--dimension", "2"}, 5, "exists"},
		{[]string{"index", "create", "docs/larger", "--dimension", "5000"}, 2, "4096"},
		{[]string{"index", "describe", "docs/absent"}, 3, "no such index"},
		{[]string{"query", "docs/points", "--vector", "[1]"}, 2, "dimension 2"},
		{[]string{"query", "docs/points", "--vector", "words"}, 2, "--vector"},
		{[]string{"query", "docs/points", "--vector", "[1,0]", "--filter", `{"a":{"$like":1}}`}, 2, "$like"},
		{[]string{"put-vectors", "rows.txt", "docs/points"}, 2, ".txt"},
		{[]string{"--access-key", "x", "--secret-key", "y", "key", "ls"}, 4, "no such access key"},
		{[]string{"--endpoint", "http://127.0.0.1:1", "key", "ls"}, 6, "is the server running"},
		{[]string{"key", "rm", s.accessKey}, 5, "root"},
		{[]string{"key", "rm", "nobody"}, 3, "no such access key"},
	}
	for _, c := range cases {
		out, errs, status := s.tarn(t, "", c.args...)
		if status != c.status || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("tarn %s: status %d, want %d with one line that says %q: %s%s", strings.Join(c.args, " "), status, c.status, c.want, errs, out)
		}
	}
}

func TestKeysComeAndGo(t *testing.T) {
	s := start(t)
	var made struct {
		AccessKey string `json:"access_key"`
		SecretKey string `json:"secret_key"`
	}
	if err := json.Unmarshal([]byte(s.must(t, "key", "create", "pipeline", "--all", "-o", "jsonl")), &made); err != nil {
		t.Fatal(err)
	}
	mine := []string{"--access-key", made.AccessKey, "--secret-key", made.SecretKey}
	s.must(t, append(mine, "mb", "docs")...)
	if _, errs, status := s.tarn(t, "", append(mine, "key", "create", "another")...); status != 4 {
		t.Errorf("a key that is not root's makes keys: status %d, %s", status, errs)
	}
	s.must(t, "key", "rights", made.AccessKey)
	if _, errs, status := s.tarn(t, "", append(mine, "ls")...); status != 4 || !strings.Contains(errs, "s3:ListAllMyBuckets") {
		t.Errorf("a key that lost its rights lists: status %d, %s", status, errs)
	}
	s.must(t, "key", "rights", made.AccessKey, "--policy", written(t, `{"Statement":{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}}`))
	s.must(t, append(mine, "ls")...)
	if _, errs, status := s.tarn(t, "", append(mine, "mb", "more")...); status != 4 {
		t.Errorf("a key makes what its policy does not allow: status %d, %s", status, errs)
	}
	s.must(t, "key", "rm", made.AccessKey)
	if _, errs, status := s.tarn(t, "", append(mine, "ls")...); status != 4 {
		t.Errorf("a deleted key lists: status %d, %s", status, errs)
	}
}

// written is a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCompletionIsOffered(t *testing.T) {
	s := &server{binary: binary(t)}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, _, status := s.tarn(t, "", "completion", shell); status != 0 || !strings.Contains(out, "put-vectors") && len(out) < 1000 {
			t.Errorf("%s: status %d, %d bytes", shell, status, len(out))
		}
	}
}
