package durability_test

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/tarnlake/tarn/objects/durability"
)

// plan is a store with faults that come much faster than real ones. Times are years.
type plan struct {
	name      string
	k, m      int
	drives    int
	onDevice  int // drives of one device; 1: each its own
	drive     float64
	latent    float64 // a shard and year
	device    float64
	audit     float64 // between two audits of one place, exactly
	repair    float64 // of a stripe, on average; it depends on its place in the queue
	stripes   int
	lossesMin int // so that the comparison means something
}

// simulated is a store that is lived through, event by event: drives that fail with
// all that is on them, sectors that rot, a scrubber that comes round, and a rebuild
// that works through its queue. It shares nothing with the chain.
type simulated struct {
	plan
	r       *rand.Rand
	on      [][]int     // shards of stripes: drive
	phase   [][]float64 // when in its round the scrubber reaches a shard
	visible [][]bool
	latent  [][]bool
	queued  []bool
	events  events
	losses  int
}

type event struct {
	at            float64
	kind          int
	stripe, which int
}

const (
	driveFails = iota
	deviceFails
	shardRots
	scrubbed
	repaired
)

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func (s *simulated) later(now, rate float64, e event) {
	if rate > 0 {
		e.at = now + s.r.ExpFloat64()/rate
		heap.Push(&s.events, e)
	}
}

func simulate(p plan, years float64, seed uint64) *simulated {
	s := &simulated{plan: p, r: rand.New(rand.NewPCG(seed, 7)), queued: make([]bool, p.stripes)}
	n := p.k + p.m
	for i := range p.stripes {
		s.on = append(s.on, s.place(n))
		s.visible, s.latent = append(s.visible, make([]bool, n)), append(s.latent, make([]bool, n))
		phases := make([]float64, n)
		for j := range phases {
			phases[j] = s.r.Float64() * p.audit
			s.later(0, p.latent, event{kind: shardRots, stripe: i, which: j})
		}
		s.phase = append(s.phase, phases)
	}
	for d := range p.drives {
		s.later(0, p.drive, event{kind: driveFails, which: d})
	}
	for d := range p.drives / p.onDevice {
		s.later(0, p.device, event{kind: deviceFails, which: d})
	}
	for len(s.events) > 0 {
		e := heap.Pop(&s.events).(event)
		if e.at > years {
			break
		}
		s.happens(e)
	}
	return s
}

// place takes two drives of each device where two lie on one, else any.
func (s *simulated) place(n int) []int {
	if s.onDevice == 1 {
		return s.r.Perm(s.drives)[:n]
	}
	var out []int
	for _, device := range s.r.Perm(s.drives / s.onDevice) {
		for _, d := range s.r.Perm(s.onDevice)[:2] {
			if len(out) < n {
				out = append(out, device*s.onDevice+d)
			}
		}
	}
	return out
}

func (s *simulated) happens(e event) {
	switch e.kind {
	case driveFails:
		s.lose(e.at, e.which, e.which+1)
		s.later(e.at, s.drive, e)
	case deviceFails:
		s.lose(e.at, e.which*s.onDevice, (e.which+1)*s.onDevice)
		s.later(e.at, s.device, e)
	case shardRots:
		s.rot(e)
	case scrubbed:
		if s.latent[e.stripe][e.which] {
			s.latent[e.stripe][e.which], s.visible[e.stripe][e.which] = false, true
			s.queue(e.at, e.stripe)
		}
	case repaired:
		s.queued[e.stripe] = false
		for j := range s.visible[e.stripe] {
			s.visible[e.stripe][j] = false
		}
	}
}

// lose takes every shard on some drives; the drives are replaced by empty ones.
func (s *simulated) lose(at float64, from, to int) {
	for i, drives := range s.on {
		hit := false
		for j, d := range drives {
			if d >= from && d < to {
				s.visible[i][j], s.latent[i][j], hit = true, false, true
			}
		}
		if hit && !s.dead(i) {
			s.queue(at, i)
		}
	}
}

func (s *simulated) rot(e event) {
	s.later(e.at, s.plan.latent, e)
	if s.visible[e.stripe][e.which] || s.latent[e.stripe][e.which] {
		return
	}
	s.latent[e.stripe][e.which] = true
	if s.dead(e.stripe) {
		return
	}
	next := math.Ceil((e.at-s.phase[e.stripe][e.which])/s.audit)*s.audit + s.phase[e.stripe][e.which]
	heap.Push(&s.events, event{at: next, kind: scrubbed, stripe: e.stripe, which: e.which})
}

// queue has a stripe repaired. Where in the queue it stands is chance.
func (s *simulated) queue(at float64, stripe int) {
	if !s.queued[stripe] {
		s.queued[stripe] = true
		heap.Push(&s.events, event{at: at + 2*s.repair*s.r.Float64(), kind: repaired, stripe: stripe})
	}
}

// dead counts a loss, and puts a new stripe in the place.
func (s *simulated) dead(i int) bool {
	bad := 0
	for j := range s.visible[i] {
		if s.visible[i][j] || s.latent[i][j] {
			bad++
		}
	}
	if bad <= s.m {
		return false
	}
	s.losses++
	for j := range s.visible[i] {
		s.visible[i][j], s.latent[i][j] = false, false
	}
	return true
}

var plans = []plan{
	{name: "drives fail", k: 4, m: 2, drives: 12, onDevice: 1, drive: 1, audit: 0.05, repair: 0.01, stripes: 500, lossesMin: 100},
	{name: "drives fail, three parities", k: 6, m: 3, drives: 14, onDevice: 1, drive: 3, audit: 0.05, repair: 0.02, stripes: 500, lossesMin: 50},
	{name: "sectors rot", k: 4, m: 2, drives: 12, onDevice: 1, latent: 0.4, audit: 0.2, repair: 0.005, stripes: 500, lossesMin: 100},
	{name: "both", k: 4, m: 2, drives: 9, onDevice: 1, drive: 1, latent: 0.3, audit: 0.1, repair: 0.01, stripes: 400, lossesMin: 100},
	{name: "devices with two shards each", k: 4, m: 2, drives: 12, onDevice: 4, drive: 0.3, device: 0.4, latent: 0.05, audit: 0.1, repair: 0.01, stripes: 500, lossesMin: 100},
}

// The chain predicts what the simulation lives through, within a factor of two.
func TestPredictedLossAgreesWithSimulatedLoss(t *testing.T) {
	long := 200.0
	if os.Getenv("TARN_SOAK") != "" {
		long *= 20
	}
	for _, p := range plans {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			rates := durability.Rates{K: p.k, M: p.m, Drive: p.drive, Latent: p.latent, Detect: 2 / p.audit, Repair: 1 / p.repair, OnDevice: 1}
			if p.onDevice > 1 {
				rates.Device, rates.OnDevice = p.device, 2
			}
			predicted := 1 / rates.LossYears()
			const seed = 11
			s := simulate(p, long, seed)
			lived := float64(s.losses) / long / float64(p.stripes)
			told := fmt.Sprintf("seed %d: predicted %.3g, lived through %.3g a stripe and year (%d losses)", seed, predicted, lived, s.losses)
			if s.losses < p.lossesMin {
				t.Fatal("too few losses to compare: " + told)
			}
			if ratio := predicted / lived; ratio < 0.5 || ratio > 2 {
				t.Error(told)
			}
			t.Log(told)
		})
	}
}
