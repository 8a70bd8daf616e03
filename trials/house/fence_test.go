package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tarnlake/tarn"

// rooms are the floors of the house, lowest first: a package may import packages
// of its own room and of rooms on lower floors. The longest matching prefix
// decides in which room a package lies.
var rooms = []struct {
	prefix string
	floor  int
}{
	{"proto", 0},
	{"web", 0},
	{"host", 1},
	{"objects/erasure", 2},
	{"objects/placement", 2},
	{"objects/drive", 2},
	{"objects/index", 3},
	{"objects/audit", 3},
	{"objects/durability", 3},
	{"objects", 4},
	{"access", 5},
	{"tables", 6},
	{"vectors/distance", 7},
	{"vectors/quantize", 7},
	{"vectors/filter", 7},
	{"vectors/lexicon", 8},
	{"vectors/navigate", 8},
	{"vectors", 9},
	{"query", 10},
	{"ingest", 10},
	{"cluster", 10},
	{"cmd", 11},
	{"trials", 12},
	{"bench", 12},
}

// strangers share a floor and must not know each other.
var strangers = map[string]bool{"query": true, "ingest": true, "cluster": true}

// mayImportProto: only these rooms see the wire messages.
var mayImportProto = map[string]bool{"query": true, "ingest": true, "cluster": true, "cmd": true, "trials": true, "bench": true, "proto": true}

// rawCalls of the outside world, by import path, that only host and cmd make.
var rawCalls = map[string][]string{
	"time":         {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"},
	"os":           {"Open", "OpenFile", "Create", "CreateTemp", "ReadFile", "WriteFile", "Remove", "RemoveAll", "Rename", "Mkdir", "MkdirAll", "MkdirTemp", "ReadDir", "Stat", "Lstat", "Truncate", "Link", "Symlink", "Getenv", "LookupEnv", "Environ", "Exit"},
	"crypto/rand":  {"Read", "Reader", "Int", "Text", "Prime"},
	"math/rand":    {"Int", "Intn", "Int63", "Float64", "Perm", "Shuffle", "Seed", "Uint32", "Uint64", "Int31n", "Int63n", "Float32", "NormFloat64"},
	"math/rand/v2": {"Int", "IntN", "Int64", "Int64N", "Float64", "Perm", "Shuffle", "Uint32", "Uint64", "N", "Float32", "NormFloat64", "Int32N", "Uint64N"},
}

var rawCallsAllowed = []string{"host", "cmd", "trials", "bench", "demo", "corpus"}

var refusedNames = map[string]bool{"utils": true, "util": true, "common": true, "helpers": true, "helper": true, "misc": true, "internal": true, "pkg": true, "shared": true, "base": true}

type source struct {
	dir       string // of the package, relative to the module
	file      string
	test      bool
	generated bool
	syntax    *ast.File
}

func TestImportsRunOnlyDownwards(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		from := room(t, s.dir)
		for _, imp := range s.syntax.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			to, ours := strings.CutPrefix(p, module+"/")
			if !ours {
				continue
			}
			if problem := arrow(from, room(t, to), s.dir, to); problem != "" {
				t.Errorf("%s imports %s: %s", s.file, to, problem)
			}
		}
	}
}

// arrow says what is wrong with an import from one place to another, or nothing.
func arrow(from, to int, fromDir, toDir string) string {
	a, b := top(fromDir), top(toDir)
	switch {
	case rooms[to].floor > rooms[from].floor:
		return "the arrow points up"
	case a != b && strangers[a] && strangers[b]:
		return "these two do not import each other"
	case b == "proto" && !mayImportProto[a]:
		return "only query, ingest, cluster and cmd see proto"
	case strings.HasSuffix(toDir, "test") && a != "trials" && a != "bench" && !strings.HasSuffix(fromDir, "test"):
		return "a test package is for tests"
	}
	return ""
}

func TestEveryPackageIntroducesItself(t *testing.T) {
	said := map[string]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if _, seen := said[s.dir]; !seen {
			said[s.dir] = ""
		}
		if s.syntax.Doc != nil && !s.generated {
			said[s.dir] = s.syntax.Doc.Text()
		}
	}
	for dir, text := range said {
		if strings.HasSuffix(dir, "connect") && strings.HasPrefix(dir, "proto/") {
			continue // generated whole
		}
		if len(strings.Fields(text)) < 15 {
			t.Errorf("package %s has no comment that introduces it (at least 15 words, in doc.go)", dir)
		}
	}
}

func TestNoRoomIsCalledUtils(t *testing.T) {
	for _, s := range sources(t) {
		for _, part := range strings.Split(s.dir, "/") {
			if refusedNames[part] {
				t.Errorf("%s: %q names no idea that a user could name", s.dir, part)
			}
		}
	}
}

func TestOnlyHostTouchesTheOutsideWorld(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.generated || allowedRaw(s.dir) {
			continue
		}
		names := importNames(s.syntax)
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := sel.X.(*ast.Ident)
			if !ok || id.Obj != nil {
				return true
			}
			for _, name := range rawCalls[names[id.Name]] {
				if sel.Sel.Name == name {
					t.Errorf("%s: %s.%s: take it from host.Host instead", s.file, id.Name, name)
				}
			}
			return true
		})
	}
}

func allowedRaw(dir string) bool {
	for _, d := range rawCallsAllowed {
		if top(dir) == d {
			return true
		}
	}
	return strings.HasSuffix(dir, "test")
}

func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, imp := range f.Imports {
		p, _ := strconv.Unquote(imp.Path.Value)
		name := path.Base(p)
		if p == "math/rand/v2" {
			name = "rand"
		}
		if imp.Name != nil {
			name = imp.Name.Name
		}
		names[name] = p
	}
	return names
}

func top(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	return first
}

// room is the place of a directory in rooms.
func room(t *testing.T, dir string) int {
	t.Helper()
	best := -1
	for i, r := range rooms {
		if dir != r.prefix && !strings.HasPrefix(dir, r.prefix+"/") {
			continue
		}
		if best < 0 || len(r.prefix) > len(rooms[best].prefix) {
			best = i
		}
	}
	if best < 0 {
		t.Fatalf("%s lies in no room of the house: add it to rooms, with its floor", dir)
	}
	return best
}

var read []source

// sources parses every Go file of the module once.
func sources(t *testing.T) []source {
	t.Helper()
	if read != nil {
		return read
	}
	top := filepath.Join("..", "..")
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != top && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "node_modules" || name == "testdata" || name == "tarn-data" || name == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, _ := filepath.Rel(top, p)
		syntax, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		read = append(read, source{
			dir: filepath.ToSlash(filepath.Dir(rel)), file: filepath.ToSlash(rel),
			test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(syntax), syntax: syntax,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(read) < 10 {
		t.Fatalf("only %d Go files found: is this the module?", len(read))
	}
	return read
}

func TestFenceNoticesEachFault(t *testing.T) {
	cases := []struct{ from, to, want string }{
		{"objects", "vectors", "the arrow points up"},
		{"objects/drive", "objects", "the arrow points up"},
		{"ingest/s3", "query", "these two do not import each other"},
		{"vectors", "proto/tarn/v1", "only query, ingest, cluster and cmd see proto"},
		{"vectors", "objects", ""},
		{"objects", "host/hosttest", "a test package is for tests"},
		{"cmd/tarn", "query", ""},
	}
	for _, c := range cases {
		if got := arrow(room(t, c.from), room(t, c.to), c.from, c.to); got != c.want {
			t.Errorf("%s → %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
