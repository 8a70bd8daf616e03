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
type limit struct {
	value       float64
	least, most float64

	began  time.Time // of the window
	peak   int       // units at work at once in the window
	recent [classes]mean
	long   [classes]float64 // seconds a unit takes in the long run
}

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
		sum += float64(r.n) * min(max(tolerance*l.remember(class, now)/now, 0.5), 1)
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
