package drive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/tarnlake/tarn/host"
)

// RootBytesMax limits Root.Data.
const RootBytesMax = 1 << 20

// Root is the small store-wide record that every drive keeps a copy of. Its data
// are opaque here. Version 0 is none.
type Root struct {
	Version uint64
	Data    []byte
}

const rootMagic = "TARNROOT"

// encodeRoot writes the file, little endian. Magic, format and the sector's checksum
// lie at these places in every format version:
//
//	 0  8  magic "TARNROOT"     24  4  CRC-32C of the data, its place this drive
//	 8  4  format              508  4  CRC-32C of [0,508), likewise
//	12  4  data bytes          512  …  data
//	16  8  version
func encodeRoot(r Root, drive ID) []byte {
	b := make([]byte, SectorBytes+len(r.Data))
	at := place{drive: drive}
	copy(b, rootMagic)
	binary.LittleEndian.PutUint32(b[8:], FormatVersion)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(r.Data)))
	binary.LittleEndian.PutUint64(b[16:], r.Version)
	binary.LittleEndian.PutUint32(b[24:], at.sum(0, r.Data))
	sealSector(b, at, pieceOfRoot)
	copy(b[SectorBytes:], r.Data)
	return b
}

func decodeRoot(b []byte, drive ID) (Root, error) {
	at := place{drive: drive}
	if len(b) < SectorBytes || string(b[:8]) != rootMagic || !sectorVerifies(b, at, pieceOfRoot) {
		return Root{}, fmt.Errorf("root record: %w", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != FormatVersion {
		return Root{}, &FormatVersionError{File: rootName, Found: v, Understood: FormatVersion}
	}
	data := b[SectorBytes:]
	if uint32(len(data)) != binary.LittleEndian.Uint32(b[12:]) || at.sum(0, data) != binary.LittleEndian.Uint32(b[24:]) {
		return Root{}, fmt.Errorf("root record's data: %w", ErrCorrupt)
	}
	return Root{Version: binary.LittleEndian.Uint64(b[16:]), Data: data}, nil
}

// isRoot: a file is a root record by its magic, whosever and however damaged.
func isRoot(fs host.FS, name string) bool {
	b, err := readFile(fs, name, len(rootMagic))
	return err == nil && string(b) == rootMagic
}

func readRoot(fs host.FS, dir string, drive ID) (Root, error) {
	b, err := readFile(fs, fs.PathJoin(dir, rootName), SectorBytes+RootBytesMax+1)
	if errors.Is(err, os.ErrNotExist) {
		return Root{}, nil
	}
	if err != nil {
		return Root{}, fmt.Errorf("read root record: %w", err)
	}
	return decodeRoot(b, drive)
}

// Root is the present root record, shared with all callers: do not change its data.
func (d *Drive) Root() Root {
	d.root.Lock()
	defer d.root.Unlock()
	return d.root.Root
}

// RootErr says why the root record found at Open could not be read; Root is then
// empty, and a SetRoot with the store's present record heals it. nil: it was well
// or absent.
func (d *Drive) RootErr() error {
	d.root.Lock()
	defer d.root.Unlock()
	return d.root.err
}

// SetRoot replaces the root record: after a crash there is the old one or the
// new, and on return the new. A version that is not higher is refused, except the
// very same record again.
func (d *Drive) SetRoot(ctx context.Context, r Root) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(r.Data) > RootBytesMax {
		return fmt.Errorf("set root record of %d bytes, limit %d: %w", len(r.Data), RootBytesMax, ErrTooLarge)
	}
	if err := d.writable(); err != nil {
		return err
	}
	d.root.Lock()
	defer d.root.Unlock()
	if r.Version == d.root.Version && r.Version > 0 && slices.Equal(r.Data, d.root.Data) {
		return nil
	}
	if r.Version <= d.root.Version {
		return fmt.Errorf("set root version %d over %d: %w", r.Version, d.root.Version, ErrRootVersion)
	}
	if err := replaceFile(d.fs, d.dir, rootName, encodeRoot(r, d.header.Drive)); err != nil {
		return fmt.Errorf("set root version %d: %w", r.Version, rootError(err))
	}
	d.root.Root, d.root.err = Root{Version: r.Version, Data: slices.Clone(r.Data)}, nil
	return nil
}

func rootError(err error) error {
	if isNoSpace(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
