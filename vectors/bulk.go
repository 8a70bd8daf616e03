package vectors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/segment"
)

// listMeant is a page of the keys that a filter means. Where those are many, keys are read in order and
// looked at; else all of them are gathered and put in order.
func (o *opened) listMeant(ctx context.Context, r ListRequest, f *filter.Filter) (page Page, err error) {
	m := o.moment()
	list, err := o.living(ctx, &m, f)
	if err != nil {
		return page, err
	}
	rows := 0
	for _, l := range list {
		rows += l.rows
	}
	if 4*rows > m.rows+m.size.rows && rows > 4*r.Max {
		return o.listLooking(ctx, r, f)
	}
	found, err := o.gatherKeys(ctx, &m, list, r)
	if err != nil {
		return page, err
	}
	if len(found) > r.Max {
		found = found[:r.Max]
		page.Next = found[r.Max-1].key
	}
	page.Vectors, err = o.fetch(ctx, found, r.WithValues, r.WithMetadata)
	return page, err
}

// gatherKeys are the first keys of living rows behind r.After, one more than a page has.
func (o *opened) gatherKeys(ctx context.Context, m *moment, list []living, r ListRequest) ([]named, error) {
	var found []named
	byKey := func(a, b named) int { return strings.Compare(a.key, b.key) }
	cut := func() {
		slices.SortFunc(found, byKey)
		found = found[:min(len(found), r.Max+1)]
	}
	err := o.eachBlock(ctx, m, list, func(b *segment.Block, row int) {
		key := b.Key(row)
		if key <= r.After && r.After != "" || !inSegment(key, r.Segment, max(r.Segments, 1)) {
			return
		}
		found = append(found, named{key, mapping{id: b.IDs()[row], source: b.SourceVersion(row)}})
		if len(found) > 16*(r.Max+1) {
			cut()
		}
	})
	cut()
	return found, err
}

// listLooking reads keys in order, and looks at the metadata of what they mean.
func (o *opened) listLooking(ctx context.Context, r ListRequest, f *filter.Filter) (page Page, err error) {
	raw := ListRequest{After: r.After, Max: r.Max, Segment: r.Segment, Segments: r.Segments, WithValues: r.WithValues, WithMetadata: true}
	for len(page.Vectors) <= r.Max {
		some, err := o.list(ctx, raw)
		if err != nil {
			return page, err
		}
		for _, v := range some.Vectors {
			d, err := filter.Pack(v.Metadata, o.rec.spec.filterable)
			if err != nil {
				return page, fmt.Errorf("read the metadata of %q: %w", v.Key, err)
			}
			if f.Match(d) {
				page.Vectors = append(page.Vectors, v)
			}
		}
		if raw.After = some.Next; raw.After == "" {
			break
		}
	}
	if len(page.Vectors) > r.Max {
		page.Vectors = page.Vectors[:r.Max]
		page.Next = page.Vectors[r.Max-1].Key
	}
	trim(page.Vectors, r.WithValues, r.WithMetadata)
	return page, nil
}

// DeleteRequest says which vectors are to go.
type DeleteRequest struct {
	Filter []byte // JSON; it must ask for something
	Max    int    // at most so many; 0: all
	DryRun bool   // only count
}

// Deleted is what came of it.
type Deleted struct {
	Deleted uint64 // or what would be, of a dry run
	More    bool   // Max was reached, and more are meant
}

// DeleteWhere removes the vectors that a filter means when it begins; a key that is given another vector
// meanwhile keeps that. It goes in batches: where it fails, what it had removed is gone, and it may be called again.
func (e *Engine) DeleteWhere(ctx context.Context, bucket, name string, r DeleteRequest) (d Deleted, err error) {
	if r.Max < 0 {
		return d, invalid("max", "is %d, must not be negative", r.Max)
	}
	if f, err := parseFilter(r.Filter); err != nil || f == nil {
		if err == nil {
			err = invalid("filter", "is needed, and must ask for something: to remove all vectors, delete the index")
		}
		return d, err
	}
	var doomed []named
	var inc incarnation
	err = e.withLiving(ctx, bucket, name, r.Filter, func(o *opened, m *moment, list []living) error {
		doomed, inc = nil, o.rec.inc
		return o.eachBlock(ctx, m, list, func(b *segment.Block, row int) {
			doomed = append(doomed, named{b.Key(row), mapping{id: b.IDs()[row]}})
		})
	})
	if err != nil {
		return d, err
	}
	if d.More = r.Max > 0 && len(doomed) > r.Max; d.More {
		slices.SortFunc(doomed, func(a, b named) int { return strings.Compare(a.key, b.key) })
		doomed = doomed[:r.Max]
	}
	if r.DryRun {
		d.Deleted = uint64(len(doomed))
		return d, nil
	}
	for batch := range slices.Chunk(doomed, BatchMax) {
		n, err := e.deleteThese(ctx, bucket, name, inc, batch)
		d.Deleted += n
		if err != nil {
			return d, fmt.Errorf("delete by filter, after %d vectors: %w", d.Deleted, err)
		}
	}
	return d, nil
}

// deleteThese removes keys that still mean the very vectors of an incarnation.
func (e *Engine) deleteThese(ctx context.Context, bucket, name string, inc incarnation, these []named) (n uint64, err error) {
	rows, ids := make([]segment.Row, len(these)), make(map[uint64]bool, len(these))
	for i, d := range these {
		rows[i].Key = d.key
		ids[d.id] = true
	}
	for range attemptsMax {
		o, err := e.use(ctx, bucket, name)
		if err != nil {
			return n, err
		}
		if o.rec.inc != inc {
			return n, ErrNoIndex // it was deleted with all its vectors, and made again
		}
		if err := o.awaitRoom(ctx); err != nil {
			return n, err
		}
		gone, err := o.deleteRows(ctx, rows, ids)
		if n += gone; !errors.Is(err, errGone) {
			return n, err
		}
		e.forget(o)
	}
	return n, objects.ErrConflict
}

func (o *opened) deleteRows(ctx context.Context, rows []segment.Row, ids map[uint64]bool) (n uint64, err error) {
	for _, piece := range o.pieces(rows) {
		w := &write{}
		for _, r := range piece {
			w.keys = append(w.keys, r.Key)
		}
		gone, err := o.deleteWhile(ctx, w, ids)
		if n += gone; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (o *opened) deleteWhile(ctx context.Context, w *write, ids map[uint64]bool) (n uint64, err error) {
	for range attemptsMax {
		if err := o.nameTail(w); err != nil {
			return 0, err
		}
		n = 0
		err := o.commitOnce(ctx, w, func(m mapping) bool {
			if ids[m.id] {
				n++
			}
			return ids[m.id]
		})
		var failed *index.ConditionError
		switch {
		case err == nil:
			return n, nil
		case !errors.As(err, &failed):
			return 0, err
		case failed.Condition == 0:
			return 0, errGone
		}
	}
	return 0, objects.ErrConflict
}
