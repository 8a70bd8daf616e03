package vectors

import (
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/tables"
	"github.com/tarnlake/tarn/vectors/segment"
)

// ParquetRows keeps rows in open Parquet, through package tables.
func ParquetRows(files *tables.RowFiles) RowFiles { return parquetRows{files} }

type parquetRows struct{ files *tables.RowFiles }

func (p parquetRows) Write(ctx context.Context, _, _ string, rows []Row) (RowFile, error) {
	list := make([]tables.Row, len(rows))
	for i, r := range rows {
		list[i] = tables.Row{ID: r.ID, Key: r.Key, Vector: r.Vector, Metadata: r.Metadata}
		if r.Source != nil {
			list[i].Source = tables.Source{Key: r.Source.Key, Version: r.Source.Version.String(), Offset: r.Source.Offset, Bytes: r.Source.Length}
		}
	}
	f, err := p.files.Write(ctx, list)
	if err != nil {
		return RowFile{}, err
	}
	return RowFile{Blobs: []objects.Blob{f.Blob}, Rows: f.Rows, FirstID: f.FirstID, LastID: f.LastID, Detail: f.EncodeDetail()}, nil
}

func (p parquetRows) Read(ctx context.Context, file RowFile, places []int) ([]Row, error) {
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
		if r.Source.Version == "" {
			continue
		}
		version, err := objects.ParseVersionID(r.Source.Version)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", places[i], err)
		}
		rows[i].Source = &segment.Source{Key: r.Source.Key, Version: version, Offset: r.Source.Offset, Length: r.Source.Bytes}
	}
	return rows, nil
}
