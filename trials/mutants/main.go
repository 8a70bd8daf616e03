package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

const sitesLeast = 30

// settings of a run.
type settings struct {
	root   string
	list   bool   // only print the sites
	sample int    // hunt so many mutants by their past catches alone; 0: all, by every test
	seed   uint64 // of the sample
	only   string // regexp over sites
	notes  string // file of what was found so far, to go on from; "": none
	table  string // file for what was found at every site, for readers; "": none
}

func main() {
	var o settings
	flag.StringVar(&o.root, "root", ".", "the module's root")
	flag.BoolVar(&o.list, "list", false, "print the sites and end")
	flag.IntVar(&o.sample, "sample", 0, "take out so many sites, drawn by -seed, and trust past catches; 0: all, with every test")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the sample")
	flag.StringVar(&o.only, "only", "", "a regular expression over sites")
	flag.StringVar(&o.notes, "notes", "", "a file that keeps what is found, site by site: a run that was stopped goes on from it")
	flag.StringVar(&o.table, "table", "", "write what was found at every site to this file, for readers")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tell := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if err := hunted(ctx, o, tell); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// hunted enumerates, compiles and hunts.
func hunted(ctx context.Context, o settings, tell func(string, ...any)) error {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return err
	}
	sites, err := enumerate(root)
	if err != nil {
		return err
	}
	if len(sites) < sitesLeast {
		return fmt.Errorf("only %d sites were found, at least %d are expected: a rule is broken", len(sites), sitesLeast)
	}
	if err := known(sites); err != nil {
		return err
	}
	if o.list {
		for _, s := range sites {
			tell("%4d  %s", s.id, s)
		}
		return nil
	}
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	overlay, err := instrument(root, scratch, sites)
	if err != nil {
		return fmt.Errorf("instrument the layer: %w", err)
	}
	past, err := readCatches(catchesFile(root))
	if err != nil {
		return err
	}
	h := &hunt{suite: &suite{root: root, scratch: scratch, verbose: tell}, past: past, tell: tell, longer: 20 * time.Second}
	if h.notes, err = openNotes(o.notes, sites); err != nil {
		return err
	}
	defer h.notes.close()
	chosen, err := choose(sites, o, past)
	if err != nil {
		return err
	}
	if o.sample > 0 {
		tell("%d sites; a sample of %d, seed %d", len(sites), len(chosen), o.seed)
		err = h.sampled(ctx, overlay, chosen, sites)
	} else {
		err = h.thorough(ctx, overlay, chosen, sites)
	}
	err = firstOf(err, h.verdict())
	if o.sample == 0 {
		h.past.keepOnly(sites)
		err = firstOf(err, h.past.write(catchesFile(root)))
	}
	if o.table != "" {
		err = firstOf(err, h.writeTable(o.table, sites))
	}
	return err
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func catchesFile(root string) string { return filepath.Join(root, "trials/mutants/catches.txt") }

// known demands that every redundant site still exists.
func known(sites []*site) error {
	keys := map[string]bool{}
	for _, s := range sites {
		if keys[s.key()] {
			return fmt.Errorf("two sites are called %q", s.key())
		}
		keys[s.key()] = true
	}
	for key := range redundant {
		if !keys[key] {
			return fmt.Errorf("redundant.go names a site that is gone: %q", key)
		}
	}
	return nil
}

func choose(sites []*site, o settings, past catches) ([]*site, error) {
	match, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	chosen := slices.DeleteFunc(slices.Clone(sites), func(s *site) bool { return !match.MatchString(s.String()) })
	if o.sample == 0 {
		return chosen, nil
	}
	chosen = slices.DeleteFunc(chosen, func(s *site) bool { return past[s.key()].name == "" })
	r := rand.New(rand.NewPCG(o.seed, 1))
	r.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen[:min(o.sample, len(chosen))], nil
}

// sampled compiles the whole layer, and runs past catches.
func (h *hunt) sampled(ctx context.Context, overlay string, chosen, sites []*site) error {
	if err := h.suite.vet(ctx, overlay); err != nil {
		return err
	}
	var dirs []string
	for _, s := range chosen {
		dirs = append(dirs, s.dir, h.past[s.key()].dir)
	}
	slices.Sort(dirs)
	if err := h.suite.build(ctx, overlay, slices.Compact(dirs)); err != nil {
		return err
	}
	if unknown := h.untried(sites); len(unknown) > 0 {
		h.tell("%d sites are new since the last thorough run (make mutants), among them %s", len(unknown), unknown[0])
	}
	return h.all(ctx, chosen)
}

func (h *hunt) untried(sites []*site) []*site {
	return slices.DeleteFunc(slices.Clone(sites), func(s *site) bool {
		return h.past[s.key()].name != "" || redundant[s.key()] != ""
	})
}

// testsLongest is what a test may take to be used.
const testsLongest = 90 * time.Second

// thorough hunts every mutant: by what caught it before, and where that does not, by
// every test that reaches it.
func (h *hunt) thorough(ctx context.Context, overlay string, chosen, sites []*site) error {
	fresh := h.recalled(chosen)
	dirs := []string{"objects"}
	for _, s := range sites {
		dirs = append(dirs, s.dir)
	}
	slices.Sort(dirs)
	dirs = slices.Compact(dirs)
	h.tell("%d sites, %d of them noted; building the tests of %d packages", len(sites), len(h.notes.known), len(dirs))
	if err := h.suite.build(ctx, overlay, dirs); err != nil {
		return err
	}
	h.pastOnly = true
	left, err := h.caught(ctx, fresh)
	if err != nil || len(left) == 0 {
		return err
	}
	h.pastOnly = false
	if err := h.suite.build(ctx, overlay, furtherTests); err != nil {
		return err
	}
	dirs = append(dirs, furtherTests...)
	h.tell("%d sites are left; running every test once", len(left))
	if h.reach, err = h.suite.survey(ctx, dirs, testsLongest); err != nil {
		return err
	}
	return h.all(ctx, left)
}

// furtherTests drive the layer from outside it. TARN_TRIAL makes them short.
var furtherTests = []string{"trials/survival"}
