package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type options struct {
	binary  string
	dir     string
	rounds  int
	span    time.Duration
	listed  int64
	jobs    string
	parts   string
	keep    bool
	large   int
	lost    int
	objects int64
	settle  time.Duration
}

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == bareWord {
		err = serveBare()
	} else {
		err = run(os.Stdout, parse())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-objects:", err)
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.binary, "tarn", "bin/tarn", "the server's binary")
	flag.StringVar(&o.dir, "dir", "", "folder in which to work, on the disk to be measured (default: a temporary one)")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, of which the medians are taken")
	flag.DurationVar(&o.span, "span", 2*time.Second, "length of each job in each round")
	flag.Int64Var(&o.listed, "listed", 50_000, "keys in the bucket that is listed")
	flag.StringVar(&o.jobs, "jobs", "", "jobs to do, by the beginnings of their names, separated by commas (default: all)")
	flag.StringVar(&o.parts, "parts", "rounds,space", "parts to do: rounds, space, clients, rebuild, overload")
	flag.IntVar(&o.large, "large", 100, "MiB of each put of the part clients")
	flag.IntVar(&o.lost, "lost", 150, "objects of 10 MiB in the store that loses a drive")
	flag.Int64Var(&o.objects, "objects", 50_000, "objects of 4 KiB of the part space")
	flag.DurationVar(&o.settle, "settle", time.Minute, "how long the part space waits for small objects to be packed")
	flag.BoolVar(&o.keep, "keep", false, "leave the folder behind")
	flag.Parse()
	return o
}

func (o options) does(job string) bool {
	if o.jobs == "" {
		return true
	}
	for name := range strings.SplitSeq(o.jobs, ",") {
		if strings.HasPrefix(job, name) {
			return true
		}
	}
	return false
}

// part names what run can do.
var parts = map[string]func(io.Writer, options) error{
	"rounds":   runRounds,
	"space":    runSpace,
	"clients":  runClients,
	"rebuild":  runRebuild,
	"overload": runOverload,
}

func run(out io.Writer, o options) (err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "bench-objects-"); err != nil {
			return err
		}
		if !o.keep {
			defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
		}
	}
	for name := range strings.SplitSeq(o.parts, ",") {
		part := parts[name]
		if part == nil {
			return fmt.Errorf("there is no part %q", name)
		}
		if err := part(out, o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// folder makes an empty one for a part.
func (o options) folder(name string) (string, error) {
	dir := o.dir + "/" + name
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

var benchKeys = credentials{"BENCHACCESSKEY000001", "benchSecretKey00000000000000000000000001"}

func runRounds(out io.Writer, o options) (err error) {
	s, err := o.startStore("rounds")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	r := &rounds{o: o, out: out, small: newBodies(small, 1), large: newBodies(large, 2), listed: max(o.listed/1000, 1) * 1000, seen: map[string]map[string][]measure{}}
	bare, err := startBare(s.dir, benchKeys)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.kill()) }()
	if r.disk, err = newRawDisk(s.dir, 6); err != nil {
		return err
	}
	defer r.disk.close()
	r.tarn = s.target
	r.bare = &target{name: "bare", child: bare, keys: benchKeys, ring: bareRing}
	if err := r.fill(); err != nil {
		return err
	}
	for n := range o.rounds {
		if err := r.round(n + 1); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "\n%s\n", r.table())
	return err
}

// bareRing keeps what the bare server holds in memory within bounds.
func bareRing(job string) int64 {
	if job == putLarge4 {
		return 2 * bodyKinds
	}
	return 16 << 10
}
