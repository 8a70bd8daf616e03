package vectors

import (
	"fmt"
	"testing"
)

func fill(t *testing.T, e *Engine, n int) {
	t.Helper()
	var batch []Vector
	for i := range n {
		batch = append(batch, Vector{Key: fmt.Sprint(i), Values: []float32{1, float32(i)}})
	}
	must(t, e.Put(background, bucket, "notes", batch))
}

// Repair puts a tail record again, with other addresses: the push is still one push.
func TestARepairedTailRecordIsNoNewPush(t *testing.T) {
	s := newMemoryStore(t, 1)
	e := openEngine(t, Options{Store: s})
	create(t, e, Spec{Name: "notes", Dimension: 2})
	fill(t, e, 200)
	if n := s.repair(t); n != 1 {
		t.Fatalf("%d values were moved, want the tail record", n)
	}
	for range 2 { // before and after the fold
		a := query(t, e, "notes", Request{Values: []float32{1, 0}, TopK: 1000})
		if len(a.Hits) != 200 {
			t.Errorf("%d hits for 200 vectors", len(a.Hits))
		}
		must(t, e.Flush(background))
	}
}

// TestMovedRowsAreReadWhereTheyAre: repair gives up the old places of a row file
// and of a segment between the moment when a read learns of them and the read itself.
func TestMovedRowsAreReadWhereTheyAre(t *testing.T) {
	for _, rows := range []func(Store) RowFiles{
		func(s Store) RowFiles { return nil }, // Parquet
		func(s Store) RowFiles { return ownRowFiles{s} },
	} {
		s := newMemoryStore(t, 1)
		e := openEngine(t, Options{Store: s, Rows: rows(s), Tuning: small, CacheBytes: 1})
		create(t, e, Spec{Name: "notes", Dimension: 2})
		fill(t, e, 200)
		must(t, e.Flush(background))
		for range 3 {
			moved := 0
			s.mu.Lock()
			s.beforeRead = func() { moved = s.repair(t) }
			s.mu.Unlock()
			got, err := e.Get(background, bucket, "notes", []string{"7", "150"}, true, false)
			if err != nil || len(got) != 2 || got[1].Values[1] != 150 {
				t.Fatalf("rows at other places: %v, %v", got, err)
			}
			if moved < 2 {
				t.Fatalf("%d values were moved, want a segment and a row file at least", moved)
			}
			if a := query(t, e, "notes", Request{Values: []float32{1, 0}, TopK: 1000, Exact: true}); len(a.Hits) != 200 {
				t.Fatalf("%d hits for 200 vectors", len(a.Hits))
			}
		}
	}
}
