package tables

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Rows reads the rows at places, in that order.
func (r *RowFiles) Rows(ctx context.Context, f File, places []int) (out []Row, err error) {
	defer recovered(&err)
	in, err := parquet.OpenFile(&blobReader{ctx: ctx, store: r.store, blob: f.Blob}, f.Blob.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	rows := parquet.NewGenericReader[columns](in)
	defer rows.Close()
	out = make([]Row, len(places))
	next := -1
	for i, place := range places {
		if place < 0 || place >= f.Rows {
			return nil, fmt.Errorf("%w: %d of %d", ErrRow, place, f.Rows)
		}
		if place != next {
			if err := rows.SeekToRow(int64(place)); err != nil {
				return nil, fmt.Errorf("%w: seek to row %d: %w", ErrCorrupt, place, err)
			}
		}
		var one [1]columns
		if n, err := rows.Read(one[:]); n != 1 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("%w: row %d: %w", ErrCorrupt, place, err)
		}
		out[i], next = fromColumns(&one[0]), place+1
	}
	return out, nil
}
