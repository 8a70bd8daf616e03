package drive

import "testing"

func TestOnlyWhatIsReadAgainSoonIsWarm(t *testing.T) {
	var w warmth
	p := func(i int) place { return place{extent: 1, sector: uint32(i)} }
	if w.again(p(0)) {
		t.Error("the first read of a record is taken for a second one")
	}
	if !w.again(p(0)) {
		t.Error("the second read is not known as one")
	}
	for i := range warmthRecords {
		w.again(p(1 + i))
	}
	if !w.again(p(0)) {
		t.Error("a turn later it is forgotten")
	}
	for i := range 2*warmthRecords + 1 {
		w.again(p(100_000 + i))
	}
	if w.again(p(0)) {
		t.Error("two turns later it is still known")
	}
	if n := len(w.latest) + len(w.before); n > 2*warmthRecords {
		t.Errorf("%d records are kept", n)
	}
}
