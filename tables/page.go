package tables

import (
	"bytes"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// vectorPages finds where each page of the vector column holds its values. In a
// data page of version 2 the levels stand before the values and their lengths in
// the header (Apache Parquet format, "Data Pages").
func vectorPages(raw []byte, dimension int) ([]Page, error) {
	in, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("reopen row file: %w", err)
	}
	column, ok := in.Schema().Lookup("vector", "list", "element")
	if !ok {
		return nil, fmt.Errorf("%w: no vector column", ErrCorrupt)
	}
	var pages []Page
	groupRow := 0
	for i, group := range in.RowGroups() {
		chunk := in.Metadata().RowGroups[i].Columns[column.ColumnIndex].MetaData
		if chunk.Codec != format.Uncompressed {
			return nil, fmt.Errorf("%w: the vector column is compressed", ErrCorrupt)
		}
		offsets, err := group.ColumnChunks()[column.ColumnIndex].OffsetIndex()
		if err != nil {
			return nil, fmt.Errorf("read the offset index: %w", err)
		}
		for p := range offsets.NumPages() {
			values, err := valuesOffset(raw, offsets.Offset(p), offsets.CompressedPageSize(p))
			if err != nil {
				return nil, err
			}
			pages = append(pages, Page{FirstRow: groupRow + int(offsets.FirstRowIndex(p)), Offset: values})
		}
		groupRow += int(group.NumRows())
	}
	return pages, checkPages(pages, groupRow, dimension, int64(len(raw)))
}

// valuesOffset parses the header of the page at off and skips it and the levels.
func valuesOffset(raw []byte, off, size int64) (int64, error) {
	if off < 0 || size < 1 || off+size > int64(len(raw)) {
		return 0, fmt.Errorf("%w: a page at %d with %d bytes lies outside the file", ErrCorrupt, off, size)
	}
	in := bytes.NewReader(raw[off : off+size])
	protocol := new(thrift.CompactProtocol)
	var header format.PageHeader
	if err := thrift.NewDecoder(protocol.NewReader(in)).Decode(&header); err != nil {
		return 0, fmt.Errorf("%w: page header at %d: %w", ErrCorrupt, off, err)
	}
	if header.Type != format.DataPageV2 || !header.DataPageHeaderV2.Valid || header.DataPageHeaderV2.V.Encoding != format.Plain {
		return 0, fmt.Errorf("%w: the page at %d is not a plain data page of version 2", ErrCorrupt, off)
	}
	levels := int64(header.DataPageHeaderV2.V.RepetitionLevelsByteLength) + int64(header.DataPageHeaderV2.V.DefinitionLevelsByteLength)
	return off + size - int64(header.CompressedPageSize) + levels, nil
}

func checkPages(pages []Page, rows, dimension int, fileBytes int64) error {
	for i, p := range pages {
		end := rows
		if i+1 < len(pages) {
			end = pages[i+1].FirstRow
		}
		if end <= p.FirstRow || p.Offset+int64(end-p.FirstRow)*int64(dimension)*4 > fileBytes {
			return fmt.Errorf("%w: page %d of the vector column has no room for its rows", ErrCorrupt, i)
		}
	}
	if len(pages) == 0 || pages[0].FirstRow != 0 {
		return fmt.Errorf("%w: the vector column has no first page", ErrCorrupt)
	}
	return nil
}
