package objects

import (
	"sync/atomic"
	"time"
)

// Reads that take longer than so many times what three quarters of them take are
// hedged, yet none sooner than this part of Options.HedgeDelay.
const (
	hedgeFactor = 8
	hedgePart   = 20
)

// hedging estimates what drives take for a read: the time that three quarters of the
// reads keep to, by small steps up and down ("frugal streaming", Ma, Muthukrishnan
// and Sandler, 2013). A single drive of six that has become slow does not move it,
// however slow it is.
type hedging struct{ estimate atomic.Int64 } // ns; 0: nothing was measured

// note takes one reading. Of two at the same time one may be lost.
func (p *hedging) note(took time.Duration) {
	if took <= 0 {
		return
	}
	e := p.estimate.Load()
	switch {
	case e == 0:
		e = int64(took)
	case int64(took) > e:
		e += max(e*3/64, 1)
	default:
		e -= e / 64
	}
	p.estimate.Store(e)
}

// after is when to ask other drives too, where most is the latest.
func (p *hedging) after(most time.Duration) time.Duration {
	e := p.estimate.Load()
	if e == 0 {
		return most
	}
	return min(max(time.Duration(e)*hedgeFactor, most/hedgePart), most)
}
