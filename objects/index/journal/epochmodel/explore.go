package epochmodel

import "slices"

// Flaw is a rule that is left out.
type Flaw uint8

// The flaws.
const (
	None                    Flaw = iota
	NoReservation                // a number is taken without being reserved in the roots
	NoResave                     // an epoch is gone on with although one root only may name it
	NoRewrite                    // ... although its last entry may be unsynced or on one drive only
	ResumedAlways                // ... although a drive of it is missing or behind
	AcknowledgedBeforeNamed      // a batch is answered when it is copied, before the roots name its epoch
	NamedBeforeCopied            // the roots name an epoch before its drives have the log
	ResumedThoughReserved        // an epoch is gone on with although a later number is reserved
)

// Bounds of what is explored.
type Bounds struct {
	Entries  uint8 // submitted in all, at most 3
	Failures uint8 // drives vanishing, wiped, or too slow
	Crashes  uint8 // kills and power cuts
	Flaw     Flaw
}

// Report of an exploration. It ends at the first violation.
type Report struct {
	States    int      // that differ in more than the drives' names
	Violation string   // empty: none
	Trace     []string // the steps that led to it
}

// Explore walks through every state within the bounds, breadth first.
func Explore(b Bounds) Report {
	first := start()
	seen := map[key]struct{}{first.key(): {}}
	queue := []state{first}
	parents, steps := []int32{-1}, []string{""}
	var violation string
	at := int32(0)
	w := walk{bounds: b, broken: func(why string) { violation = why }}
	w.emit = func(step string, s state) {
		k := s.key()
		if _, known := seen[k]; known {
			return
		}
		seen[k] = struct{}{}
		queue, parents, steps = append(queue, s), append(parents, at), append(steps, step)
	}
	for ; violation == "" && int(at) < len(parents); at++ {
		s := queue[0]
		queue = queue[1:]
		w.from(s)
	}
	report := Report{States: len(seen), Violation: violation}
	if violation != "" {
		for i := at - 1; i > 0; i = parents[i] {
			report.Trace = append(report.Trace, steps[i])
		}
		slices.Reverse(report.Trace)
	}
	return report
}
