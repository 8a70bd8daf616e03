package index

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

func idOf(n uint64) (id RequestID) {
	binary.LittleEndian.PutUint64(id[3:], n)
	return id
}

// Beside a plain map: whatever is remembered is never denied, and little else is not.
func TestRecentNeverDeniesAnIDThatIsRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := state{logTime: 1000, requests: uint64(rapid.IntRange(0, 1).Draw(t, "remembered before"))}
		r, known, now := recentSince(before), map[uint64]int64{}, before.logTime
		forgotten := int64(0)
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch now += rapid.Int64Range(0, 50).Draw(t, "time"); rapid.IntRange(0, 3).Draw(t, "do") {
			case 0:
				forgotten = max(forgotten, now-100)
				r.forget(forgotten)
				for n, at := range known {
					if at <= forgotten {
						delete(known, n)
					}
				}
			case 1: // a spell is full
				if n := len(r.spells); n > 0 {
					r.spells[n-1].ids = spellIDs
				}
			default:
				r.add(idOf(uint64(step)), now)
				known[uint64(step)] = now
			}
			for n := range known {
				if r.lacks(idOf(n)) {
					t.Fatalf("id %d of time %d is denied", n, known[n])
				}
			}
			if denies := r.lacks(idOf(1 << 40)); denies != (before.requests == 0 || forgotten >= before.logTime) {
				t.Fatalf("an id that nobody used is denied: %v; forgotten is all until %d", denies, forgotten)
			}
		}
	})
}

func TestRecentLooksForFewInVain(t *testing.T) {
	r := recentSince(state{})
	for n := range uint64(spellIDs) {
		r.add(idOf(n), 1)
	}
	vain := 0
	for n := range uint64(100_000) {
		if !r.lacks(idOf(spellIDs + n)) {
			vain++
		}
	}
	if len(r.spells) != 1 || vain > 400 {
		t.Errorf("%d filters, %d of 100,000 ids looked for in vain", len(r.spells), vain)
	}
}

// A view that is opened again remembers what it did before.
func TestAViewOpenedAgainDeniesNothingItRemembers(t *testing.T) {
	o := MachineOptions{FS: vfs.NewMem(), Dir: "view", Identity: [16]byte{0xee}, CacheBytes: 1 << 20}
	m, err := OpenMachine(o)
	if err != nil {
		t.Fatal(err)
	}
	applyOne(t, m, entryAt(t, 1, time.Hour, putTxn(1, "a")))
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if m, err = OpenMachine(o); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	applyOne(t, m, entryAt(t, 2, time.Hour+time.Minute, putTxn(2, "b")))
	for n, id := range []byte{1, 2} {
		if !applyOne(t, m, entryAt(t, uint64(3+n), time.Hour+time.Minute, putTxn(id, "a"))).Result.Repeated {
			t.Errorf("request %d is not known", id)
		}
	}
}
