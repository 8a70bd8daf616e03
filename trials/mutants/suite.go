package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// test is one test of one package, in the instrumented binary.
type test struct {
	dir  string // of the package, from the root
	name string
	took time.Duration // without a mutant
}

func (t test) String() string { return t.dir + " " + t.name }

// suite runs tests of the instrumented layer.
type suite struct {
	root, scratch string
	verbose       func(format string, args ...any)
	rapid         sync.Map // by folder: whether its tests know of rapid, which writes files where a test fails
}

func (s *suite) binary(dir string) string {
	return filepath.Join(s.scratch, strings.ReplaceAll(dir, "/", "__")+".test")
}

// build compiles the tests of packages, all mutants in them.
func (s *suite) build(ctx context.Context, overlay string, dirs []string) error {
	for _, dir := range dirs {
		c := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", s.binary(dir), "./"+dir)
		c.Dir = s.root
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("build the tests of %s: %w\n%s", dir, err, out)
		}
	}
	return nil
}

// list gives the tests of a package, fuzz targets with their seeds among them.
func (s *suite) list(ctx context.Context, dir string) ([]test, error) {
	c := exec.CommandContext(ctx, s.binary(dir), "-test.list", "^(Test|Fuzz)")
	c.Dir = filepath.Join(s.root, dir)
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of %s: %w", dir, err)
	}
	var all []test
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") {
			all = append(all, test{dir: dir, name: name})
		}
	}
	return all, nil
}

// verdict of one run.
type verdict struct {
	failed bool
	took   time.Duration
}

// run runs one test with a mutant; 0 is none.
func (s *suite) run(ctx context.Context, t test, mutant int, limit time.Duration, notes string) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, s.binary(t.dir), s.arguments(ctx, t.dir, "-test.run", "^"+t.name+"$", "-test.timeout", limit.String(), "-test.failfast")...)
	c.Dir = filepath.Join(s.root, t.dir)
	c.Env = append(os.Environ(), "TARN_SOAK=", "TARN_TRIAL=20", fmt.Sprintf("TARN_MUTANT=%d", mutant), "TARN_MUTANT_REACHED="+notes, "GOTRACEBACK=none")
	begun := time.Now()
	err := c.Run()
	v := verdict{took: time.Since(begun)}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return v, nil
	case errors.As(err, &exit):
		v.failed = true
		return v, nil
	}
	return v, fmt.Errorf("run %s: %w", t, err)
}

// arguments keep rapid from writing into the tree.
func (s *suite) arguments(ctx context.Context, dir string, given ...string) []string {
	const quiet = "-rapid.nofailfile"
	knows, known := s.rapid.Load(dir)
	if !known {
		knows = exec.CommandContext(ctx, s.binary(dir), "-test.list", "^$", quiet).Run() == nil
		s.rapid.Store(dir, knows)
	}
	if knows.(bool) {
		given = append(given, quiet)
	}
	return given
}

// survey runs every test once without a mutant, and tells what each reaches.
// What fails or takes too long by itself proves nothing, and is left out.
func (s *suite) survey(ctx context.Context, dirs []string, longest time.Duration) (reach map[int][]test, err error) {
	var all []test
	for _, dir := range dirs {
		in, err := s.list(ctx, dir)
		if err != nil {
			return nil, err
		}
		all = append(all, in...)
	}
	reached := make([][]int, len(all))
	err = atOnce(len(all), func(i int) error {
		notes := filepath.Join(s.scratch, fmt.Sprintf("reached-%d", i))
		v, err := s.run(ctx, all[i], 0, longest, notes)
		if err != nil {
			return err
		}
		if v.failed {
			s.verbose("not used, for it fails or takes longer than %v without a mutant: %s", longest, all[i])
			return nil
		}
		all[i].took = v.took
		reached[i], err = readNotes(notes)
		return err
	})
	if err != nil {
		return nil, err
	}
	reach = map[int][]test{}
	for i, sites := range reached {
		for _, id := range sites {
			reach[id] = append(reach[id], all[i])
		}
	}
	for _, tests := range reach {
		slices.SortFunc(tests, func(a, b test) int { return int(a.took - b.took) })
	}
	return reach, nil
}

func readNotes(file string) ([]int, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []int
	for line := range strings.Lines(string(text)) {
		var id int
		if _, err := fmt.Sscan(line, &id); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// vet compiles the instrumented layer without its tests.
func (s *suite) vet(ctx context.Context, overlay string) error {
	c := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "./objects/...")
	c.Dir = s.root
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("compile the mutants: %w\n%s", err, out)
	}
	return nil
}
