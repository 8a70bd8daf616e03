package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// annotated prints bytes with their meaning, by the layout table.
func annotated(p []byte, fields ...any) string {
	var b strings.Builder
	off := 0
	for i := 0; i < len(fields); i += 2 {
		n := fields[i].(int)
		fmt.Fprintf(&b, "%3d %2d  %-32x %s\n", off, n, p[off:off+n], fields[i+1])
		off += n
	}
	fmt.Fprintf(&b, "%3d bytes\n", len(p))
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s changed: it is read from the disks of released versions.\ngot:\n%swant:\n%s", name, got, want)
	}
}

func goldenRecord() ([]byte, header) {
	h := header{previous: seed([16]byte{1, 2, 3}), epoch: 7, first: 11, acknowledged: 10, trimmed: 4}
	p := encodeRecord(&h, [][]byte{[]byte("abc"), {}, []byte("tarn")})
	return p, h
}

func TestTheBytesOfARecordStayAsDocumented(t *testing.T) {
	p, _ := goldenRecord()
	golden(t, "record-1.txt", annotated(p, 4, "magic", 4, "version", 8, "chain", 8, "previous", 8, "epoch", 8, "first",
		8, "acknowledged", 8, "trimmed", 4, "count", 4, "bytes", 4, "length", 3, "entry 11", 4, "length", 0, "entry 12", 4, "length", 4, "entry 13"))
}

func TestTheBytesOfAStateStayAsDocumented(t *testing.T) {
	s := State{Epoch: 7, ID: [16]byte{1, 2, 3}, Drives: []uint16{1, 3, 513}, Base: 4, Start: 10, Reserved: 8}
	golden(t, "state-1.txt", annotated(s.Encode(), 4, "magic", 4, "version", 8, "epoch", 16, "id", 8, "reserved", 8, "base",
		8, "start", 2, "count", 2, "zero", 4, "checksum", 2, "drive", 2, "drive", 2, "drive"))
	back, err := DecodeState(s.Encode())
	if err != nil || fmt.Sprint(back) != fmt.Sprint(s) {
		t.Errorf("decoded %v, %v", back, err)
	}
}

func TestEveryFlippedBitOfARecordOrStateIsNoticed(t *testing.T) {
	record, _ := goldenRecord()
	state := State{Epoch: 7, Drives: []uint16{1, 3}}.Encode()
	for i := range 8 * len(record) {
		p := bytes.Clone(record)
		p[i/8] ^= 1 << (i % 8)
		if _, err := decodeRecord(p); !errors.Is(err, ErrRecord) {
			t.Errorf("record with bit %d flipped: %v", i, err)
		}
	}
	for i := range 8 * len(state) {
		p := bytes.Clone(state)
		p[i/8] ^= 1 << (i % 8)
		if _, err := DecodeState(p); !errors.Is(err, ErrState) {
			t.Errorf("state with bit %d flipped: %v", i, err)
		}
	}
}

func TestARecordGivesBackItsEntries(t *testing.T) {
	p, h := goldenRecord()
	got, err := decodeRecord(p)
	if err != nil || got != h || got.last() != 13 {
		t.Fatalf("decoded %+v, %v", got, err)
	}
	var all []string
	for sequence, e := range entriesOf(p) {
		all = append(all, fmt.Sprint(sequence, " ", string(e)))
	}
	if fmt.Sprint(all) != "[11 abc 12  13 tarn]" {
		t.Errorf("entries %q", all)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	p, _ := goldenRecord()
	f.Add(p)
	f.Add(p[:70])
	mark := header{first: 1}
	f.Add(encodeRecord(&mark, nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, err := decodeRecord(p); err == nil {
			again := h
			var entries [][]byte
			for _, e := range entriesOf(p) {
				entries = append(entries, e)
			}
			if !bytes.Equal(encodeRecord(&again, entries), p) || again != h {
				t.Fatalf("a record that decodes does not encode to itself")
			}
		}
		// Whatever passes the checksum must still be laid out safely.
		if len(p) > recordHeaderBytes {
			h := header{first: 1, count: uint32(p[0]), contentBytes: uint32(len(p) - recordHeaderBytes)}
			if h.check(p[recordHeaderBytes:]) == nil {
				for range entriesOf(p) {
				}
			}
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add(State{}.Encode())
	f.Add(State{Epoch: 7, Drives: []uint16{1, 2}}.Encode())
	f.Fuzz(func(t *testing.T, p []byte) {
		s, err := DecodeState(p)
		if err != nil {
			return
		}
		if back, err := DecodeState(s.Encode()); err != nil || fmt.Sprint(back) != fmt.Sprint(s) {
			t.Fatalf("%v became %v, %v", s, back, err)
		}
	})
}
