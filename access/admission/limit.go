package admission

import (
	"math"
	"time"
)

// limit is how many units may be at work at once. It follows the gradient of
// the time that work takes: at the end of each window the mean time of every
// class is held against its long-term time; while the one is less than
// tolerance times the other the limit grows by its square root, else it
// shrinks in proportion. (The gradient algorithm of Netflix's
// concurrency-limits, 2018; by class here, for a query and a put differ.)
//
// A class may also turn to work that is slower by nature, from heads to queries. That is not
// overload: where requests are in each other's way they take half the time when half as
// many are at work, and more when there are more. Once the number at work has changed
// much and the time has not, that time becomes the long-term one.
type limit struct {
	value       float64
	least, most float64

	began  time.Time // of the window
	peak   int       // units at work at once in the window
	recent [classes]mean
	long   [classes]float64 // seconds a unit takes in the long run
	slow   [classes]slowness
}

// slowness is how many units were at work when a class was found slow, and how slow it
// was at most while they were about as many.
type slowness struct{ peak, took float64 }

type mean struct {
	sum float64
	n   int
}

const (
	windowLeast   = 100 * time.Millisecond
	windowSamples = 20
	// tolerance is wide because group commit and batched reads carry more the
	// more wait for them: a little queueing is what they live on.
	tolerance = 4
	smoothing = 0.2
	longFall  = 0.1   // of the difference, a window in which work was faster
	longRise  = 0.001 // and in which it was slower: overload must not become the norm
	// Where half as many are at work, work that waits for other work takes half as long,
	// and some for what lags behind; where muchMore are, it takes as much longer.
	comesDown = 0.75
	muchMore  = 1.6
	goesUp    = 1.2
)

// observe takes in the time that one request's work took.
func (l *limit) observe(class Class, units int, took time.Duration, now time.Time) {
	r := &l.recent[class]
	r.sum += took.Seconds() / float64(units)
	r.n++
	if l.began.IsZero() {
		l.began = now
	}
	if now.Sub(l.began) >= windowLeast && l.samples() >= windowSamples {
		l.turn(now)
	}
}

func (l *limit) samples() (n int) {
	for i := range l.recent {
		n += l.recent[i].n
	}
	return n
}

// turn ends a window.
func (l *limit) turn(now time.Time) {
	gradient := l.gradient()
	next := l.value*gradient + math.Sqrt(l.value)
	if used := float64(l.peak) >= l.value/2; !used && next > l.value {
		next = l.value // nobody knows what more would do
	}
	l.value += smoothing * (next - l.value)
	l.value = min(max(l.value, l.least), l.most)
	l.began, l.peak, l.recent = now, 0, [classes]mean{}
}

// gradient is 1 where work is as fast as it was, down to a half where it is not.
func (l *limit) gradient() float64 {
	sum, n := 0.0, 0
	for class := range l.recent {
		r := l.recent[class]
		if r.n == 0 {
			continue
		}
		now := max(r.sum/float64(r.n), 1e-6)
		long := l.remember(class, now)
		if tolerance*long < now {
			long = l.doubt(class, now)
		} else {
			l.slow[class] = slowness{}
		}
		sum += float64(r.n) * min(max(tolerance*long/now, 0.5), 1)
		n += r.n
	}
	return sum / float64(n)
}

// remember moves the long-term time of a class, and gives it.
func (l *limit) remember(class int, now float64) float64 {
	long := &l.long[class]
	switch {
	case *long == 0:
		*long = now
	case now < *long:
		*long += longFall * (now - *long)
	default:
		*long += longRise * (now - *long)
	}
	return *long
}

// doubt asks whether it is other work that a slow class waits for, and gives its
// long-term time.
func (l *limit) doubt(class int, now float64) float64 {
	slow, peak := &l.slow[class], float64(l.peak)
	fewer, more := peak <= slow.peak/2, peak >= slow.peak*muchMore
	switch {
	case slow.peak > 0 && (fewer && now > comesDown*slow.took || more && now < goesUp*slow.took):
		l.long[class], *slow = now, slowness{}
	case slow.peak == 0 || fewer || more:
		*slow = slowness{peak, now}
	default:
		slow.took = max(slow.took, now)
	}
	return l.long[class]
}
