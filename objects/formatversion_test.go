package objects

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// laterFormat makes a drive's header one of format 99, as package drive lays it
// out: the checksum covers the header's place, which is all zero, and its bytes.
func laterFormat(t testing.TB, h *host.Host, folder string) {
	t.Helper()
	path := h.FS.PathJoin(folder, "header")
	f, err := h.FS.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	var place [32]byte
	binary.LittleEndian.PutUint32(place[28:], 0xffffffff)
	table := crc32.MakeTable(crc32.Castagnoli)
	for at := 0; at < len(b); at += len(b) - drive.SectorBytes {
		sector := b[at : at+drive.SectorBytes]
		binary.LittleEndian.PutUint32(sector[8:], 99)
		sum := crc32.Update(crc32.Checksum(place[:], table), table, sector[:drive.SectorBytes-4])
		binary.LittleEndian.PutUint32(sector[drive.SectorBytes-4:], sum)
	}
	if f, err = h.FS.Create(path, host.Category); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}
