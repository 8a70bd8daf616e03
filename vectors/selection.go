package vectors

import (
	"context"

	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/lexicon"
)

// selection is the rows that a filter means, by where they lie; found before anything is compared.
// Rows that do not count any more are among them.
type selection struct {
	segments map[*segmentFile]filter.Set
	pushes   map[*push]filter.Set
	rows     int // of parts that count, and of the tail
}

// in is how many rows of a part are meant.
func (c *selection) in(p *part) int {
	return c.segments[p.file].Count(p.first, p.first+int(p.entry.Rows))
}

// inHome is how many rows of a neighbourhood's parts are meant.
func (c *selection) inHome(h *home) (n int) {
	for i := range h.parts {
		n += c.in(&h.parts[i])
	}
	return n
}

// listedPushes are the pushes of the tail that have rows.
func (m *moment) listedPushes() (list []*push) {
	for _, p := range m.tail {
		if p.block != nil {
			list = append(list, p)
		}
	}
	return list
}

// choose finds the rows that a filter means. It is nil where lists do not tell: then documents do.
func (o *opened) choose(ctx context.Context, m *moment, f *filter.Filter) (*selection, error) {
	c := &selection{segments: make(map[*segmentFile]filter.Set, len(m.segments)), pushes: map[*push]filter.Set{}}
	var missing []wordsOf
	for _, s := range m.segments {
		if set, ok := o.e.shelf.get(s.on(shelfChosen, f.Text())).(filter.Set); ok {
			c.segments[s] = set
		} else {
			missing = append(missing, s)
		}
	}
	for _, p := range m.listedPushes() {
		missing = append(missing, p)
	}
	if told, err := o.chooseFrom(ctx, c, missing, f); !told {
		return nil, err
	}
	for p, set := range c.pushes {
		c.rows += set.Count(0, p.rows())
	}
	for _, h := range m.homes {
		c.rows += c.inHome(h)
	}
	return c, nil
}

// chooseFrom is not told where a field was left out of a lexicon.
func (o *opened) chooseFrom(ctx context.Context, c *selection, missing []wordsOf, f *filter.Filter) (told bool, err error) {
	lists := make([]lexicon.Lists, len(missing))
	for i, of := range missing {
		lists[i] = lexicon.Lists{Count: of.all(), Fields: make(map[string]*lexicon.Section, len(f.Fields()))}
	}
	for _, name := range f.Fields() {
		sections, err := o.sections(ctx, missing, lexicon.Values, name)
		if err != nil {
			return false, err
		}
		for i, s := range sections {
			if s == nil {
				if covers, err := missing[i].covers(ctx, o, lexicon.Values, name); err != nil || !covers {
					return false, err
				}
				continue
			}
			lists[i].Fields[name] = s
		}
	}
	for i, of := range missing {
		set := f.Select(lists[i])
		switch of := of.(type) {
		case *push:
			c.pushes[of] = set
		case *segmentFile:
			c.segments[of] = set
			o.e.shelf.put(of.on(shelfChosen, f.Text()), set, 8*len(set))
		}
	}
	return true, nil
}
