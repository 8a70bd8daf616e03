package index

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
)

// viewOnDisk is a view of which some tables were flushed, one after another, closed in good order.
func viewOnDisk(t *testing.T, disk *hosttest.Disk) (o MachineOptions, keys int) {
	t.Helper()
	o = MachineOptions{FS: disk, Dir: "view", Identity: [16]byte{0xee}, CacheBytes: 1 << 20}
	m, err := OpenMachine(o)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(40) {
		applyOne(t, m, entryAt(t, n+1, time.Duration(n), putTxn(byte(n+1), fmt.Sprintf("key%03d", n))))
		if n%10 == 9 {
			if err := m.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	applyOne(t, m, entryAt(t, 41, 41, putTxn(41, "key040")))
	if err := m.Flush(); err != nil {
		t.Fatal(err)
	}
	return o, 41
}

// Where the list of a view's tables is rotten, Pebble goes on with those before: the view must not serve without the others.
func TestARottenManifestIsNeverAViewThatLacksKeys(t *testing.T) {
	disk := hosttest.NewDisk()
	o, keys := viewOnDisk(t, disk)
	names, err := disk.List("view")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, name := range names {
		if !strings.HasPrefix(name, "MANIFEST") {
			continue
		}
		info, err := disk.Stat("view/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for at := range info.Size() {
			rotten := disk.CrashClone(at)
			before := rotten.Plant("view/"+name, at, []byte{0})
			rotten.Plant("view/"+name, at, []byte{before[0] ^ 1<<(at%8)})
			o.FS = rotten
			m, err := OpenMachine(o)
			if err != nil {
				refused++
				continue
			}
			for n := range min(keys, int(m.Applied())) {
				if _, err := m.Get([]byte(fmt.Sprintf("key%03d", n))); err != nil && !errors.Is(err, errView) {
					t.Fatalf("byte %d of %s is rotten, the view is at %d, and key %d: %v", at, name, m.Applied(), n, err)
				}
			}
			_ = m.Close()
		}
	}
	if refused == 0 {
		t.Error("no rot was seen")
	}
}
