package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// catches remember which test caught the loss of which site: by site's key, the
// test's package and name. A line of the file: key, tab, package, space, name.
type catches map[string]test

func readCatches(file string) (catches, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return catches{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read past catches: %w", err)
	}
	out := catches{}
	for line := range strings.Lines(string(text)) {
		key, by, ok := strings.Cut(strings.TrimSpace(line), "\t")
		dir, name, well := strings.Cut(by, " ")
		if !ok || !well {
			return nil, fmt.Errorf("read past catches: malformed line %q", line)
		}
		out[key] = test{dir: dir, name: name}
	}
	return out, nil
}

func (c catches) write(file string) error {
	var b bytes.Buffer
	for _, key := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%s\t%s\n", key, c[key])
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// keepOnly forgets sites that are gone.
func (c catches) keepOnly(sites []*site) {
	there := map[string]bool{}
	for _, s := range sites {
		there[s.key()] = true
	}
	for key := range c {
		if !there[key] {
			delete(c, key)
		}
	}
}
