package segment

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/quantize"
)

// guests of three cells: 33 in the first, so that it needs a second chunk, none in the second, one in the third.
func guests(rows []Row) [][]Guest {
	first := make([]Guest, 33)
	for i := range first {
		first[i] = Guest{rows[1], PlaceOf(4, 1, 2)}
	}
	return [][]Guest{first, nil, {{rows[0], PlaceOf(9, PlaceRowsMax-1, quantize.CellsMax-1)}}}
}

func TestGuestsComeBack(t *testing.T) {
	rows, cells, ends := celled(t)
	s := Builder{Sequence: 13, Dimension: 3, Metric: distance.Euclidean}
	if err := s.AddCelled(4, cells, ends, rows, guests(rows)); err != nil {
		t.Fatal(err)
	}
	data, head := s.Finish()
	golden(t, "guests.v3", data)
	entries, err := Directory(data[:head], 13, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	b := data[entries[0].Offset:][:entries[0].Bytes]
	var q quantize.Query
	q.Reset(distance.Euclidean, rows[1].Vector)
	for _, end := range []uint32{entries[0].Hot, entries[0].Warm, entries[0].Bytes} {
		k, err := OpenPart(b[:end:end], len(b))
		if err != nil {
			t.Fatal(err)
		}
		c := k.Cell(0)
		if c.Rows != 1 || len(c.Guests) != 33 || len(c.Chunks) != 2*quantize.ChunkBytes(k.Width()) || len(k.Cell(1).Guests) != 0 || len(k.Cell(1).Chunks) != 0 {
			t.Fatalf("%d rows, %d guests, %d bytes", c.Rows, len(c.Guests), len(c.Chunks))
		}
		if g := c.Guests[32]; g.Neighbourhood != 4 || g.Row() != 1 || g.Cell() != 2 {
			t.Errorf("guest of %d, row %d, cell %d", g.Neighbourhood, g.Row(), g.Cell())
		}
		c = k.Cell(2)
		if g := c.Guests[0]; c.First != 1 || c.Rows != 1 || g.Neighbourhood != 9 || g.Row() != PlaceRowsMax-1 || g.Cell() != quantize.CellsMax-1 {
			t.Errorf("guest of %d, row %d, cell %d", g.Neighbourhood, g.Row(), g.Cell())
		}
		// The guests' codes are those of their vectors, relative to the cell that has them.
		p := cells.AtHome(&q)
		p = cells.Probe(&q, 0, cells.Score(&p, 0))
		var lower [quantize.ChunkRows]float32
		if p.Scan(k.Cell(0).Chunks, 0, 1e9, &lower); lower[1] > 0.3*lower[0] || lower[1] != lower[31] {
			t.Errorf("a guest that is the query is at %v, the cell's own row at %v", lower[1], lower[0])
		}
	}
}

func TestGuestsThatDoNotFitAreRefused(t *testing.T) {
	rows, cells, ends := celled(t)
	data, _, _, err := EncodeCelled(rows, distance.Euclidean, cells, ends, guests(rows))
	if err != nil {
		t.Fatal(err)
	}
	entry := data[blockFixed+slices.Index(hostTiers, tierGuests)*tierEntryBytes:]
	at := int(binary.LittleEndian.Uint32(entry[4:]))
	size := int(binary.LittleEndian.Uint32(entry[8:]))
	if _, err := OpenBlock(slices.Clone(data)); err != nil {
		t.Fatal(err)
	}
	for i, value := range map[int]uint32{0: 34, 1: 32, 2: 33, 3: 0} {
		b := slices.Clone(data)
		e := b[blockFixed+slices.Index(hostTiers, tierGuests)*tierEntryBytes:]
		if i < 3 {
			binary.LittleEndian.PutUint32(b[at+4*i:], value)
		} else {
			size -= 4
			binary.LittleEndian.PutUint32(e[8:], uint32(size))
		}
		binary.LittleEndian.PutUint32(e[12:], crc32.Checksum(b[at:at+size], castagnoli))
		putSum(b, 20, headerSum(b[:blockFixed+len(hostTiers)*tierEntryBytes]))
		if _, err := OpenBlock(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("change %d: %v", i, err)
		}
	}
}
