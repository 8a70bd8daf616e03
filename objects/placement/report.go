package placement

import (
	"fmt"
	"slices"
)

// Report says what failures every new stripe of k+m shards survives.
type Report struct {
	Drives  int // in the layout
	Well    int
	Data    int // k
	Parity  int // m
	Shards  int // of a stripe that find a drive now: k+m unless too few are well
	Spread  Level
	Domains [levels]Domains // by Level
}

// Domains of one level.
type Domains struct {
	Count     int // of domains with a well drive
	PerStripe int // shards of one stripe in the fullest of them
	Tolerated int // that may fail at once without loss
}

// Assess looks at a layout for stripes of k+m shards.
func (l Layout) Assess(k, m int) Report {
	w := l.well()
	n := min(k+m, len(w))
	spare := max(n-k, 0)
	r := Report{Drives: len(l), Well: len(w), Data: k, Parity: m, Shards: n, Spread: w.safe(n, spare)}
	for at := range levels {
		r.Domains[at] = w.domains(at, r.Spread, n, spare)
	}
	return r
}

// domains counts what a level tolerates at least. A domain holds no more than
// that of the level over which stripes are spread in which it lies; of a coarser
// one nothing better can be said than that it may hold as much as it has drives.
func (l Layout) domains(at, spread Level, n, spare int) Domains {
	sizes := l.sizes(at)
	d := Domains{Count: len(sizes)}
	var full []int
	limit := n
	if at >= spread {
		limit = l.most(spread, n)
	}
	for _, size := range sizes {
		full = append(full, min(size, limit))
	}
	slices.Sort(full)
	slices.Reverse(full)
	for i, shards := range full {
		if i == 0 {
			d.PerStripe = shards
		}
		if spare -= shards; spare < 0 {
			break
		}
		d.Tolerated++
	}
	return d
}

// String is the Report in a sentence.
func (r Report) String() string {
	if r.Well < r.Data {
		return fmt.Sprintf("%d of %d drives are well; %d are needed to read", r.Well, r.Drives, r.Data)
	}
	s := fmt.Sprintf("%d drives on %s", r.Well, plural(r.Domains[Device].Count, "device"))
	if at := r.Domains[Device]; at.Tolerated == 0 {
		return s + fmt.Sprintf(": the loss of one device is more than the parity covers; %s may be lost", plural(r.Domains[Folder].Tolerated, "drive"))
	}
	best := Device
	for at := Zone; at < Device; at++ {
		if r.Domains[at].Count > 1 && r.Domains[at].Tolerated > 0 {
			best = at
			break
		}
	}
	return s + fmt.Sprintf(": %s may be lost", plural(r.Domains[best].Tolerated, best.String()))
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
