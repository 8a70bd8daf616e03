package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// site is one place that protects data.
type site struct {
	id       int    // from 1, in the order of the sources
	rule     string // sync, compare, condition, …
	dir      string // of the package, from the module's root
	file     string // from the module's root
	function string // that it stands in
	ordinal  int    // among those of its rule in the function
	line     int
	text     string // of the code that is taken out, shortened
	wrap     wrap
}

// key names a site however the lines around it move.
func (s *site) key() string {
	return fmt.Sprintf("%s %s %s %d", s.file, s.function, s.rule, s.ordinal)
}

func (s *site) String() string {
	return fmt.Sprintf("%s:%d %s %s: %s", s.file, s.line, s.function, s.rule, s.text)
}

// wrap takes code out by what is written before and after it. %d is the site's id.
type wrap struct {
	from, to      int // offsets in the file
	before, after string
}

// outside names packages below objects that are no part of what runs: fakes,
// models, suites, and what no store is opened on.
func outside(dir string) bool {
	base := path.Base(dir)
	return strings.HasSuffix(base, "test") || base == "epochmodel" || base == "raftgroup" || base == "testdata"
}

// layer is the sources of the object layer, by their path from root.
func layer(root string) (files []string, err error) {
	err = filepath.WalkDir(filepath.Join(root, "objects"), func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		switch {
		case err != nil:
			return err
		case e.IsDir() && outside(filepath.ToSlash(rel)):
			return filepath.SkipDir
		case !e.IsDir() && strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go"):
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// enumerate finds all sites.
func enumerate(root string) ([]*site, error) {
	files, err := layer(root)
	if err != nil {
		return nil, fmt.Errorf("list the layer's sources: %w", err)
	}
	var all []*site
	for _, file := range files {
		found, err := sitesOf(root, file)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for i, s := range all {
		s.id = i + 1
	}
	return all, nil
}

func sitesOf(root, file string) ([]*site, error) {
	source, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse source: %w", err)
	}
	var found []*site
	for _, d := range syntax.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		in := &finder{source: source, set: set, function: nameOf(f)}
		ast.Inspect(f.Body, in.look)
		found = append(found, in.found...)
	}
	slices.SortStableFunc(found, func(a, b *site) int { return cmp.Compare(a.wrap.from, b.wrap.from) })
	count := map[string]int{}
	for _, s := range found {
		s.dir, s.file = path.Dir(file), file
		count[s.function+s.rule]++
		s.ordinal = count[s.function+s.rule]
	}
	return found, nil
}

// nameOf is Type.method, or the function's name.
func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}
