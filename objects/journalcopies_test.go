package objects

import (
	"context"
	"fmt"
	"testing"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// A copy of the journal rots, a repair that reads every byte says that all is well, and then the other two drives
// of the journal are lost: everything must still be there.
func TestARepairThatReadsEverythingMendsTheJournalToo(t *testing.T) {
	h := hosttest.New(36)
	o := quietOptions(h)
	s := openDurable(t, o)
	keys := keepSome(t, s)
	_, holders, _ := s.journal.Epoch()
	rotten := s.drives.find(holders[0])
	for _, e := range rotten.Extents() {
		if e.Class == drive.Journal {
			for at := int64(600); at < 8<<10; at += 512 {
				hosttest.DiskOf(h).Corrupt(fmt.Sprintf("%s/extents/%08d.extent", rotten.path, e.Number), at, 1)
			}
		}
	}
	report, err := s.Repair(context.Background(), RepairOptions{Verify: true})
	if err != nil || !report.Complete() {
		t.Fatalf("%+v, %v", report, err)
	}
	_, now, _ := s.journal.Epoch()
	lost := map[uint16]string{}
	for _, n := range append(holders[1:], now...) {
		if n != rotten.number && len(lost) < s.o.ParityShards {
			lost[n] = s.drives.find(n).path
		}
	}
	mustClose(t, s)
	for _, path := range lost {
		hosttest.DiskOf(h).Wipe(path)
	}
	s = openDurable(t, o)
	allReadBack(t, s, keys)
	mustClose(t, s)
}
