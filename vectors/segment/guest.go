package segment

import (
	"encoding/binary"
	"unsafe"

	"github.com/tarnlake/tarn/vectors/quantize"
)

// Guest is a row that a cell has the code of beside its own rows: a second place where it is found.
type Guest struct {
	Row Row   // of which the vector counts
	At  Place // where it lies
}

// Place is where a row lies: in the block of a neighbourhood in the same segment, in one of its cells.
type Place struct {
	Neighbourhood uint32
	at            uint32 // row above, 6 bits of cell below
}

// PlaceRowsMax is how many rows a block may have that are guests elsewhere.
const PlaceRowsMax = 1 << 26

// guestBytes is the size of a Place.
const guestBytes = 8

// PlaceOf is the place of a row below PlaceRowsMax.
func PlaceOf(neighbourhood uint32, row, cell int) Place {
	return Place{neighbourhood, uint32(row)<<6 | uint32(cell)%quantize.CellsMax}
}

// Row of the block.
func (p Place) Row() int { return int(p.at >> 6) }

// Cell of the block.
func (p Place) Cell() int { return int(p.at % quantize.CellsMax) }

// FetchGuests asks the processor for the list of guests.
func (r Run) FetchGuests() {
	if len(r.Guests) > 0 {
		quantize.Prefetch(unsafe.Slice((*byte)(unsafe.Pointer(&r.Guests[0])), guestBytes*len(r.Guests)))
	}
}

// appendGuests appends the tier of guests.
func appendGuests(b []byte, guests [][]Guest) []byte {
	n := uint32(0)
	for _, of := range guests {
		n += uint32(len(of))
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for _, of := range guests {
		for _, g := range of {
			b = binary.LittleEndian.AppendUint32(b, g.At.Neighbourhood)
			b = binary.LittleEndian.AppendUint32(b, g.At.at)
		}
	}
	return b
}

// guests finds where each cell's begin.
func (r *tierReader) guests(k *Block) {
	t, ok := r.tiers[tierGuests]
	if !ok || r.err != nil {
		return
	}
	cells := len(k.cells) - 1
	if cells < 1 || t.bytes == nil || t.size < 4*cells || (t.size-4*cells)%guestBytes != 0 {
		r.fail("guests of %d cells in %d bytes", cells, t.size)
		return
	}
	ends, refs := words[uint32](t.bytes[:4*cells]), words[uint32](t.bytes[4*cells:])
	last, chunk := uint32(0), uint32(0)
	for i, end := range ends {
		if end < last || int(end) > len(refs)/2 {
			r.fail("guests of cell %d end at %d of %d, those before at %d", i, end, len(refs)/2, last)
			return
		}
		k.cells[i].guest, k.cells[i].chunk = last, chunk
		rows := k.cells[i+1].row - k.cells[i].row
		chunk += uint32(quantize.Chunks(int(rows + end - last)))
		last = end
	}
	if int(last) != len(refs)/2 {
		r.fail("cells have %d of %d guests", last, len(refs)/2)
		return
	}
	k.cells[cells].guest, k.cells[cells].chunk = last, chunk
	k.guests = make([]Place, last)
	for i := range k.guests {
		k.guests[i] = Place{refs[2*i], refs[2*i+1]}
	}
}
