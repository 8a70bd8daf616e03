package drive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

const windowBytes = 1 << 20 // of what a walker reads at once

// walker goes through the records of an extent from front to back. Where there is
// no record it searches on, sector by sector.
type walker struct {
	file   io.ReaderAt
	drive  ID
	extent *extent // its number, generation and class
	off    int64   // of what comes next
	end    int64   // of what counts

	buffer   []byte // read last
	bufferAt int64
	bad      int64 // where the present bad stretch began; 0: none
	badErr   error
}

// step is one thing that a walker met: a record, or a stretch without any.
type step struct {
	off     int64
	known   bool // the header verifies
	head    head
	payload []byte // valid until the next step
	err     error  // nil: the record is whole
}

// next reports false at the end.
func (w *walker) next() (step, bool) {
	for w.off+SectorBytes <= w.end {
		s := w.record()
		if s.known && w.bad > 0 {
			return w.stretch(), true // the record comes with the next call
		}
		if s.known {
			w.off += s.head.bytes()
			return s, true
		}
		w.skip(s.err)
	}
	if w.bad > 0 {
		return w.stretch(), true
	}
	return step{}, false
}

func (w *walker) stretch() step {
	s := step{off: w.bad, err: w.badErr}
	w.bad, w.badErr = 0, nil
	return s
}

// skip goes past a sector that begins no record.
func (w *walker) skip(err error) {
	if w.bad == 0 {
		w.bad, w.badErr = w.off, err
	}
	w.off += SectorBytes
	for w.off+SectorBytes <= w.end && w.within(w.off, SectorBytes) && !looksLikeHead(w.buffer[w.off-w.bufferAt:]) {
		w.off += SectorBytes
	}
}

// record reads what lies at off.
func (w *walker) record() step {
	s := step{off: w.off}
	b, err := w.bytes(w.off, SectorBytes)
	if err != nil {
		s.err = err
		return s
	}
	p := w.extent.place(w.drive, w.off)
	if s.head, s.err = decodeHead(b, p); s.err != nil {
		return s
	}
	if s.err = w.belongs(&s.head); s.err != nil {
		return s
	}
	s.known = true
	n := int(s.head.payloadAt) + int(s.head.payloadBytes)
	if b, s.err = w.bytes(w.off, n); s.err != nil {
		return s
	}
	if s.head, s.err = decodeHead(b, p); s.err != nil { // its sums lay in the former window
		return s
	}
	s.payload = b[s.head.payloadAt:]
	s.err = s.head.verify(p, 0, s.payload)
	return s
}

// belongs refuses records that verify and yet cannot be here.
func (w *walker) belongs(h *head) error {
	if h.generation != w.extent.generation || h.class != w.extent.class {
		return fmt.Errorf("record of another generation or class: %w", ErrCorrupt)
	}
	if w.off+int64(h.payloadAt)+int64(h.payloadBytes) > w.end {
		return fmt.Errorf("record reaches beyond the end: %w", ErrCorrupt)
	}
	return nil
}

func (w *walker) within(off int64, n int) bool {
	return off >= w.bufferAt && off+int64(n) <= w.bufferAt+int64(len(w.buffer))
}

// bytes gives n bytes at off, all before the end, valid until the next call.
func (w *walker) bytes(off int64, n int) ([]byte, error) {
	if !w.within(off, n) {
		_ = w.fill(off, max(n, windowBytes)) // a bad sector further on must not hide this one
		if !w.within(off, n) {
			if err := w.fill(off, n); !w.within(off, n) {
				return nil, fmt.Errorf("read %d bytes at %d: %w", n, off, err)
			}
		}
	}
	at := off - w.bufferAt
	return w.buffer[at : at+int64(n)], nil
}

func (w *walker) fill(off int64, n int) error {
	n = int(min(int64(n), w.end-off))
	if cap(w.buffer) < n {
		w.buffer = make([]byte, n)
	}
	got, err := w.file.ReadAt(w.buffer[:n], off)
	w.buffer, w.bufferAt = w.buffer[:got], off
	if err == nil && got < n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// newestGeneration searches an extent whose header is rotten for records, which tell
// generation and class: of a recycled one those of the highest generation count.
// zeros: there is nothing in the file at all.
func newestGeneration(file io.ReaderAt, drive ID, number uint32, size int64) (newest *extent, zeros bool) {
	w := &walker{file: file, drive: drive, end: size}
	zeros = true
	for off := int64(0); off+SectorBytes <= size; off += SectorBytes {
		b, err := w.bytes(off, SectorBytes)
		if err != nil || !bytes.Equal(b, zeroSector[:]) {
			zeros = false
		}
		if err != nil || !looksLikeHead(b) {
			continue
		}
		e := &extent{number: number, generation: binary.LittleEndian.Uint32(b[8:])}
		if newest != nil && newest.generation >= e.generation {
			continue
		}
		if h, err := decodeHead(b, e.place(drive, off)); err == nil && h.class > 0 {
			e.class, e.order = h.class, h.sequence
			newest = e
		}
	}
	return newest, zeros
}
