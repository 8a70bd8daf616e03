package vectors

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/vectors/segment"
)

// rowGap is how far rows may lie apart that are read together: drives verify 64 KiB at once.
const rowGap = 32 << 10

// noteRead counts what one round of reads brought.
func (s *scan) noteRead(bytes int64) {
	if bytes > 0 {
		s.explain.BytesRead += bytes
		s.explain.Rounds++
	}
}

// rowsTogether are rows of one block that are read at once.
type rowsTogether struct {
	from, to int64 // in the block
	at       []int // places in the list of rows
}

// vectors reads the full numbers of rows that are not in memory: in one round, those that lie near each
// other together.
func (s *scan) vectors(ctx context.Context, near []waiting) ([][]float32, error) {
	out := make([][]float32, len(near))
	lack := make([]int, 0, len(near))
	for at := range near {
		if w := &near[at]; w.block.HasVectors() {
			out[at] = w.block.Vector(int(w.row))
		} else {
			lack = append(lack, at)
		}
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	read := int64(0)
	for _, t := range together(near, lack) {
		b := make([]byte, t.to-t.from)
		read += int64(len(b))
		tasks.Go(func() error {
			w := &near[t.at[0]]
			if err := s.o.e.o.Store.ReadBlob(ctx, w.from.file.blob, b, w.from.entry.Offset+t.from); err != nil {
				return fmt.Errorf("read row %d of neighbourhood %d in segment %d: %w", w.row, w.from.entry.Neighbourhood, w.from.file.seq, err)
			}
			for _, at := range t.at {
				w := &near[at]
				from := w.block.VectorAt(int(w.row)) - t.from
				out[at] = segment.Numbers(slices.Clone(b[from : from+4*int64(w.block.Dimension())]))
			}
			return nil
		})
	}
	s.noteRead(read)
	return out, tasks.Wait()
}

// together sorts rows by their places and joins what lies near each other.
func together(near []waiting, lack []int) []rowsTogether {
	slices.SortFunc(lack, func(i, j int) int {
		a, b := &near[i], &near[j]
		return cmp.Or(cmp.Compare(a.from.file.seq, b.from.file.seq), cmp.Compare(a.from.entry.Offset, b.from.entry.Offset), cmp.Compare(a.row, b.row))
	})
	var list []rowsTogether
	var last *waiting
	for _, at := range lack {
		w := &near[at]
		from := w.block.VectorAt(int(w.row))
		to := from + 4*int64(w.block.Dimension())
		if n := len(list) - 1; last != nil && last.from.file == w.from.file && last.from.entry.Offset == w.from.entry.Offset && from-list[n].to <= rowGap {
			list[n].to, list[n].at = max(to, list[n].to), append(list[n].at, at)
		} else {
			list = append(list, rowsTogether{from, to, []int{at}})
		}
		last = w
	}
	return list
}

// metadataTiers are the metadata of blocks of which only the fronts are in memory.
type metadataTiers map[*segment.Block][]byte

// metadata reads what the rows' blocks lack, in one round.
func (s *scan) metadata(ctx context.Context, rows []ranked) (metadataTiers, error) {
	tiers := metadataTiers{}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	read := int64(0)
	for i := range rows {
		f := &rows[i].found
		if _, known := tiers[f.block]; known || f.block.HasVectors() {
			continue
		}
		at, size := f.block.MetadataAt()
		b := make([]byte, size)
		tiers[f.block] = b
		read += int64(size)
		tasks.Go(func() error {
			if err := s.o.e.o.Store.ReadBlob(ctx, f.from.file.blob, b, f.from.entry.Offset+at); err != nil {
				return fmt.Errorf("read metadata of neighbourhood %d in segment %d: %w", f.from.entry.Neighbourhood, f.from.file.seq, err)
			}
			return nil
		})
	}
	s.noteRead(read)
	return tiers, tasks.Wait()
}

// of is a row's metadata, copied; nil: none.
func (t metadataTiers) of(b *segment.Block, row int) ([]byte, error) {
	if b.HasVectors() {
		return slices.Clone(b.Metadata(row)), nil
	}
	m, err := b.MetadataIn(t[b], row)
	return slices.Clone(m), err
}
