package drive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tarnlake/tarn/host"
)

// FormatVersion of everything that this package writes. Version 1 is the first.
const FormatVersion = 1

// Names in a drive's folder.
const (
	headerName  = "header"
	rootName    = "root"
	lockName    = "lock"
	extentsName = "extents"
	newSuffix   = ".new" // of a file being written, before its rename
)

// Header says who a drive is. It is written at format and never changed.
type Header struct {
	Format  uint32
	Store   [16]byte
	Drive   ID
	Number  uint16 // the drive's place in the store's layout, from 1; never reused
	Created time.Time
}

const (
	headerMagic    = "TARNDRIV"
	headerCopyAt   = 4096 // of the second copy, so that one bad block leaves the other
	headerAllBytes = headerCopyAt + SectorBytes
)

// encodeHeader writes one copy, a sector, little endian. Magic, format and checksum lie
// at these places in every format version:
//
//	 0  8  magic "TARNDRIV"     16 16  store
//	 8  4  format               32 16  drive
//	12  2  number               48  8  created, ns since 1970
//	14  2  zero                508  4  CRC-32C of [0,508), its place all zero
func encodeHeader(hd Header) []byte {
	b := make([]byte, SectorBytes)
	copy(b, headerMagic)
	binary.LittleEndian.PutUint32(b[8:], hd.Format)
	binary.LittleEndian.PutUint16(b[12:], hd.Number)
	copy(b[16:], hd.Store[:])
	copy(b[32:], hd.Drive[:])
	binary.LittleEndian.PutUint64(b[48:], uint64(hd.Created.UnixNano()))
	sealSector(b, place{}, pieceOfHeader)
	return b
}

func decodeHeader(b []byte) (Header, error) {
	if len(b) < SectorBytes || string(b[:8]) != headerMagic || !sectorVerifies(b, place{}, pieceOfHeader) {
		return Header{}, ErrCorruptHeader
	}
	hd := Header{Format: binary.LittleEndian.Uint32(b[8:])}
	if hd.Format != FormatVersion {
		return Header{}, &FormatVersionError{File: headerName, Found: hd.Format, Understood: FormatVersion}
	}
	hd.Number = binary.LittleEndian.Uint16(b[12:])
	copy(hd.Store[:], b[16:])
	copy(hd.Drive[:], b[32:])
	hd.Created = time.Unix(0, int64(binary.LittleEndian.Uint64(b[48:]))).UTC()
	return hd, nil
}

// Format makes a drive of a folder that is missing or empty, but for a root record that was
// being written when the folder was emptied. hd.Format is set by it.
func Format(h *host.Host, dir string, hd Header) error {
	if _, err := Identify(h, dir); !errors.Is(err, ErrNotFormatted) {
		if err == nil {
			err = ErrFormatted
		}
		return fmt.Errorf("format %s: %w", dir, err)
	}
	hd.Format = FormatVersion
	if err := format(h.FS, dir, hd); err != nil {
		return fmt.Errorf("format %s: %w", dir, err)
	}
	return nil
}

// format writes the header last: a folder without one was never formatted.
func format(fs host.FS, dir string, hd Header) error {
	if err := fs.MkdirAll(fs.PathJoin(dir, extentsName), 0o755); err != nil {
		return err
	}
	if err := forgetRoot(fs, dir); err != nil {
		return err
	}
	b := make([]byte, headerAllBytes)
	copy(b, encodeHeader(hd))
	copy(b[headerCopyAt:], encodeHeader(hd))
	if err := replaceFile(fs, dir, headerName, b); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(dir))
}

// forgetRoot removes what was left of a former drive's root record, for good: the header
// must not come to stand beside it.
func forgetRoot(fs host.FS, dir string) error {
	for _, name := range []string{rootName, rootName + newSuffix} {
		if err := fs.Remove(fs.PathJoin(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return syncDir(fs, dir)
}

// replaceFile gives a file new contents atomically: after a crash there are the
// old ones or the new, and on return the new.
func replaceFile(fs host.FS, dir, name string, b []byte) error {
	final := fs.PathJoin(dir, name)
	if err := writeFile(fs, final+newSuffix, b); err != nil {
		return err
	}
	if err := fs.Rename(final+newSuffix, final); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

func writeFile(fs host.FS, name string, b []byte) error {
	f, err := fs.Create(name, host.Category)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Clone(b)) // Write may change what it is given
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(fs host.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Identify reads who the drive in a folder is, and writes nothing. Its errors tell an
// empty place (ErrNotFormatted) from a folder of other things (ErrForeign), another
// format (ErrFormatVersion) and a drive whose header is unreadable (ErrCorruptHeader).
func Identify(h *host.Host, dir string) (Header, error) {
	b, err := readFile(h.FS, h.FS.PathJoin(dir, headerName), headerAllBytes)
	if errors.Is(err, os.ErrNotExist) {
		return Header{}, fmt.Errorf("identify %s: %w", dir, withoutHeader(h.FS, dir))
	}
	if err != nil {
		return Header{}, fmt.Errorf("identify %s: %w", dir, err)
	}
	hd, err := decodeHeader(b)
	if errors.Is(err, ErrCorruptHeader) && len(b) == headerAllBytes {
		hd, err = decodeHeader(b[headerCopyAt:])
	}
	if err != nil {
		return Header{}, fmt.Errorf("identify %s: %w", dir, err)
	}
	return hd, nil
}

// withoutHeader says what a folder is that has no header.
func withoutHeader(fs host.FS, dir string) error {
	names, err := fs.List(dir)
	if errors.Is(err, os.ErrNotExist) {
		return ErrNotFormatted
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		switch name {
		case headerName + newSuffix, lockName, "lost+found": // a format that a crash cut short; a fresh mount
		case rootName + newSuffix: // of a root record that was replaced while the folder was emptied
		case rootName:
			if !isRoot(fs, fs.PathJoin(dir, name)) {
				return fmt.Errorf("%w: %q", ErrForeign, name)
			}
		case "index-view": // of the store; it may be made anew in a folder that was emptied while serving
		case extentsName:
			inside, err := fs.List(fs.PathJoin(dir, name))
			if err != nil {
				return err
			}
			if len(inside) > 0 {
				return fmt.Errorf("%w: there are extents and no header", ErrCorruptHeader)
			}
		default:
			return fmt.Errorf("%w: %q", ErrForeign, name)
		}
	}
	return ErrNotFormatted
}

// readFile reads a file of at most limit bytes; of a longer one, so many.
func readFile(fs host.FS, name string, limit int) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)))
	return b, errors.Join(err, f.Close())
}
