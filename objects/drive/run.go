package drive

import "github.com/tarnlake/tarn/host"

// runBytes is what one write of a run takes at most, but for one larger record: the device works on all of
// it at once, where writes of a record each would wait for one another.
const runBytes = 8 << 20

// run is a stretch of an extent being written front to back. Heads and small payloads are
// gathered in its buffer, large payloads are written from where they lie.
type run struct {
	file   host.File
	at     int64 // offset at which the pieces begin
	bytes  int64 // of the pieces, and of what is in the buffer behind them
	pieces [][]byte
	buffer []byte
	used   int // of the buffer, by pieces
}

func (r *run) end() int64 { return r.at + r.bytes }

func (r *run) add(p place, h head, payload []byte) error {
	if r.bytes > 0 && r.bytes+recordBytes(len(payload)) > runBytes {
		if err := r.flush(); err != nil {
			return err
		}
	}
	before := len(r.buffer)
	r.buffer = appendHead(r.buffer, p, h, payload)
	if len(payload) >= pieceBytes { // whole sectors of it, so that all pieces are
		whole := len(payload) / SectorBytes * SectorBytes
		r.cut()
		r.pieces = append(r.pieces, payload[:whole])
		r.bytes, payload = r.bytes+int64(whole), payload[whole:]
	}
	r.buffer = append(r.buffer, payload...)
	r.buffer = append(r.buffer, zeroSector[:sectorsOf(int64(len(r.buffer)))-int64(len(r.buffer))]...)
	r.bytes += int64(len(r.buffer) - before)
	return nil
}

// cut makes a piece of what the buffer gathered since the last one. Memory that the buffer
// leaves behind when it grows keeps what was cut from it.
func (r *run) cut() {
	if r.used < len(r.buffer) {
		r.pieces, r.used = append(r.pieces, r.buffer[r.used:]), len(r.buffer)
	}
}

var zeroSector [SectorBytes]byte

func (r *run) flush() error {
	r.cut()
	if len(r.pieces) == 0 {
		return nil
	}
	_, err := host.WriteAllAt(r.file, r.at, r.pieces...)
	clear(r.pieces) // they hold their callers' payloads
	r.at, r.bytes, r.pieces, r.buffer, r.used = r.at+r.bytes, 0, r.pieces[:0], r.buffer[:0], 0
	return err
}
