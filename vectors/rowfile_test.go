package vectors

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/segment"
)

// rowsOfChunk is how many rows of an own row file are read together.
const rowsOfChunk = 32

// ownRowFiles keeps rows in segments whose blocks are chunks of 32 rows, numbered
// from 1: a second form of row files, quicker than Parquet for long histories.
// Detail is the size of header and directory, 4 bytes.

type ownRowFiles struct{ store Store }

func (f ownRowFiles) Write(ctx context.Context, _, _ string, rows []Row) (RowFile, error) {
	b := segment.Builder{Sequence: rows[0].ID, Dimension: len(rows[0].Vector)}
	chunk := uint32(0)
	for part := range slices.Chunk(rows, rowsOfChunk) {
		chunk++
		list := make([]segment.Row, len(part))
		for i, r := range part {
			list[i] = segment.Row{ID: r.ID, Key: r.Key, Vector: r.Vector, Metadata: r.Metadata, Source: r.Source}
		}
		if err := b.Add(chunk, list); err != nil {
			return RowFile{}, err
		}
	}
	data, head := b.Finish()
	blob, err := f.store.WriteBlob(ctx, bytes.NewReader(data), int64(len(data)))
	return RowFile{
		Blobs: []objects.Blob{blob}, Rows: len(rows), FirstID: rows[0].ID, LastID: rows[len(rows)-1].ID,
		Detail: binary.LittleEndian.AppendUint32(nil, uint32(head)),
	}, err
}

func (f ownRowFiles) Read(ctx context.Context, file RowFile, places []int) ([]Row, error) {
	if len(file.Blobs) != 1 || len(file.Detail) != 4 {
		return nil, fmt.Errorf("%w: row file of %d blobs", ErrCorrupt, len(file.Blobs))
	}
	head := make([]byte, binary.LittleEndian.Uint32(file.Detail))
	if int64(len(head)) > file.Blobs[0].Bytes {
		return nil, fmt.Errorf("%w: directory of a row file", ErrCorrupt)
	}
	if err := f.store.ReadBlob(ctx, file.Blobs[0], head, 0); err != nil {
		return nil, err
	}
	entries, err := segment.Directory(head, file.FirstID, file.Blobs[0].Bytes)
	if err != nil {
		return nil, err
	}
	chunks := map[int]*segment.Block{}
	rows := make([]Row, len(places))
	for i, place := range places {
		n := place/rowsOfChunk + 1
		if chunks[n] == nil {
			entry, ok := segment.Find(entries, uint32(n))
			if !ok {
				return nil, fmt.Errorf("%w: row file without chunk %d", ErrCorrupt, n)
			}
			p := part{file: &segmentFile{blob: file.Blobs[0], seq: file.FirstID}, entry: entry, held: new(held)}
			if chunks[n], err = readBlock(ctx, f.store, &p); err != nil {
				return nil, err
			}
		}
		if place%rowsOfChunk >= chunks[n].Len() {
			return nil, fmt.Errorf("%w: row file without row %d", ErrCorrupt, place)
		}
		r := chunks[n].Row(place % rowsOfChunk)
		rows[i] = Row{ID: r.ID, Key: r.Key, Vector: r.Vector, Metadata: r.Metadata, Source: r.Source}
	}
	return rows, nil
}
