package objects

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTheHedgeFollowsWhatMostReadsTakeAndNotTheSlowOnes(t *testing.T) {
	const most = 100 * time.Millisecond
	var p hedging
	if p.after(most) != most {
		t.Error("nothing was measured, and it does not wait the longest")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		took := time.Duration(float64(time.Millisecond) * (0.5 + r.Float64())) // three quarters within 1.25 ms
		if r.IntN(6) == 0 {
			took = time.Second // one drive of six hangs
		}
		p.note(took)
	}
	if h := p.after(most); h < 8*time.Millisecond || h > 14*time.Millisecond {
		t.Errorf("hedged after %v", h)
	}
	for range 2000 {
		p.note(10 * time.Microsecond)
	}
	if h := p.after(most); h != most/hedgePart {
		t.Errorf("all is fast, hedged after %v", h)
	}
	for range 2000 {
		p.note(time.Second)
	}
	if h := p.after(most); h != most {
		t.Errorf("all is slow, hedged after %v", h)
	}
}
