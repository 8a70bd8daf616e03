package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
)

// notes keep what was found, site by site, so that a run that was stopped goes on
// where it was. They hold for one state of the sources; a survivor is tried again. A
// line of the file: key, tab, package, space, name; nothing behind the tab where a
// redundant site was caught by none.
type notes struct {
	file  *os.File // nil: nothing is kept
	known map[string]outcome
}

func openNotes(name string, sites []*site) (*notes, error) {
	n := &notes{known: map[string]outcome{}}
	if name == "" {
		return n, nil
	}
	text, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		key, by, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		i := slices.IndexFunc(sites, func(s *site) bool { return s.key() == key })
		if i < 0 {
			continue
		}
		o := outcome{site: sites[i], reason: redundant[key]}
		o.by.dir, o.by.name, o.caught = strings.Cut(by, " ")
		if o.caught || o.reason != "" {
			n.known[key] = o
		}
	}
	if n.file, err = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return nil, fmt.Errorf("keep notes: %w", err)
	}
	return n, nil
}

func (n *notes) add(o outcome) error {
	if n.file == nil || !o.caught && o.reason == "" {
		return nil
	}
	by := ""
	if o.caught {
		by = o.by.String()
	}
	if _, err := fmt.Fprintf(n.file, "%s\t%s\n", o.site.key(), by); err != nil {
		return fmt.Errorf("keep notes: %w", err)
	}
	return nil
}

func (n *notes) close() {
	if n.file != nil {
		_ = n.file.Close() // each line was written; what is lost is hunted again
	}
}

// writeTable tells readers what was found, by site; also of a run that was stopped.
func (h *hunt) writeTable(name string, sites []*site) error {
	all := slices.Clone(h.outcome)
	for _, s := range sites {
		if !slices.ContainsFunc(all, func(o outcome) bool { return o.site == s }) {
			all = append(all, outcome{site: s, tests: -1, reason: redundant[s.key()]})
		}
	}
	slices.SortFunc(all, func(a, b outcome) int { return cmp.Compare(a.site.id, b.site.id) })
	var b strings.Builder
	b.WriteString(tableHead)
	for _, o := range all {
		found := "**no test fails**"
		switch {
		case o.caught:
			found = "`" + o.by.dir + "` " + o.by.name
		case o.reason != "":
			found = "redundant: " + o.reason
		case o.tests < 0:
			found = "not tried in this run"
		}
		text := strings.ReplaceAll(o.site.text, "|", "\\|")
		fmt.Fprintf(&b, "| %s `%s` | %s | `%s` | %s |\n", o.site.file, o.site.function, o.site.rule, text, found)
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

const tableHead = `# What protects data, and which test notices its loss

Every place in the object layer that protects data (a sync, a comparison of a checksum
or an identity, a condition of a transaction, a swap, a pin) was taken out of the layer,
one at a time, and the tests were run until one failed. This table is what ` + "`make mutants`" + `
wrote; it ends with an error where a site is left that no test misses and that is not
proven redundant, and a run that was stopped says which sites it did not reach. A few sites, others each time, are tried in every run of the tests.

| Where | Kind | What was taken out | What failed without it |
|---|---|---|---|
`
