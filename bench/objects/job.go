package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// target is a server under load.
type target struct {
	name string
	*child
	keys credentials
	ring func(kind string) int64 // objects of a kind after which puts begin anew; 0: never
}

// store is a `tarn serve` of its own folders, with the bucket in it.
type store struct {
	*target
	binary, dir string
}

// startStore serves an empty store in the folder of a part.
func (o options) startStore(part string) (*store, error) {
	dir, err := o.folder(part)
	if err != nil {
		return nil, err
	}
	s := &store{binary: o.binary, dir: dir}
	if err := s.restart(); err != nil {
		return nil, err
	}
	c, err := s.connect()
	if err == nil {
		err = c.makeBucket()
		c.close()
	}
	if err != nil {
		return nil, errors.Join(err, s.kill())
	}
	return s, nil
}

// restart serves the folders that are there.
func (s *store) restart() error {
	c, err := startTarn(s.binary, s.dir, benchKeys)
	if err == nil {
		s.target = &target{name: "tarn", child: c, keys: benchKeys, ring: func(string) int64 { return 0 }}
	}
	return err
}

func (s *store) data() string { return filepath.Join(s.dir, "tarn-data") }

func (t *target) connect() (*connection, error) { return dial(t.address, t.keys) }

// load runs step on so many connections.
func (t *target) load(clients int, span time.Duration, steps int64, step func(c *connection, i int64) error) load {
	return load{clients: clients, span: span, steps: steps, start: func() (func(int64) error, func(), error) {
		c, err := t.connect()
		if err != nil {
			return nil, nil, err
		}
		return func(i int64) error { return step(c, i) }, c.close, nil
	}}
}

// measure is what one job took of one target in one round.
type measure struct {
	perSecond float64 // steps; keys for listings
	p50, p99  time.Duration
	cpu       time.Duration // of the server, each step
	clientCPU time.Duration // of the bench, each step
	rss       int64
}

// measured runs a load and tells what it took.
func (t *target) measured(l load) (measure, error) {
	before, err := t.usage()
	if err != nil {
		return measure{}, err
	}
	own := ownCPU()
	took, err := l.run()
	if err != nil {
		return measure{}, fmt.Errorf("%s: %w", t.name, err)
	}
	own = ownCPU() - own
	after, err := t.usage()
	if err != nil {
		return measure{}, err
	}
	n := max(len(took.took), 1)
	return measure{
		perSecond: took.perSecond(), p50: took.quantile(0.5), p99: took.quantile(0.99), rss: after.rss,
		cpu: (after.cpu - before.cpu) / time.Duration(n), clientCPU: own / time.Duration(n),
	}, nil
}

// median of each figure by itself.
func median(all []measure) measure {
	of := func(f func(measure) float64) float64 {
		values := make([]float64, 0, len(all))
		for _, m := range all {
			values = append(values, f(m))
		}
		return middle(values)
	}
	return measure{
		perSecond: of(func(m measure) float64 { return m.perSecond }),
		p50:       time.Duration(of(func(m measure) float64 { return float64(m.p50) })),
		p99:       time.Duration(of(func(m measure) float64 { return float64(m.p99) })),
		cpu:       time.Duration(of(func(m measure) float64 { return float64(m.cpu) })),
		clientCPU: time.Duration(of(func(m measure) float64 { return float64(m.clientCPU) })),
		rss:       int64(of(func(m measure) float64 { return float64(m.rss) })),
	}
}

func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
