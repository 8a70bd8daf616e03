package vectors

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// Get reads vectors by key, in the order of the keys. Keys that do not exist are
// left out.
func (e *Engine) Get(ctx context.Context, bucket, name string, keys []string, withValues, withMetadata bool) ([]Vector, error) {
	if err := validateKeys(keys, GetMax); err != nil {
		return nil, err
	}
	var found []Vector
	err := e.steady(ctx, bucket, name, func(o *opened) error {
		before := o.moment()
		named := make([]named, 0, len(keys))
		for _, k := range keys {
			m, version, err := o.mapping(ctx, o.keys.key(keyMapping, k))
			if err != nil {
				return err
			}
			if version != 0 && !o.orphaned(&before, m.source) {
				named = append(named, namedOf(k, m))
			}
		}
		var err error
		found, err = o.fetch(ctx, named, withValues, withMetadata)
		return err
	})
	return found, err
}

// Page is one page of a listing.
type Page struct {
	Vectors []Vector
	Next    string // the key after which the next page begins; "" at the end
}

// ListRequest asks for vectors in the order of their keys. Several readers share
// the work by asking each for one of Segments.
type ListRequest struct {
	After             string // a key; exclusive
	Max               int    // 1 to 1000; 0: 500
	Segment, Segments int    // Segment 0 to Segments-1; Segments 0: 1
	Filter            []byte // JSON; nil: all
	WithValues        bool
	WithMetadata      bool
}

// List pages through an index in key order.
func (e *Engine) List(ctx context.Context, bucket, name string, r ListRequest) (Page, error) {
	if r.Max == 0 {
		r.Max = 500
	}
	r.Segments = max(r.Segments, 1)
	switch {
	case r.Max < 1 || r.Max > PageMax:
		return Page{}, invalid("maxResults", "is %d, must be 1 to %d", r.Max, PageMax)
	case r.Segments > SegmentsMax:
		return Page{}, invalid("segmentCount", "is %d, must be 1 to %d", r.Segments, SegmentsMax)
	case r.Segment < 0 || r.Segment >= r.Segments:
		return Page{}, invalid("segmentIndex", "is %d, must be 0 to %d", r.Segment, r.Segments-1)
	}
	f, err := parseFilter(r.Filter)
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = e.steady(ctx, bucket, name, func(o *opened) (err error) {
		if err := o.rec.spec.checkFilter(f); err != nil {
			return err
		}
		if f != nil {
			page, err = o.listMeant(ctx, r, f)
			return err
		}
		page, err = o.list(ctx, r)
		return err
	})
	return page, err
}

func (o *opened) list(ctx context.Context, r ListRequest) (page Page, err error) {
	before := o.moment()
	lo, hi := o.keys.all(keyMapping)
	prefix := len(lo)
	if r.After != "" {
		lo = append(o.keys.key(keyMapping, r.After), 0)
	}
	var list []named
	for it, err := range o.e.index.Scan(ctx, lo, hi, index.ScanOptions{}) {
		if err != nil {
			return page, fmt.Errorf("list vectors: %w", err)
		}
		key := string(it.Key[prefix:])
		if !inSegment(key, r.Segment, r.Segments) {
			continue
		}
		_, payload, err := objects.DecodeValue(it.Value)
		if err != nil {
			return page, err
		}
		m, err := decodeMapping(payload)
		if err != nil {
			return page, err
		}
		if o.orphaned(&before, m.source) {
			continue
		}
		if len(list) == r.Max {
			page.Next = list[len(list)-1].key
			break
		}
		list = append(list, namedOf(key, m))
	}
	page.Vectors, err = o.fetch(ctx, list, r.WithValues, r.WithMetadata)
	return page, err
}

// inSegment divides keys by their hash.
func inSegment(key string, segment, segments int) bool {
	if segments == 1 {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32()%uint32(segments)) == segment
}

// named is a key with the vector that it meant when the mapping was read.
type named struct {
	key string
	mapping
}

func namedOf(key string, m mapping) named { return named{key, m} }

// errMoved: a row was overwritten or moved while it was looked for.
var errMoved = errors.New("vectors: row moved")

// steady runs f on an index that has all that was acknowledged, again where
// rows moved under it.
func (e *Engine) steady(ctx context.Context, bucket, name string, f func(*opened) error) error {
	var err error
	for range attemptsMax {
		if err = e.barrier(ctx); err != nil {
			return err
		}
		var o *opened
		if o, err = e.use(ctx, bucket, name); err != nil {
			return err
		}
		before := o.moment().view
		err = f(o)
		if err == nil {
			return nil
		}
		if errors.Is(err, errMoved) {
			continue
		}
		if ended := e.barrier(ctx); ended != nil { // memory follows no more: err may be because of that
			return fmt.Errorf("%w: %w", ended, err)
		}
		if o.moment().view == before && !o.isStale() {
			return err
		}
	}
	return err
}

// fetch reads the rows of keys; those whose source died are left out. What was dead
// when the keys were read is the caller's to leave out: it may be forgotten by now.
func (o *opened) fetch(ctx context.Context, list []named, withValues, withMetadata bool) ([]Vector, error) {
	if err := o.e.barrier(ctx); err != nil { // the mappings may be newer than our memory
		return nil, err
	}
	m := o.moment()
	list = slices.DeleteFunc(list, func(n named) bool { return o.orphaned(&m, n.source) })
	out := make([]Vector, len(list))
	if !withValues && !withMetadata {
		for i, n := range list {
			out[i].Key = n.key
		}
		return out, nil
	}
	elsewhere := map[*rowFile][]int{} // places in list
	for i, n := range list {
		if r, ok := m.tailRow(n.id); ok {
			row := r.push.block.Row(r.row)
			out[i] = vectorOf(row.Key, row.Vector, row.Metadata, row.Source)
			continue
		}
		f := m.rowFile(n.id)
		if f == nil {
			return nil, fmt.Errorf("%w: no row of id %d", errMoved, n.id)
		}
		elsewhere[f] = append(elsewhere[f], i)
	}
	for f, places := range elsewhere {
		if err := o.fetchFile(ctx, f, list, places, out); err != nil {
			return nil, err
		}
	}
	trim(out, withValues, withMetadata)
	return out, nil
}

func (o *opened) fetchFile(ctx context.Context, f *rowFile, list []named, places []int, out []Vector) error {
	rows := make([]int, len(places))
	for i, p := range places {
		rows[i], _ = f.place(list[p].id)
	}
	got, err := o.e.o.Rows.Read(ctx, f.file, rows)
	if err != nil {
		return fmt.Errorf("read %d rows from a row file: %w", len(rows), err)
	}
	for i, p := range places {
		if got[i].ID != list[p].id || got[i].Key != list[p].key {
			return fmt.Errorf("%w: row file has id %d with key %q where id %d with key %q was expected", ErrCorrupt, got[i].ID, got[i].Key, list[p].id, list[p].key)
		}
		out[p] = vectorOf(got[i].Key, got[i].Vector, got[i].Metadata, got[i].Source)
	}
	return nil
}

// vectorOf copies what lies in a block's memory, so that an answer pins no block.
func vectorOf(key string, values []float32, metadata []byte, s *Source) Vector {
	return Vector{Key: key, Values: slices.Clone(values), Metadata: slices.Clone(metadata), Source: s}
}

func trim(list []Vector, withValues, withMetadata bool) {
	for i := range list {
		if !withValues {
			list[i].Values = nil
		}
		if !withMetadata {
			list[i].Metadata = nil
		}
	}
}

// tailRow finds a row of the tail by its id. The ids of one push are consecutive.
func (m *moment) tailRow(id uint64) (ref, bool) {
	for _, p := range m.tail {
		if n := p.rows(); n > 0 {
			if first := p.block.IDs()[0]; id >= first && id-first < uint64(n) {
				return ref{p, int(id - first)}, true
			}
		}
	}
	return ref{}, false
}

// rowFile is the file that has the row of an id.
func (m *moment) rowFile(id uint64) *rowFile {
	for _, f := range m.rowFiles {
		if id >= f.file.FirstID && id <= f.file.LastID {
			if _, ok := f.place(id); ok {
				return f
			}
		}
	}
	return nil
}
