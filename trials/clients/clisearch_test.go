package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandLineAsksByMetadataAndWords(t *testing.T) {
	s := start(t)
	rows := filepath.Join(t.TempDir(), "rows.jsonl")
	var text strings.Builder
	for i := range 600 {
		fmt.Fprintf(&text, `{"key":"k%03d","vector":[%d,1],"metadata":{"n":%d,"kind":"%c","body":"note %d of a tarn"}}`+"\n", i, i, i, 'a'+i%3, i)
	}
	if err := os.WriteFile(rows, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, "mb", "docs")
	s.must(t, "index", "create", "docs/notes", "--dimension", "2", "--metric", "euclidean", "--non-filterable", "body")
	s.must(t, "put-vectors", rows, "docs/notes")
	s.must(t, "index", "texts", "docs/notes", "--add", "body")
	low := `{"n":{"$lt":9}}`
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"vectors", "count", "docs/notes", "--filter", low}, []string{`"vectors":9`}},
		{[]string{"vectors", "facets", "docs/notes", "kind"}, []string{`"value":"a","vectors":200`}},
		{[]string{"vectors", "ls", "docs/notes", "--filter", low, "--max", "2"}, []string{`"k000"`, `"k001"`}},
		{[]string{"query", "docs/notes", "--words", "body=note 77", "-k", "1"}, []string{`"k077"`, `"score"`}},
		{[]string{"query", "docs/notes", "--words", "body=77", "--vector", "[300,1]", "-k", "2"}, []string{`"k077"`, `"k300"`}},
		{[]string{"query", "docs/notes", "--vector", "[300,1]", "--within", "1.5"}, []string{`"k299"`, `"k300"`, `"k301"`}},
		{[]string{"vectors", "rm", "docs/notes", "--filter", low, "--dry-run"}, []string{`"deleted":9`}},
		{[]string{"vectors", "rm", "docs/notes", "--filter", low}, []string{`"deleted":9`}},
		{[]string{"vectors", "count", "docs/notes"}, []string{`"vectors":591`}},
		{[]string{"index", "texts", "docs/notes"}, []string{`"texts":"body"`}},
	} {
		got := s.must(t, append(c.args, "-o", "jsonl")...)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%v says %s, want %s", c.args, got, want)
			}
		}
	}
	for _, args := range [][]string{{"vectors", "rm", "docs/notes"}, {"query", "docs/notes", "--words", "body"}, {"vectors", "count", "docs/notes", "--filter", "{"}} {
		if _, errs, status := s.tarn(t, "", args...); status != 2 || errs == "" {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
}
