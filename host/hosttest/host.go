package hosttest

import (
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"

	"github.com/tarnlake/tarn/host"
)

// New is a host with an empty Disk, a Clock that stands still until it is
// advanced, entropy drawn from seed, and a log that discards.
func New(seed int64) *host.Host {
	return &host.Host{Clock: NewClock(), Entropy: NewEntropy(seed), FS: NewDisk(), Log: slog.New(slog.DiscardHandler)}
}

// DiskOf is the Disk of a host made by New or Reboot.
func DiskOf(h *host.Host) *Disk { return h.FS.(*Disk) }

// ClockOf is the Clock of a host made by New or Reboot.
func ClockOf(h *host.Host) *Clock { return h.Clock.(*Clock) }

// Reboot is the host after a power cut at this moment: its disk crash-cloned by
// seed, its clock going on, its entropy new. The old host stays as it was.
func Reboot(h *host.Host, seed int64) *host.Host {
	clock := NewClock()
	clock.Advance(h.Clock.Now().Sub(clock.Now()))
	return &host.Host{Clock: clock, Entropy: NewEntropy(seed), FS: DiskOf(h).CrashClone(seed), Log: h.Log}
}

// Restart is the host after its process was killed while the machine ran on: what
// was written is still seen, synced or not, and locks are gone. The old host is dead.
func Restart(h *host.Host, seed int64) *host.Host {
	next := Reboot(h, seed)
	next.FS = DiskOf(h).Kill()
	return next
}

// NewEntropy is a reader of bytes that depend on nothing but seed and the order
// of the reads.
func NewEntropy(seed int64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &entropy{source: rand.NewChaCha8(key)}
}

type entropy struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func (e *entropy) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.source.Read(p)
}
