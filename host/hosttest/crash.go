package hosttest

import (
	"testing"

	"github.com/tarnlake/tarn/host"
)

// EveryCrash runs workload once for each operation in it that changes the disk,
// with the power cut just before that operation, and calls check on the host
// after the restart; at last once without a cut before the workload's end.
//
// workload starts on an empty host each time. Once the power is cut everything
// it tries fails with ErrPowerCut; it must return then, and must have waited for
// its goroutines. It may keep what was acknowledged in variables that it resets
// first and that check reads.
func EveryCrash(t testing.TB, seed int64, workload, check func(h *host.Host)) {
	t.Helper()
	for n := int64(0); ; n++ {
		if !crashAt(t, seed, n, workload, check) {
			t.Logf("seed %d: %d crash points", seed, n)
			return
		}
	}
}

// SomeCrashes is EveryCrash at about points of the operations, spread evenly and
// shifted by seed, for workloads that are too long for every one.
func SomeCrashes(t testing.TB, seed int64, points int, workload, check func(h *host.Host)) {
	t.Helper()
	whole := New(seed)
	workload(whole)
	total := DiskOf(whole).Operations()
	step := max(total/int64(max(points, 1)), 1)
	for n := ((seed % step) + step) % step; n <= total; n += step {
		crashAt(t, seed, n, workload, check)
	}
}

// crashAt reports whether the workload met the cut after n operations.
func crashAt(t testing.TB, seed, n int64, workload, check func(h *host.Host)) bool {
	t.Helper()
	h := New(seed)
	DiskOf(h).CutAfter(n)
	defer func() {
		if t.Failed() {
			t.Logf("power cut after %d operations, seed %d", n, seed)
		}
	}()
	workload(h)
	check(Reboot(h, seed+n*1_000_003))
	if t.Failed() {
		t.FailNow()
	}
	return DiskOf(h).Cut()
}
