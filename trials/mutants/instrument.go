package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// instrument writes copies of the sources in which every site stands behind a
// switch, and the overlay that puts them in the place of the originals.
func instrument(root, scratch string, sites []*site) (overlay string, err error) {
	replace := map[string]string{}
	for file, in := range byFile(sites) {
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", fmt.Errorf("read source: %w", err)
		}
		if err := place(scratch, replace, filepath.Join(root, file), file, wrapped(source, in)); err != nil {
			return "", err
		}
		added := path.Join(path.Dir(file), "mutants_switch.go")
		if err := place(scratch, replace, filepath.Join(root, added), added, []byte(switchOf(source))); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(scratch, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

func place(scratch string, replace map[string]string, original, name string, text []byte) error {
	copied := filepath.Join(scratch, "sources", strings.ReplaceAll(name, "/", "__"))
	if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
		return err
	}
	replace[original] = copied
	return os.WriteFile(copied, text, 0o644)
}

func byFile(sites []*site) map[string][]*site {
	out := map[string][]*site{}
	for _, s := range sites {
		out[s.file] = append(out[s.file], s)
	}
	return out
}

// insertion of text at an offset.
type insertion struct {
	at, depth int // what is opened first is closed last
	opens     bool
	text      string
}

// wrapped is the source with every site behind its switch.
func wrapped(source []byte, sites []*site) []byte {
	var all []insertion
	for _, s := range sites {
		size := s.wrap.to - s.wrap.from
		all = append(all,
			insertion{s.wrap.from, -size, true, fmt.Sprintf(s.wrap.before, s.id)},
			insertion{s.wrap.to, size, false, s.wrap.after})
	}
	slices.SortStableFunc(all, func(a, b insertion) int {
		if a.at != b.at {
			return a.at - b.at
		}
		if a.opens != b.opens { // what ends here is closed before another opens
			if b.opens {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.depth, b.depth)
	})
	var out []byte
	at := 0
	for _, i := range all {
		out = append(append(out, source[at:i.at]...), i.text...)
		at = i.at
	}
	return append(out, source[at:]...)
}

// switchOf is the file that each instrumented package gets.
func switchOf(source []byte) string {
	return packageClause(source) + `

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

var (
	mutantOn, _   = strconv.Atoi(os.Getenv("TARN_MUTANT"))
	mutantNotes   = os.Getenv("TARN_MUTANT_REACHED")
	mutantReached sync.Map
)

// mutated reports whether this site is taken out.
func mutated(n int) bool {
	if mutantNotes != "" {
		noteMutant(n)
	}
	return n == mutantOn
}

func noteMutant(n int) {
	if _, known := mutantReached.LoadOrStore(n, true); known {
		return
	}
	f, err := os.OpenFile(mutantNotes, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, n)
}

func unless[T any](n int, v T) T {
	if mutated(n) {
		var none T
		return none
	}
	return v
}

var _ = unless[int]
`
}

func packageClause(source []byte) string {
	for line := range strings.Lines(string(source)) {
		if strings.HasPrefix(line, "package ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
