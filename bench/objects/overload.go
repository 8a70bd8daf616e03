package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	overloadConnections = 1024
	overloadTimes       = 5                // as many requests as the server can answer
	overloadCalm        = 0.5              // of that, before and after
	overloadSpan        = 10 * time.Second // each of overload and calm
	overloadPatience    = time.Second      // an answer is of use to its client for so long
	overloadTick        = 5 * time.Millisecond
)

// runOverload offers puts at a rate that does not depend on the answers: five times
// what the server can do, and then half of it. It tells how many were answered in
// time, and how long after the overload none was refused or late any more.
func runOverload(out io.Writer, o options) (err error) {
	s, err := o.startStore("overload")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	v := &overload{t: s.target, bodies: newBodies(small, 8), arrivals: make(chan time.Time, overloadConnections)}
	peak, err := s.measured(s.load(64, overloadSpan/2, 0, v.put))
	if err != nil {
		return err
	}
	var calls sync.WaitGroup
	for range overloadConnections {
		calls.Go(v.client)
	}
	_ = v.offer(peak.perSecond*overloadCalm, overloadSpan/4)
	many := v.offer(peak.perSecond*overloadTimes, overloadSpan)
	ended := time.Now()
	calm := v.offer(peak.perSecond*overloadCalm, overloadSpan)
	close(v.arrivals)
	calls.Wait()
	recovery := max(time.Unix(0, v.trouble.Load()).Sub(ended), 0)
	_, err = fmt.Fprintf(out, "| PUT 4 KiB, open loop, %d connections | offered /s | answered in time /s | refused /s | late or broken /s |\n|---|---|---|---|---|\n| 64 clients, closed loop | | %.0f | | |\n| %d × that | %s |\n| %.1f × that, after it | %s |\n\ngoodput at overload %.0f %% of the peak; last refused or late request %v after it\n\n",
		overloadConnections, peak.perSecond, overloadTimes, many, overloadCalm, calm, 100*many.good/peak.perSecond, recovery.Round(time.Millisecond))
	return err
}

// overload is the state that all its clients share.
type overload struct {
	t        *target
	bodies   *bodies
	arrivals chan time.Time // when each request is due; full where all connections are busy
	next     atomic.Int64

	good, refused, late atomic.Int64
	trouble             atomic.Int64 // Unix ns: when the last request that was not good ended
}

// rates of the requests of one phase, each second.
type rates struct{ offered, good, refused, late float64 }

func (r rates) String() string {
	return fmt.Sprintf("%.0f | %.0f | %.0f | %.0f", r.offered, r.good, r.refused, r.late)
}

func (v *overload) put(c *connection, _ int64) error {
	i := v.next.Add(1)
	return c.putObject(path("overload/", i), v.bodies, i)
}

// offer makes so many requests due each second.
func (v *overload) offer(perSecond float64, span time.Duration) rates {
	good, refused, late := v.good.Load(), v.refused.Load(), v.late.Load()
	tick := time.NewTicker(overloadTick)
	defer tick.Stop()
	began, offered := time.Now(), 0
	for now := range tick.C {
		passed := min(now.Sub(began), span)
		for ; float64(offered) < perSecond*passed.Seconds(); offered++ {
			select {
			case v.arrivals <- now:
			default: // its client waits for a connection, and gives up
				v.fail(&v.late)
			}
		}
		if passed == span {
			break
		}
	}
	of := func(n int64) float64 { return float64(n) / span.Seconds() }
	return rates{of(int64(offered)), of(v.good.Load() - good), of(v.refused.Load() - refused), of(v.late.Load() - late)}
}

func (v *overload) fail(kind *atomic.Int64) {
	kind.Add(1)
	v.trouble.Store(time.Now().UnixNano())
}

// client makes the requests that are due, one at a time.
func (v *overload) client() {
	var c *connection
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for due := range v.arrivals {
		if time.Since(due) > overloadPatience {
			v.fail(&v.late)
			continue
		}
		if c == nil {
			var err error
			if c, err = v.t.connect(); err != nil {
				v.fail(&v.late)
				continue
			}
		}
		status, err := v.request(c)
		switch {
		case err != nil:
			c.close()
			c = nil
			v.fail(&v.late)
		case status == 503:
			v.fail(&v.refused)
		case status != 200 || time.Since(due) > overloadPatience:
			v.fail(&v.late)
		default:
			v.good.Add(1)
		}
	}
}

func (v *overload) request(c *connection) (status int, err error) {
	i := v.next.Add(1)
	a, err := c.do("PUT", path("overload/", i), "", v.bodies.of[i%bodyKinds])
	if err != nil {
		return 0, err
	}
	return a.status, nil
}
