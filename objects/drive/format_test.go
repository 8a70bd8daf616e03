package drive

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; the format changed. Raise FormatVersion, or run the test with -update.\n%s", name, got)
	}
}

// field names the next bytes of a layout.
type field struct {
	bytes int
	name  string
}

func annotate(out *strings.Builder, title string, b []byte, fields ...field) {
	fmt.Fprintf(out, "%s, %d bytes\n", title, len(b))
	at := 0
	for _, f := range fields {
		part := b[at : at+f.bytes]
		text := fmt.Sprintf("% x", part)
		if bytes.Equal(part, make([]byte, len(part))) && len(part) > 8 {
			text = fmt.Sprintf("%d zeros", len(part))
		}
		fmt.Fprintf(out, "%5d %4d  %-48s %s\n", at, f.bytes, text, f.name)
		at += f.bytes
	}
	if at != len(b) {
		fmt.Fprintf(out, "%5d %4d  not named\n", at, len(b)-at)
	}
	out.WriteString("\n")
}

var goldenDrive = ID{0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf}

func goldenExtent() *extent {
	return &extent{number: 7, generation: 2, class: Small, base: 5<<sessionShift | 1, before: 4, previous: 6, rotten: []uint32{3, 5}}
}

func TestFormatsOnDiskAreAsDocumented(t *testing.T) {
	var out strings.Builder
	hd := Header{Format: FormatVersion, Store: [16]byte{0x50, 15: 0x5f}, Drive: goldenDrive, Number: 3, Created: time.Unix(1893456000, 5)}
	annotate(&out, "drive header, one copy", encodeHeader(hd), field{8, "magic"}, field{4, "format"}, field{2, "number"}, field{2, "zero"},
		field{16, "store"}, field{16, "drive"}, field{8, "created, ns"}, field{452, "zero"}, field{4, "CRC-32C"})

	annotate(&out, "root record", encodeRoot(Root{Version: 258, Data: []byte("root data")}, goldenDrive), field{8, "magic"}, field{4, "format"},
		field{4, "data bytes"}, field{8, "version"}, field{4, "CRC-32C of the data"}, field{480, "zero"}, field{4, "CRC-32C"}, field{9, "data"})

	e := goldenExtent()
	annotate(&out, "extent header", encodeExtent(e, goldenDrive), field{4, "magic"}, field{2, "format"}, field{1, "class"}, field{1, "flags"},
		field{4, "number"}, field{4, "generation"}, field{16, "drive"}, field{8, "first sequence"}, field{8, "acknowledged before"},
		field{4, "class's extent before"}, field{4, "unreadable ones"}, field{4, "one of them"}, field{4, "one of them"}, field{444, "zero"}, field{4, "CRC-32C"})

	h := head{class: Small, sequence: e.base, acknowledged: 4, identity: Identity{Stripe: [16]byte{0xa0, 15: 0xaf}, Shard: 9}}
	annotate(&out, "record header, payload of 5 bytes at 68", appendHead(nil, e.place(goldenDrive, 1024), h, []byte("bytes")), headFields(1)...)
	large := appendHead(nil, e.place(goldenDrive, 1024), h, bytes.Repeat([]byte{7}, pieceBytes+1))
	annotate(&out, "record header, payload of 65537 bytes at 512", large, append(headFields(2), field{440, "zero"})...)

	annotate(&out, "seal", encodeSeal(seal{proven: e.base, records: 1}, e, goldenDrive, 1536), field{4, "magic"}, field{2, "format"}, field{1, "class"},
		field{1, "zero"}, field{8, "zero"}, field{8, "offset of this sector"}, field{8, "highest acknowledged sequence"}, field{8, "records"}, field{468, "zero"}, field{4, "CRC-32C"})
	e.fixed, e.size = true, 4096
	annotate(&out, "extent header of fixed size", encodeExtent(e, goldenDrive), field{4, "magic"}, field{2, "format"}, field{1, "class"}, field{1, "flags"},
		field{4, "number"}, field{4, "generation"}, field{16, "drive"}, field{8, "first sequence"}, field{8, "acknowledged before"},
		field{4, "class's extent before"}, field{4, "unreadable ones"}, field{4, "one of them"}, field{4, "one of them"}, field{444, "zero"}, field{4, "CRC-32C"})
	annotate(&out, "seal of fixed size", encodeSeal(seal{end: 1536, proven: e.base, records: 1}, e, goldenDrive, e.limit()), field{4, "magic"}, field{2, "format"}, field{1, "class"},
		field{1, "zero"}, field{8, "end of the records"}, field{8, "offset of this sector"}, field{8, "highest acknowledged sequence"}, field{8, "records"}, field{468, "zero"}, field{4, "CRC-32C"})
	golden(t, "format.golden", out.String())
}

func headFields(pieces int) []field {
	out := []field{{4, "magic"}, {1, "version"}, {1, "class"}, {2, "flags"}, {4, "generation"}, {4, "payload bytes"}, {8, "sequence"},
		{8, "acknowledged sequence"}, {16, "identity: stripe"}, {1, "identity: shard"}, {1, "zero"}, {2, "payload at"}, {8, "zero"}, {4, "CRC-32C of header"}}
	for i := range pieces {
		out = append(out, field{4, fmt.Sprint("CRC-32C of piece ", i)})
	}
	return out
}

// TestDrivesOfEveryReleaseStayReadable opens folders that releases wrote.
func TestDrivesOfEveryReleaseStayReadable(t *testing.T) {
	if *update {
		writeRelease(t, "testdata/v2")
	}
	for _, folder := range []string{"testdata/v1", "testdata/v2"} {
		readRelease(t, folder)
	}
}

func readRelease(t *testing.T, folder string) {
	t.Helper()
	h := hosttest.New(1)
	if err := h.FS.MkdirAll("d/extents", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"header", "root", "extents/00000001.extent", "extents/00000002.extent"} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := writeFile(h.FS, "d/"+name, b); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(h, "d", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Root().Version != 12 || d.Header().Number != 3 {
		t.Errorf("root %d, number %d", d.Root().Version, d.Header().Number)
	}
	for class, want := range map[Class]string{Journal: "first second ", Stripe: "xxxx "} {
		got := ""
		for f, err := range d.Scan(t.Context(), class) {
			if err != nil || f.Err != nil {
				t.Fatal(err, f.Err)
			}
			got += string(f.Payload[:min(len(f.Payload), 6)]) + " "
			if class == Stripe {
				got = string(f.Payload[:4]) + " "
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", class, got, want)
		}
	}
}

func writeRelease(t *testing.T, folder string) {
	t.Helper()
	h := host.Real(nil)
	_ = os.RemoveAll(folder)
	hd := Header{Store: [16]byte{1}, Drive: goldenDrive, Number: 3, Created: hosttest.Epoch}
	if err := Format(h, folder, hd); err != nil {
		t.Fatal(err)
	}
	d, err := Open(h, folder, Options{RecycledBytes: ExtentBytesMin, Spares: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := d.Append(t.Context(), Journal, []Record{{Payload: []byte("first")}, {Payload: []byte("second")}})
	_, err2 := d.Append(t.Context(), Stripe, []Record{{Payload: bytes.Repeat([]byte("x"), pieceBytes+1)}})
	if err := errors.Join(err1, err2, d.SetRoot(t.Context(), Root{Version: 12, Data: []byte("root")}), d.Close(), os.Remove(folder+"/lock")); err != nil {
		t.Fatal(err)
	}
}

func TestOtherFormatVersionsAreRefusedWithTheirNumbers(t *testing.T) {
	write := map[string]func(v uint32) []byte{
		"header": func(v uint32) []byte {
			return encodeHeader(Header{Format: v, Drive: goldenDrive})
		},
		"root": func(v uint32) []byte {
			b := encodeRoot(Root{Version: 1}, goldenDrive)
			b[8] = byte(v)
			sealSector(b, place{drive: goldenDrive}, pieceOfRoot)
			return b
		},
		"extents/00000001.extent": func(v uint32) []byte {
			e := &extent{number: 1, generation: 1, class: Small}
			b := encodeExtent(e, goldenDrive)
			b[4] = byte(v)
			sealSector(b, e.place(goldenDrive, 0), pieceOfExtent)
			return append(b, make([]byte, SectorBytes)...)
		},
	}
	for name, encode := range write {
		for _, version := range []uint32{0, 3, 200} {
			h := hosttest.New(1)
			if err := Format(h, "d", Header{Drive: goldenDrive}); err != nil {
				t.Fatal(err)
			}
			if err := writeFile(h.FS, "d/"+name, encode(version)); err != nil {
				t.Fatal(err)
			}
			_, err := Open(h, "d", Options{})
			var v *FormatVersionError
			if !errors.As(err, &v) || !errors.Is(err, ErrFormatVersion) || v.Found != version || v.Understood < FormatVersion {
				t.Errorf("%s of format %d: %v", name, version, err)
			}
		}
	}
}

// walkAll decodes a whole extent, which must neither panic nor run on.
func walkAll(b []byte, e *extent) (good int) {
	w := &walker{file: bytes.NewReader(b), drive: goldenDrive, extent: e, off: firstRecord, end: int64(len(b))}
	for s, ok := w.next(); ok; s, ok = w.next() {
		if s.err == nil {
			good++
		}
	}
	return good
}

// sampleExtent is an extent's file with a small and a large record and its seal.
func sampleExtent() []byte {
	e := goldenExtent()
	b := encodeExtent(e, goldenDrive)
	for i, payload := range [][]byte{[]byte("bytes"), bytes.Repeat([]byte{7}, pieceBytes+1)} {
		h := head{class: Small, sequence: e.base + uint64(i), acknowledged: e.base + uint64(i) - 1}
		b = append(appendHead(b, e.place(goldenDrive, int64(len(b))), h, payload), payload...)
		b = append(b, make([]byte, sectorsOf(int64(len(b)))-int64(len(b)))...)
	}
	return append(b, encodeSeal(seal{proven: e.base + 1, records: 2}, e, goldenDrive, int64(len(b)))...)
}

func TestSampleExtentDecodes(t *testing.T) {
	b := sampleExtent()
	if n := walkAll(b[:len(b)-SectorBytes], goldenExtent()); n != 2 {
		t.Fatalf("%d records", n)
	}
	if found, _ := newestGeneration(bytes.NewReader(b), goldenDrive, 7, int64(len(b))); found == nil || found.generation != 2 || found.class != Small {
		t.Fatalf("search found %+v", found)
	}
}

func FuzzExtent(f *testing.F) {
	whole := sampleExtent()
	f.Add(whole)
	f.Add(whole[:700])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeExtent(b, goldenDrive, 7)
		if err != nil {
			e = goldenExtent()
		}
		walkAll(b, e)
		newestGeneration(bytes.NewReader(b), goldenDrive, 7, int64(len(b)))
		if end := int64(len(b)) - SectorBytes; end >= 0 {
			decodeSeal(b[end:], e, goldenDrive, end)
		}
	})
}

func FuzzRecord(f *testing.F) {
	e := goldenExtent()
	p := e.place(goldenDrive, 1024)
	f.Add(append(appendHead(nil, p, head{class: Small, sequence: 1}, []byte("bytes")), "bytes"...))
	f.Add(appendHead(nil, p, head{class: Small, sequence: 1}, make([]byte, pieceBytes*3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b, p)
		if err != nil {
			return
		}
		if n := int(h.payloadAt) + int(h.payloadBytes); n <= len(b) {
			payload := b[h.payloadAt:n]
			if h.verify(p, 0, payload) == nil && len(payload) != int(h.payloadBytes) {
				t.Fatal("verified another length")
			}
		}
	})
}

func FuzzHeaderAndRoot(f *testing.F) {
	f.Add(encodeHeader(Header{Format: FormatVersion}))
	f.Add(encodeRoot(Root{Version: 1, Data: []byte("x")}, goldenDrive))
	f.Fuzz(func(t *testing.T, b []byte) {
		if hd, err := decodeHeader(b); err == nil && !bytes.Equal(encodeHeader(hd), b[:SectorBytes]) {
			t.Fatal("a header decodes that was not encoded so")
		}
		if r, err := decodeRoot(b, goldenDrive); err == nil && !bytes.Equal(encodeRoot(r, goldenDrive), b) {
			t.Fatal("a root decodes that was not encoded so")
		}
	})
}
