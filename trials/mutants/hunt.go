package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// hunt looks for a test that catches each mutant.
type hunt struct {
	suite  *suite
	reach  map[int][]test // fastest first; nil: only past catches and whole packages are tried
	past   catches
	tell   func(format string, args ...any)
	longer time.Duration // that a test may take with a mutant, above four times its usual time
	notes  *notes

	pastOnly bool // only the past catches are tried

	mu      sync.Mutex
	outcome []outcome
}

// outcome of one mutant.
type outcome struct {
	site   *site
	by     test
	caught bool
	tests  int    // that were run
	reason string // why the site is redundant
}

// all hunts the given mutants, as many at once as there are processors.
func (h *hunt) all(ctx context.Context, sites []*site) error {
	return atOnce(len(sites), func(i int) error {
		o, err := h.one(ctx, sites[i])
		if err != nil {
			return err
		}
		return h.found(o)
	})
}

// caught hunts by past catches, and gives what they do not catch any more.
func (h *hunt) caught(ctx context.Context, sites []*site) (left []*site, err error) {
	var mu sync.Mutex
	err = atOnce(len(sites), func(i int) error {
		o, err := h.one(ctx, sites[i])
		if err == nil && o.caught {
			return h.found(o)
		}
		mu.Lock()
		defer mu.Unlock()
		left = append(left, sites[i])
		return err
	})
	slices.SortFunc(left, func(a, b *site) int { return a.id - b.id })
	return left, err
}

// recalled takes over what was noted of sites, and gives the others.
func (h *hunt) recalled(sites []*site) (left []*site) {
	for _, s := range sites {
		if o, ok := h.notes.known[s.key()]; ok {
			h.outcome = append(h.outcome, o)
		} else {
			left = append(left, s)
		}
	}
	return left
}

func (h *hunt) found(o outcome) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.outcome = append(h.outcome, o)
	h.report(o)
	return h.notes.add(o)
}

func (h *hunt) one(ctx context.Context, s *site) (outcome, error) {
	o := outcome{site: s, reason: redundant[s.key()]}
	for _, t := range h.order(s) {
		o.tests++
		v, err := h.suite.run(ctx, t, s.id, 4*t.took+h.longer, "")
		if err != nil {
			return o, err
		}
		if !v.failed {
			continue
		}
		if v, err = h.suite.run(ctx, t, 0, 4*t.took+h.longer, ""); err != nil {
			return o, err
		}
		if !v.failed { // without the mutant it passes: the mutant was it
			o.by, o.caught = t, true
			return o, nil
		}
	}
	return o, nil
}

// order: the past catch, the tests of the site's own package, the others.
func (h *hunt) order(s *site) []test {
	var out []test
	past, known := h.past[s.key()]
	reached := h.reach[s.id]
	switch {
	case h.pastOnly && known:
		return []test{past, past}
	case h.pastOnly:
		return nil
	case known && h.reach == nil: // a test that draws its input may need luck
		return []test{past, past, past, {dir: s.dir, name: ".*"}}
	}
	if i := slices.IndexFunc(reached, func(t test) bool { return t.dir == past.dir && t.name == past.name }); i >= 0 {
		out = append(out, reached[i])
	}
	for _, own := range []bool{true, false} {
		for _, t := range reached {
			if (t.dir == s.dir) == own && !(t.dir == past.dir && t.name == past.name) {
				out = append(out, t)
			}
		}
	}
	return out
}

func (h *hunt) report(o outcome) {
	switch {
	case o.caught:
		h.tell("%-9s %s\n%10s by %s", "caught", o.site, "", o.by)
		if o.reason != "" {
			h.tell("%10s it is no longer redundant: take it off redundant.go", "")
		}
	case o.reason != "":
		h.tell("%-9s %s\n%10s %s", "redundant", o.site, "", o.reason)
	default:
		h.tell("%-9s %s\n%10s %d tests reach it, none fails", "SURVIVED", o.site, "", o.tests)
	}
}

// verdict is an error that names the survivors.
func (h *hunt) verdict() error {
	var survivors []string
	counts := map[string]int{}
	for _, o := range h.outcome {
		switch {
		case o.caught:
			counts["caught"]++
			h.past[o.site.key()] = test{dir: o.by.dir, name: o.by.name}
		case o.reason != "":
			counts["redundant"]++
		default:
			survivors = append(survivors, o.site.String())
			delete(h.past, o.site.key())
		}
	}
	h.tell("%d mutants: %d caught, %d proven redundant, %d survived", len(h.outcome), counts["caught"], counts["redundant"], len(survivors))
	if len(survivors) == 0 {
		return nil
	}
	return fmt.Errorf("no test fails without\n  %s", strings.Join(survivors, "\n  "))
}

// atOnce runs f for 0 to n-1 on as many goroutines as there are processors.
func atOnce(n int, f func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error { return f(i) })
	}
	return group.Wait()
}
