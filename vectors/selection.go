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
	pushes   map[*push]filter.Set // nil until they were asked for
	rows     int                  // of parts that count, and of the pushes
	spread   *spread              // nil while the index is young
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

// choose finds the rows of segments that a filter means. It is nil where lists do not tell: then
// documents do.
func (o *opened) choose(ctx context.Context, m *moment, f *filter.Filter) (*selection, error) {
	c := &selection{segments: make(map[*segmentFile]filter.Set, len(m.segments))}
	var missing []wordsOf
	for _, s := range m.segments {
		if set, ok := o.e.shelf.get(s.on(shelfChosen, f.Text())).(filter.Set); ok {
			c.segments[s] = set
		} else {
			missing = append(missing, s)
		}
	}
	if told, err := o.chooseFrom(ctx, c, missing, f); !told {
		return nil, err
	}
	if m.byPlace == nil {
		for _, h := range m.homes {
			c.rows += c.inHome(h)
		}
		return c, nil
	}
	c.spread = m.spreadOf(f, c)
	c.rows = c.spread.rows
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
		s := of.(*segmentFile)
		c.segments[s] = set
		o.e.shelf.put(s.on(shelfChosen, f.Text()), set, 8*len(set))
	}
	return true, nil
}

// listedFrom is how many rows a push must have for its lists to be worth their making.
const listedFrom = 16

// pushChoice is what the filter that a push was last asked for chose.
type pushChoice struct {
	filter string
	set    filter.Set
}

// chooseTail finds the rows of the tail that a filter means.
func (o *opened) chooseTail(ctx context.Context, m *moment, f *filter.Filter, c *selection) error {
	if c.pushes != nil {
		return nil
	}
	c.pushes = map[*push]filter.Set{}
	for _, p := range m.listedPushes() {
		set, err := o.choosePush(ctx, p, f)
		if err != nil {
			return err
		}
		c.pushes[p] = set
		c.rows += set.Count(0, p.rows())
	}
	return nil
}

func (o *opened) choosePush(ctx context.Context, p *push, f *filter.Filter) (filter.Set, error) {
	if p.rows() < listedFrom {
		return matches(p.block, f, filter.NewSet(p.rows()), 0), nil
	}
	if last := p.choice.Load(); last != nil && last.filter == f.Text() {
		return last.set, nil
	}
	lists := lexicon.Lists{Count: p.rows(), Fields: make(map[string]*lexicon.Section, len(f.Fields()))}
	for _, name := range f.Fields() {
		s, err := p.section(ctx, o, lexicon.Values, name)
		if err != nil {
			return nil, err
		}
		if s == nil && !p.made.head.Whole() {
			return matches(p.block, f, filter.NewSet(p.rows()), 0), nil
		}
		if s != nil {
			lists.Fields[name] = s
		}
	}
	set := f.Select(lists)
	p.choice.Store(&pushChoice{f.Text(), set})
	return set, nil
}
