package filter

import (
	"math/rand/v2"
	"testing"
)

func TestASetTellsOfEveryRangeWhetherItHasRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows = 300
	s, has := NewSet(rows), make([]bool, rows)
	for range 12 {
		row := rng.IntN(rows)
		s.Add(row)
		has[row] = true
	}
	for first := range rows {
		n := 0
		for end := first; ; end++ {
			if s.Any(first, end) != (n > 0) || s.Count(first, end) != n {
				t.Fatalf("rows %d to %d: any %v, %d, want %d", first, end, s.Any(first, end), s.Count(first, end), n)
			}
			if end == rows {
				break
			}
			if has[end] {
				n++
			}
		}
	}
}
