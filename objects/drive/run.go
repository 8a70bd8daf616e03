package drive

import "github.com/tarnlake/tarn/host"

// run is a stretch of an extent being written front to back.
type run struct {
	file   host.File
	at     int64 // offset at which buffer begins
	buffer []byte
}

func (r *run) end() int64 { return r.at + int64(len(r.buffer)) }

func (r *run) add(p place, h head, payload []byte) error {
	r.buffer = appendHead(r.buffer, p, h, payload)
	if len(payload) < pieceBytes {
		r.buffer = append(r.buffer, payload...)
		r.pad()
		return nil
	}
	end := r.end() + int64(len(payload))
	if _, err := host.WriteAllAt(r.file, r.at, r.buffer, payload, zeroSector[:sectorsOf(end)-end]); err != nil {
		return err
	}
	r.at, r.buffer = sectorsOf(end), r.buffer[:0]
	return nil
}

// pad fills up the sector.
func (r *run) pad() {
	r.buffer = append(r.buffer, zeroSector[:sectorsOf(r.end())-r.end()]...)
}

var zeroSector [SectorBytes]byte

func (r *run) flush() error {
	if len(r.buffer) == 0 {
		return nil
	}
	if _, err := r.file.WriteAt(r.buffer, r.at); err != nil {
		return err
	}
	r.at, r.buffer = r.end(), r.buffer[:0]
	return nil
}
