package drive_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

func inspect(t *testing.T, h *host.Host, path string) string {
	t.Helper()
	var b strings.Builder
	err := drive.Inspect(t.Context(), h, path, func(i drive.Inspection) {
		fmt.Fprintf(&b, "%d %s %s %d\n", i.Offset, i.Kind, i.State, i.Bytes)
	})
	must(t, err)
	return b.String()
}

func TestInspectTellsRotFromATornTail(t *testing.T) {
	h, a := crashed(t, 4)
	hosttest.DiskOf(h).Corrupt(firstExtent, offset(a[1])+300, 1)
	hosttest.DiskOf(h).Corrupt(firstExtent, offset(a[3])+3, 1)
	got := inspect(t, h, firstExtent)
	for _, want := range []string{
		"0 extent sound ", fmt.Sprintf("%d record sound 600\n", offset(a[0])), fmt.Sprintf("%d record rot 600\n", offset(a[1])),
		fmt.Sprintf("%d record sound 600\n", offset(a[2])),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, fmt.Sprintf("%d record", offset(a[3]))) || strings.Count(got, "rot") != 1 {
		t.Errorf("what was never acknowledged shows as a record, or as rot:\n%s", got)
	}
	if again := inspect(t, h, firstExtent); again != got {
		t.Errorf("to inspect changed something:\n%s", again)
	}
}

func TestInspectPrintsHeadersAndRoots(t *testing.T) {
	h, d := fresh(t, small)
	must(t, d.SetRoot(t.Context(), drive.Root{Version: 7, Data: []byte("root")}))
	must(t, d.Close())
	hosttest.DiskOf(h).Corrupt(dir+"/header", 20, 1)
	if got := inspect(t, h, dir+"/header"); got != "0 header rot 0\n4096 header sound 0\n" {
		t.Error(got)
	}
	if got := inspect(t, h, dir+"/root"); got != "0 root sound 4\n" {
		t.Error(got)
	}
	err := drive.Inspect(t.Context(), h, dir+"/lock", func(drive.Inspection) {})
	if !errors.Is(err, drive.ErrUnknownFile) {
		t.Error(err)
	}
}

func TestAnAuditOfAnExtentMeetsEveryRecordAndEveryRot(t *testing.T) {
	h, d := fresh(t, small)
	var all []drive.Address
	for i := range 60 {
		all = append(all, add(t, d, drive.Stripe, record(i, 700))...)
	}
	bad := map[drive.Address]bool{}
	for i := 3; i < len(all); i += 7 {
		bad[all[i]] = true
		hosttest.DiskOf(h).Corrupt(fmt.Sprintf("%s/extents/%08d.extent", dir, all[i].Extent), offset(all[i])+200, 1)
	}
	good := 0
	for _, e := range d.Extents() {
		for a, err := range d.Audit(t.Context(), e.Number, 0) {
			must(t, err)
			switch {
			case a.Err == nil:
				good++
			case !bad[a.Address]:
				t.Errorf("%s: %v", a.Address, a.Err)
			default:
				delete(bad, a.Address)
			}
		}
	}
	if left := len(bad); left > 0 || good != 60-9 {
		t.Errorf("%d whole records, %d rotten ones were not met", good, left)
	}
	must(t, d.HealHeader())
	must(t, d.CheckFiles())
	hosttest.DiskOf(h).Corrupt(dir+"/header", 4096+20, 1)
	if d.CheckFiles() == nil {
		t.Error("a rotten copy of the header is not seen")
	}
	must(t, d.HealHeader())
	must(t, d.CheckFiles())
	must(t, d.Close())
}
