package vectors

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/lexicon"
	"github.com/tarnlake/tarn/vectors/segment"
)

// living are the rows of a segment or a push that are alive and meant by a filter.
type living struct {
	of   wordsOf
	set  filter.Set
	rows int // in set
}

// living finds the rows that a filter means and that are alive at the moment; no filter means all.
func (o *opened) living(ctx context.Context, m *moment, f *filter.Filter) ([]living, error) {
	chosen, err := o.meant(ctx, m, f)
	if err != nil {
		return nil, err
	}
	var list []living
	for _, s := range m.listedSegments() {
		set := filter.NewSet(s.all())
		for _, p := range m.partsOf(s) {
			chosen.segments[s].Each(p.first, p.first+int(p.entry.Rows), func(row int) bool { set.Add(row); return true })
		}
		if err := o.bury(ctx, m, s, set); err != nil {
			return nil, err
		}
		list = append(list, living{of: s, set: set, rows: set.Count(0, s.all())})
	}
	for _, p := range m.listedPushes() {
		set := filter.NewSet(p.rows())
		chosen.pushes[p].Each(0, p.rows(), func(row int) bool {
			if o.alive(m, p.block, row) {
				set.Add(row)
			}
			return true
		})
		list = append(list, living{of: p, set: set, rows: set.Count(0, p.rows())})
	}
	return slices.DeleteFunc(list, func(l living) bool { return l.rows == 0 }), nil
}

// listedSegments are the segments by age.
func (m *moment) listedSegments() (list []*segmentFile) {
	for _, seq := range slices.Sorted(maps.Keys(m.segments)) {
		list = append(list, m.segments[seq])
	}
	return list
}

// partsOf are the parts of a segment that count, in order.
func (m *moment) partsOf(s *segmentFile) (parts []part) {
	for i, entry := range s.entries {
		if h := m.homes[entry.Neighbourhood]; h != nil && s.seq >= h.floor {
			parts = append(parts, part{s, entry, &s.held[i], s.firsts[i]})
		}
	}
	return parts
}

// meant is what a filter chooses, by lists or else by documents; no filter chooses all.
func (o *opened) meant(ctx context.Context, m *moment, f *filter.Filter) (*selection, error) {
	if f != nil {
		c, err := o.choose(ctx, m, f)
		if err != nil {
			return nil, err
		}
		if c != nil {
			return c, o.chooseTail(ctx, m, f, c)
		}
	}
	c := &selection{segments: map[*segmentFile]filter.Set{}, pushes: map[*push]filter.Set{}}
	for _, s := range m.segments {
		set, err := o.matching(ctx, m, s, f)
		if err != nil {
			return nil, err
		}
		c.segments[s] = set
	}
	for _, p := range m.listedPushes() {
		c.pushes[p] = matches(p.block, f, filter.NewSet(p.rows()), 0)
	}
	return c, nil
}

// matching looks at the documents of a segment.
func (o *opened) matching(ctx context.Context, m *moment, s *segmentFile, f *filter.Filter) (filter.Set, error) {
	set := filter.NewSet(s.all())
	if f == nil {
		for row := range s.all() {
			set.Add(row)
		}
		return set, nil
	}
	parts := m.partsOf(s)
	for some := range slices.Chunk(parts, 64) {
		blocks, _, err := o.e.cache.blocks(ctx, some)
		if err != nil {
			return nil, err
		}
		for i, b := range blocks {
			matches(b, f, set, some[i].first)
		}
	}
	return set, nil
}

func matches(b *segment.Block, f *filter.Filter, set filter.Set, first int) filter.Set {
	for i := range b.Len() {
		if f.Match(b.Document(i)) {
			set.Add(first + i)
		}
	}
	return set
}

// bury takes the rows of a segment that are dead at the moment out of a set.
func (o *opened) bury(ctx context.Context, m *moment, s *segmentFile, set filter.Set) error {
	if m.deaths {
		ids, err := s.section(ctx, o, lexicon.IDs, "")
		if err != nil {
			return err
		}
		o.buryIDs(m, ids, set, s.all())
	}
	if m.sources == nil {
		return nil
	}
	var parts []part
	for _, p := range m.partsOf(s) {
		if set.Count(p.first, p.first+int(p.entry.Rows)) > 0 {
			parts = append(parts, p)
		}
	}
	for some := range slices.Chunk(parts, 64) {
		blocks, _, err := o.e.cache.blocks(ctx, some)
		if err != nil {
			return err
		}
		for i, b := range blocks {
			o.buryOrphans(m, b, set, some[i].first)
		}
	}
	return nil
}

func (o *opened) buryIDs(m *moment, ids *lexicon.Section, set filter.Set, rows int) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	set.Each(0, rows, func(row int) bool {
		if died, dead := m.dead[ids.ID(row)]; dead && died <= m.seq {
			set.Remove(row)
		}
		return true
	})
}

func (o *opened) buryOrphans(m *moment, b *segment.Block, set filter.Set, first int) {
	set.Each(first, first+b.Len(), func(row int) bool {
		if b.SourceVersion(row-first) != (objects.VersionID{}) && !o.alive(m, b, row-first) {
			set.Remove(row)
		}
		return true
	})
}

// eachBlock calls f with the blocks, or their fronts, in which living rows lie.
func (o *opened) eachBlock(ctx context.Context, m *moment, list []living, f func(b *segment.Block, row int)) error {
	for _, l := range list {
		if p, ok := l.of.(*push); ok {
			l.set.Each(0, p.rows(), func(row int) bool { f(p.block, row); return true })
			continue
		}
		var parts []part
		for _, p := range m.partsOf(l.of.(*segmentFile)) {
			if l.set.Count(p.first, p.first+int(p.entry.Rows)) > 0 {
				parts = append(parts, p)
			}
		}
		for some := range slices.Chunk(parts, 64) {
			if err := ctx.Err(); err != nil {
				return err
			}
			blocks, _, err := o.e.cache.blocks(ctx, some)
			if err != nil {
				return err
			}
			for i, b := range blocks {
				l.set.Each(some[i].first, some[i].first+b.Len(), func(row int) bool { f(b, row-some[i].first); return true })
			}
		}
	}
	return nil
}

// parseFilter reads a filter for an index, and names what is wrong with it.
func parseFilter(raw []byte) (*filter.Filter, error) {
	f, err := filter.Parse(raw)
	if err != nil {
		return nil, invalidBelow("filter", err)
	}
	return f, nil
}

func (s *Spec) checkFilter(f *filter.Filter) error {
	for _, name := range f.Fields() {
		if !s.filterable(name) {
			return invalid("filter."+name, "is one of the index's non-filterable metadata keys")
		}
	}
	return nil
}

// withLiving runs f with the rows that a filter means in an index that has all that was acknowledged.
func (e *Engine) withLiving(ctx context.Context, bucket, name string, raw []byte, f func(o *opened, m *moment, list []living) error) error {
	parsed, err := parseFilter(raw)
	if err != nil {
		return err
	}
	return e.steady(ctx, bucket, name, func(o *opened) error {
		if err := o.rec.spec.checkFilter(parsed); err != nil {
			return err
		}
		m := o.moment()
		list, err := o.living(ctx, &m, parsed)
		if err != nil {
			return fmt.Errorf("find what the filter means: %w", err)
		}
		return f(o, &m, list)
	})
}

// Count tells how many vectors a filter means; no filter counts all.
func (e *Engine) Count(ctx context.Context, bucket, name string, raw []byte) (n uint64, err error) {
	err = e.withLiving(ctx, bucket, name, raw, func(_ *opened, _ *moment, list []living) error {
		n = 0
		for _, l := range list {
			n += uint64(l.rows)
		}
		return nil
	})
	return n, err
}
