package durability

import "math"

// Rates drive the chain of one stripe. All are per year.
type Rates struct {
	K, M     int
	Drive    float64 // a given drive is lost
	Latent   float64 // a given shard goes bad without anybody's noticing
	Detect   float64 // a given bad shard is noticed: 1 ÷ the mean time until the audit comes
	Repair   float64 // a stripe that is known to be damaged is made whole
	Device   float64 // a given device is lost, and every shard on it
	OnDevice int     // shards of a stripe that lie on one device; 1: a device is a drive, and Device is not used
	Node     float64 // everything is lost at once
}

// chain is the absorbing Markov chain over (visible, latent) bad shards.
type chain struct {
	r    Rates
	rate [][]float64 // from state to state; the last one is the loss
}

// state numbers (v, l) with v+l ≤ m; beyond is the loss.
func (c *chain) state(v, l int) int {
	if v+l > c.r.M {
		return c.states() - 1
	}
	n := v + l
	return n*(n+1)/2 + l
}

func (c *chain) states() int { return (c.r.M+1)*(c.r.M+2)/2 + 1 }

func newChain(r Rates) *chain {
	c := &chain{r: r}
	c.rate = make([][]float64, c.states())
	for i := range c.rate {
		c.rate[i] = make([]float64, c.states())
	}
	for v := 0; v <= r.M; v++ {
		for l := 0; v+l <= r.M; l++ {
			c.leave(v, l)
		}
	}
	return c
}

// leave sets the rates out of a state.
func (c *chain) leave(v, l int) {
	r, from := &c.r, c.state(v, l)
	good := float64(r.K + r.M - v - l)
	add := func(v, l int, rate float64) {
		if to := c.state(v, l); to != from {
			c.rate[from][to] += rate
		}
	}
	add(v+1, l, good*r.Drive)
	add(v, l+1, good*r.Latent)
	if l > 0 {
		add(v+1, l-1, float64(l)*(r.Detect+r.Drive))
	}
	if v > 0 {
		add(0, l, r.Repair)
	}
	if r.OnDevice > 1 { // each of the stripe's devices may take as many good shards as lie on it
		add(v+r.OnDevice, l, good/float64(r.OnDevice)*r.Device)
	}
	add(r.M+1, 0, r.Node)
}

// lossYears is the mean time from (0, 0) to the loss, by eliminating one state after
// the other (Grassmann, Taksar and Heyman, 1985): nothing is ever subtracted, so that
// probabilities of 1e-30 come out with all their digits.
func (c *chain) lossYears() float64 {
	n := c.states() - 1 // without the loss
	stay := make([]float64, n)
	for i := range stay {
		stay[i] = 1 // weight of the time spent there
	}
	for last := n - 1; last > 0; last-- {
		out := 0.0
		for j, rate := range c.rate[last] {
			if j < last || j == n {
				out += rate
			}
		}
		if out == 0 {
			return math.Inf(1)
		}
		for i := range last {
			through := c.rate[i][last] / out
			if through == 0 {
				continue
			}
			stay[i] += through * stay[last]
			for j := range last {
				if j != i {
					c.rate[i][j] += through * c.rate[last][j]
				}
			}
			c.rate[i][n] += through * c.rate[last][n]
		}
	}
	if c.rate[0][n] == 0 {
		return math.Inf(1)
	}
	return stay[0] / c.rate[0][n]
}

// LossYears is the mean time until a stripe is lost, in years.
func (r Rates) LossYears() float64 { return newChain(r).lossYears() }

// LossInYear is the probability that a given stripe is lost within a year.
func (r Rates) LossInYear() float64 { return -math.Expm1(-1 / r.LossYears()) }

// Nines of a probability of loss: 1e-11 has 11.
func Nines(loss float64) float64 {
	if loss <= 0 {
		return ninesMost
	}
	return min(max(-math.Log10(loss), 0), ninesMost)
}

// ninesMost: beyond it other causes rule, and the figure says nothing.
const ninesMost = 30
