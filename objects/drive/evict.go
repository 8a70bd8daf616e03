package drive

import "github.com/tarnlake/tarn/host"

// Evict makes the next read of a record come from the device, and not from the
// operating system's memory, where that takes such advice: a record that was just
// written is proven by nothing else.
func (d *Drive) Evict(a Address, payloadBytes int) {
	if _, err := d.lookup(a); err != nil {
		return
	}
	h, err := d.files.acquire(a.Extent)
	if err != nil {
		return
	}
	defer d.files.release(h)
	host.Evict(h.file, int64(a.Sector)*SectorBytes, recordBytes(payloadBytes))
}
