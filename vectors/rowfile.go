package vectors

import (
	"context"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/tables"
)

// rowFile is a file of rows with the places of its ids.
type rowFile struct{ rowFileRecord }

func openRowFile(value []byte) (*rowFile, error) {
	blobs, payload, err := objects.DecodeValue(slices.Clone(value))
	if err != nil {
		return nil, err
	}
	rec, err := decodeRowFileRecord(payload)
	rec.file.Blobs = blobs
	return &rowFile{rec}, err
}

// ParquetRowFiles keeps rows in Parquet.
func ParquetRowFiles(s tables.Store) RowFiles { return parquetFiles{tables.NewRowFiles(s)} }

type parquetFiles struct{ files *tables.RowFiles }

func (p parquetFiles) Write(ctx context.Context, _, _ string, rows []Row) (RowFile, error) {
	list := make([]tables.Row, len(rows))
	for i, r := range rows {
		list[i] = tables.Row{ID: r.ID, Key: r.Key, Vector: r.Vector, Metadata: r.Metadata}
		if s := r.Source; s != nil {
			list[i].Source = tables.Source{Key: s.Key, Version: s.Version.String(), Offset: s.Offset, Bytes: s.Length}
		}
	}
	f, err := p.files.Write(ctx, list)
	if err != nil {
		return RowFile{}, err
	}
	return RowFile{Blobs: []objects.Blob{f.Blob}, Rows: f.Rows, FirstID: f.FirstID, LastID: f.LastID, Detail: f.EncodeDetail()}, nil
}

func (p parquetFiles) Read(ctx context.Context, file RowFile, places []int) ([]Row, error) {
	if len(file.Blobs) != 1 {
		return nil, fmt.Errorf("%w: row file of %d blobs", ErrCorrupt, len(file.Blobs))
	}
	f := tables.File{Blob: file.Blobs[0], FirstID: file.FirstID, LastID: file.LastID}
	if err := f.DecodeDetail(file.Detail); err != nil {
		return nil, err
	}
	list, err := p.files.Rows(ctx, f, places)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(list))
	for i, r := range list {
		rows[i] = Row{ID: r.ID, Key: r.Key, Vector: r.Vector, Metadata: r.Metadata}
		if rows[i].Source, err = sourceOf(r.Source); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func sourceOf(s tables.Source) (*Source, error) {
	if s == (tables.Source{}) {
		return nil, nil
	}
	v, err := objects.ParseVersionID(s.Version)
	if err != nil {
		return nil, fmt.Errorf("%w: source of a row: %w", ErrCorrupt, err)
	}
	return &Source{Key: s.Key, Version: v, Offset: s.Offset, Length: s.Bytes}, nil
}
