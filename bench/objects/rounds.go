package main

import (
	"fmt"
	"io"
	"time"
)

const (
	small = 4 << 10
	large = 10 << 20
)

// Names of the jobs, in the order in which a round does them.
const (
	putSmall16 = "PUT 4 KiB × 16"
	putSmall64 = "PUT 4 KiB × 64"
	getSmall16 = "GET 4 KiB × 16"
	putLarge4  = "PUT 10 MiB × 4"
	getFirst4  = "GET 10 MiB × 4, once"
	getLarge4  = "GET 10 MiB × 4, again"
	list       = "LIST × 2"
	delete16   = "DELETE × 16"
)

var jobNames = []string{putSmall16, putSmall64, getSmall16, putLarge4, getFirst4, getLarge4, list, delete16}

// rounds measure the jobs on all targets in turn.
type rounds struct {
	o      options
	out    io.Writer
	tarn   *target
	bare   *target
	disk   *rawDisk
	small  *bodies
	large  *bodies
	listed int64
	seen   map[string]map[string][]measure // by job and target
}

func (r *rounds) note(job, target string, m measure) {
	if r.seen[job] == nil {
		r.seen[job] = map[string][]measure{}
	}
	r.seen[job][target] = append(r.seen[job][target], m)
	fmt.Fprintf(r.out, "  %-21s %-5s %9.0f/s  p50 %8v  p99 %8v  server %7v  client %7v\n", job, target, m.perSecond,
		m.p50.Round(time.Microsecond), m.p99.Round(time.Microsecond), m.cpu.Round(time.Microsecond), m.clientCPU.Round(time.Microsecond))
}

// fill puts the keys that are listed.
func (r *rounds) fill() error {
	if !r.o.does(list) {
		return nil
	}
	tiny := newBodies(64, 3)
	l := r.tarn.load(64, 0, r.listed, func(c *connection, i int64) error { return c.putObject(path("listed/", i), tiny, i) })
	_, err := l.run()
	return err
}

// round does every job once.
func (r *rounds) round(n int) error {
	fmt.Fprintf(r.out, "round %d\n", n)
	tags := map[string]int64{} // how many objects each job put
	for _, job := range jobNames {
		if !r.o.does(job) {
			continue
		}
		if err := r.job(job, n, tags); err != nil {
			return fmt.Errorf("%s: %w", job, err)
		}
	}
	return nil
}

func (r *rounds) job(job string, n int, tags map[string]int64) error {
	switch job {
	case putSmall16:
		return r.puts(job, n, 16, r.small, tags)
	case putSmall64:
		return r.puts(job, n, 64, r.small, tags)
	case getSmall16:
		return r.gets(job, putSmall16, n, 16, r.small, tags)
	case putLarge4:
		return r.puts(job, n, 4, r.large, tags)
	case getFirst4:
		return r.once(job, putLarge4, n, 4, r.large, tags)
	case getLarge4:
		return r.gets(job, putLarge4, n, 4, r.large, tags)
	case list:
		return r.lists(job)
	}
	return r.deletes(job, n, tags)
}

// prefix of what a job puts in a round.
func prefix(job string, n int) string {
	return map[string]string{putSmall16: "a", putSmall64: "b", putLarge4: "c"}[job] + fmt.Sprintf("%03d/", n)
}

// puts measures the two servers, and then the disk with the same bytes.
func (r *rounds) puts(job string, n, clients int, b *bodies, tags map[string]int64) error {
	for _, t := range []*target{r.bare, r.tarn} {
		under := prefix(job, n)
		ring := t.ring(job)
		l := t.load(clients, r.o.span, 0, func(c *connection, i int64) error {
			if ring > 0 {
				i %= ring
			}
			return c.putObject(path(under, i), b, i)
		})
		m, err := t.measured(l)
		if err != nil {
			return err
		}
		r.note(job, t.name, m)
		tags[job+t.name] = r.present(t, job, m)
	}
	return r.diskPuts(job, clients, b.size())
}

// present is how many objects a job left: at least those that it was seen to put.
func (r *rounds) present(t *target, job string, m measure) int64 {
	put := int64(m.perSecond * r.o.span.Seconds() * 0.98)
	if ring := t.ring(job); ring > 0 {
		put = min(put, ring)
	}
	return max(put, 1)
}

func (r *rounds) diskPuts(job string, clients, size int) error {
	parts := diskParts(size)
	l := load{clients: clients, span: r.o.span, start: func() (func(int64) error, func(), error) {
		done := make(chan error, len(parts))
		return func(int64) error { return r.disk.put(parts, done) }, func() {}, nil
	}}
	own := ownCPU()
	took, err := l.run()
	if err != nil {
		return err
	}
	n := time.Duration(max(len(took.took), 1))
	r.note(job, "disk", measure{perSecond: took.perSecond(), p50: took.quantile(0.5), p99: took.quantile(0.99), cpu: (ownCPU() - own) / n})
	return nil
}

// diskParts are what the store writes for one object at 4+2: whole copies on
// three drives of a small one, six shards of a large one.
func diskParts(size int) [][]byte {
	if size <= 128<<10 {
		p := make([]byte, size)
		return [][]byte{p, p, p}
	}
	p := make([]byte, (size+3)/4)
	return [][]byte{p, p, p, p, p, p}
}

// gets reads what is there for a span, again and again.
func (r *rounds) gets(job, from string, n, clients int, b *bodies, tags map[string]int64) error {
	for _, t := range []*target{r.bare, r.tarn} {
		get, there, err := r.reading(t, from, n, b, tags)
		if err != nil {
			return err
		}
		m, err := t.measured(t.load(clients, r.o.span, 0, func(c *connection, i int64) error { return get(c, i*7919%there) }))
		if err != nil {
			return err
		}
		r.note(job, t.name, m)
	}
	return nil
}

// once reads each object once; and then once more, unmeasured, so that the next job finds in
// memory what is kept there.
func (r *rounds) once(job, from string, n, clients int, b *bodies, tags map[string]int64) error {
	for _, t := range []*target{r.bare, r.tarn} {
		get, there, err := r.reading(t, from, n, b, tags)
		if err != nil {
			return err
		}
		m, err := t.measured(t.load(clients, 0, there, get))
		if err != nil {
			return err
		}
		r.note(job, t.name, m)
		if _, err := t.load(clients, 0, there, get).run(); err != nil {
			return err
		}
	}
	return nil
}

// reading gives a read of the ith object that a job put, and how many there are.
func (r *rounds) reading(t *target, from string, n int, b *bodies, tags map[string]int64) (func(c *connection, i int64) error, int64, error) {
	under, there := prefix(from, n), tags[from+t.name]
	if there == 0 {
		return nil, 0, fmt.Errorf("nothing was put: -jobs must name %q too", from)
	}
	return func(c *connection, i int64) error { return c.getObject(path(under, i), b, i) }, there, nil
}

func (r *rounds) lists(job string) error {
	l := load{clients: 2, span: r.o.span, start: func() (func(int64) error, func(), error) {
		c, err := r.tarn.connect()
		if err != nil {
			return nil, nil, err
		}
		walk := &listing{prefix: "listed%2F", want: int(r.listed)}
		return func(int64) error { return walk.page(c) }, c.close, nil
	}}
	m, err := r.tarn.measured(l)
	if err != nil {
		return err
	}
	m.perSecond *= float64(min(r.listed, 1000)) // keys; the last page of a walk is as full where the number is round
	r.note(job, r.tarn.name, m)
	return nil
}

func (r *rounds) deletes(job string, n int, tags map[string]int64) error {
	from := putSmall64
	if tags[from+r.tarn.name] == 0 {
		from = putSmall16
	}
	under, there := prefix(from, n), tags[from+r.tarn.name]
	if there == 0 {
		return fmt.Errorf("nothing was put: -jobs must name %q too", from)
	}
	m, err := r.tarn.measured(r.tarn.load(16, 0, there, func(c *connection, i int64) error { return c.deleteObject(path(under, i)) }))
	if err != nil {
		return err
	}
	r.note(job, r.tarn.name, m)
	return nil
}
