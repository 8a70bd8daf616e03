package hosttest_test

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/tarnlake/tarn/host/hosttest"
)

type quiet struct{ t testing.TB }

func (q quiet) Infof(string, ...any)           {}
func (q quiet) Errorf(string, ...any)          {}
func (q quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func open(t testing.TB, d *hosttest.Disk) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("drive-1/view", &pebble.Options{FS: d, Logger: quiet{t}, MemTableSize: 16 << 10})
	must(t, err)
	return db
}

// images are crash clones taken before changing operations, each with the number
// of commits that were acknowledged by then.
type images struct {
	mu           sync.Mutex
	acknowledged int
	seen         int
	each         int
	taken        map[int][]*hosttest.Disk
}

func (im *images) take(d *hosttest.Disk) func(hosttest.Op) error {
	return func(op hosttest.Op) error {
		im.mu.Lock()
		defer im.mu.Unlock()
		if !op.Kind.Changes() {
			return nil
		}
		if im.seen++; im.seen%im.each == 0 {
			im.taken[im.acknowledged] = append(im.taken[im.acknowledged], d.CrashClone(int64(im.seen)))
		}
		return nil
	}
}

func (im *images) acknowledge(n int) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.acknowledged = n
}

func TestPebbleKeepsItsPromisesOnADisk(t *testing.T) {
	const commits = 120
	d := hosttest.NewDisk()
	im := &images{each: 3, taken: map[int][]*hosttest.Disk{}}
	db := open(t, d)
	d.SetFault(im.take(d))
	value := make([]byte, 1000)
	for i := range commits {
		binary.LittleEndian.PutUint64(value, uint64(i))
		must(t, db.Set(fmt.Appendf(nil, "key-%04d", i), value, pebble.Sync))
		im.acknowledge(i + 1)
	}
	must(t, db.Flush())
	must(t, db.Close())
	d.SetFault(nil)
	points := 0
	for n, disks := range im.taken {
		for _, image := range disks {
			points++
			holds(t, image, n)
		}
	}
	if t.Logf("%d crash points", points); points < commits/2 {
		t.Errorf("only %d crash points were taken", points)
	}
}

func holds(t testing.TB, d *hosttest.Disk, acknowledged int) {
	t.Helper()
	db := open(t, d)
	defer db.Close()
	for i := range acknowledged {
		v, closer, err := db.Get(fmt.Appendf(nil, "key-%04d", i))
		if err != nil || binary.LittleEndian.Uint64(v) != uint64(i) {
			t.Fatalf("commit %d of %d acknowledged: %v", i, acknowledged, err)
		}
		_ = closer.Close()
	}
}
