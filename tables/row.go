package tables

import (
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects"
)

// Row is one vector of an index with all that belongs to it.
type Row struct {
	ID       uint64
	Key      string
	Vector   []float32 // of the file's dimension
	Metadata []byte    // JSON; nil for none
	Source   Source
}

// Source is the object version and the bytes in it that a row was made from. The
// zero value is none.
type Source struct {
	Key     string
	Version string // 32 hex digits
	Offset  int64
	Bytes   int64
}

// File is a Parquet file of rows: its bytes and where in them the vectors lie.
// It is kept in index values through EncodeFile.
type File struct {
	Blob      objects.Blob
	Rows      int
	Dimension int
	FirstID   uint64 // least id
	LastID    uint64 // greatest id
	Pages     []Page // of the vector column, in order of rows
}

// Page is one page of the vector column.
type Page struct {
	FirstRow int
	Offset   int64 // in the file, of the first value
}

var (
	// ErrCorrupt: a file that does not decode, or decodes to other rows than were written.
	ErrCorrupt = errors.New("tables: corrupt row file")
	// ErrRow: a row number outside the file.
	ErrRow = errors.New("tables: no such row")
)

// offset is where row's vector lies in the file.
func (f *File) offset(row int) (int64, error) {
	if row < 0 || row >= f.Rows {
		return 0, fmt.Errorf("%w: %d of %d", ErrRow, row, f.Rows)
	}
	low, high := 0, len(f.Pages)
	for high-low > 1 {
		if mid := (low + high) / 2; f.Pages[mid].FirstRow <= row {
			low = mid
		} else {
			high = mid
		}
	}
	if len(f.Pages) == 0 || f.Pages[low].FirstRow > row {
		return 0, fmt.Errorf("%w: no page holds row %d", ErrCorrupt, row)
	}
	return f.Pages[low].Offset + int64(row-f.Pages[low].FirstRow)*int64(f.Dimension)*4, nil
}
