package vectors

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync"

	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/lexicon"
)

// TextQuery asks for vectors by the words of one of the index's text fields.
type TextQuery struct {
	Field string // of one of Spec.Texts
	Text  string // 1 to 8,192 bytes
}

// Limits of text queries.
const (
	TextBytesMax   = 8 << 10
	TextQueriesMax = 10 // of one request
	wordsMax       = 256
)

// The numbers of BM25, as they are commonly chosen.
const (
	bm25K = 1.2
	bm25B = 0.75
)

func (s *Spec) checkTexts(texts []TextQuery) error {
	if len(texts) > TextQueriesMax {
		return invalid("queryTexts", "has %d texts, more than %d", len(texts), TextQueriesMax)
	}
	for i, t := range texts {
		at := fmt.Sprintf("queryTexts[%d]", i)
		switch {
		case s.textOf(t.Field) == "":
			return invalid(at+".metadataKey", "%q is not searched by words in this index", t.Field)
		case t.Text == "" || len(t.Text) > TextBytesMax:
			return invalid(at+".text", "has %d bytes, must have 1 to %d", len(t.Text), TextBytesMax)
		case slices.ContainsFunc(texts[:i], func(o TextQuery) bool { return o.Field == t.Field }):
			return invalid(at+".metadataKey", "%q is asked for twice", t.Field)
		}
	}
	return nil
}

// textOf is the name of a field's text; "": it has none.
func (s *Spec) textOf(field string) string {
	for _, name := range s.Texts {
		if f, _ := lexicon.FieldOf(name); f == field {
			return name
		}
	}
	return ""
}

// corpusStats are what BM25 needs of all rows that a view has, those among them that are superseded but not
// yet swept out.
type corpusStats struct {
	rows  int // with at least one word
	words uint64
}

func (c corpusStats) average() float64 {
	if c.rows == 0 {
		return 1
	}
	return float64(c.words) / float64(c.rows)
}

// textNotes is what a view remembers for text: the segments never change within it.
type textNotes struct {
	mu      sync.Mutex
	stats   map[string]corpusStats // of segments, by field
	holding map[string]int         // rows of segments that have a word, by field and word
	current map[*segmentFile]filter.Set
}

// currentRows are the rows of a segment that lie in parts that count; nil: all of them.
func (m *moment) currentRows(s *segmentFile) filter.Set {
	n := &m.view.text
	n.mu.Lock()
	defer n.mu.Unlock()
	set, ok := n.current[s]
	if ok {
		return set
	}
	parts := m.partsOf(s)
	if len(parts) < len(s.entries) {
		set = filter.NewSet(s.all())
		for _, p := range parts {
			for row := range int(p.entry.Rows) {
				set.Add(p.first + row)
			}
		}
	}
	if n.current == nil {
		n.current = map[*segmentFile]filter.Set{}
	}
	n.current[s] = set
	return set
}

// wordy is a segment or a push with the text of one field.
type wordy struct {
	of      wordsOf
	text    *lexicon.Section
	current filter.Set // nil: all rows count
	chosen  filter.Set // that the filter means; nil: all
}

func (w *wordy) counts(row int) bool { return w.current == nil || w.current.Has(row) }

// wordies are all that has text of a field.
func (s *scan) wordies(ctx context.Context, field string) ([]wordy, error) {
	if err := s.chooseTail(ctx); err != nil {
		return nil, err
	}
	var of []wordsOf
	for _, f := range s.m.listedSegments() {
		of = append(of, f)
	}
	for _, p := range s.m.listedPushes() {
		of = append(of, p)
	}
	sections, err := s.o.sections(ctx, of, lexicon.Text, field)
	if err != nil {
		return nil, err
	}
	var list []wordy
	for i, text := range sections {
		if text == nil {
			return nil, fmt.Errorf("%w: no section of the text %q", ErrCorrupt, field)
		}
		w := wordy{of: of[i], text: text}
		switch f := of[i].(type) {
		case *segmentFile:
			w.current = s.m.currentRows(f)
			if s.chosen != nil {
				w.chosen = s.chosen.segments[f]
			}
		case *push:
			if s.chosen != nil {
				w.chosen = s.chosen.pushes[f]
			}
		}
		list = append(list, w)
	}
	return list, nil
}

// statsOf sums over segments once a view, and adds the tail.
func (s *scan) statsOf(field string, list []wordy) (all corpusStats) {
	n := &s.m.view.text
	n.mu.Lock()
	defer n.mu.Unlock()
	kept, ok := n.stats[field]
	for i := range list {
		_, tail := list[i].of.(*push)
		if ok && !tail {
			continue
		}
		c := statsIn(&list[i])
		all.rows, all.words = all.rows+c.rows, all.words+c.words
		if !tail {
			kept.rows, kept.words = kept.rows+c.rows, kept.words+c.words
		}
	}
	if ok {
		return corpusStats{all.rows + kept.rows, all.words + kept.words}
	}
	if n.stats == nil {
		n.stats = map[string]corpusStats{}
	}
	n.stats[field] = kept
	return all
}

func statsIn(w *wordy) (c corpusStats) {
	for row := range w.of.all() {
		if n := w.text.Length(row); n > 0 && w.counts(row) {
			c.rows++
			c.words += uint64(n)
		}
	}
	return c
}

// queryWords are the different words of a text, and how often each is there.
func queryWords(name, text string) (words []string, times []int) {
	at := map[string]int{}
	lexicon.NewAnalyzer(name).Words(text, func(word []byte) {
		i, seen := at[string(word)]
		if !seen && len(words) < wordsMax {
			i = len(words)
			at[string(word)] = i
			words, times = append(words, string(word)), append(times, 0)
			seen = true
		}
		if seen {
			times[i]++
		}
	})
	return words, times
}

// byWords finds the k rows that a text ranks first.
func (s *scan) byWords(ctx context.Context, q TextQuery, k int) ([]found, error) {
	name := s.o.rec.spec.textOf(q.Field)
	list, err := s.wordies(ctx, name)
	if err != nil {
		return nil, err
	}
	stats := s.statsOf(name, list)
	words, times := queryWords(name, q.Text)
	r := &wording{scan: s, words: words, weights: make([]float32, len(words)), top: best{k: k}}
	for i, word := range words {
		df := float64(s.holding(name, word, list))
		r.weights[i] = float32(float64(times[i]) * math.Log(1+(float64(stats.rows)-df+0.5)/(df+0.5)) * (bm25K + 1))
	}
	for n := range r.norms {
		r.norms[n] = float32(bm25K * (1 - bm25B + bm25B*float64(n)/stats.average()))
	}
	for i := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.score(ctx, &list[i], stats.average()); err != nil {
			return nil, err
		}
	}
	return r.top.sorted(), nil
}

// holdingMax bounds how many words a view remembers.
const holdingMax = 50_000

// holding is how many rows have a word. Those of segments are counted once a view.
func (s *scan) holding(field, word string, list []wordy) (n int) {
	at, notes := field+"\x00"+word, &s.m.view.text
	notes.mu.Lock()
	kept, known := notes.holding[at]
	notes.mu.Unlock()
	var buffer []lexicon.Posting
	for i := range list {
		_, tail := list[i].of.(*push)
		if known && !tail {
			continue
		}
		buffer = list[i].text.Postings(word, buffer[:0])
		for _, p := range buffer {
			if list[i].counts(int(p.Row)) {
				if n++; !tail {
					kept++
				}
			}
		}
	}
	if known {
		return n + kept
	}
	notes.mu.Lock()
	defer notes.mu.Unlock()
	if notes.holding == nil || len(notes.holding) >= holdingMax {
		notes.holding = map[string]int{}
	}
	notes.holding[at] = kept
	return n
}

// wording is the ranking by words under way.
type wording struct {
	*scan
	words    []string
	weights  []float32
	norms    [256]float32 // by the words that a row has
	top      best
	postings []lexicon.Posting
	scores   []float32
}

// score ranks the rows of one segment or push: what is nearest has the highest score, so that a distance
// here is a score below zero.
func (s *wording) score(ctx context.Context, w *wordy, average float64) error {
	rows := w.of.all()
	if cap(s.scores) < rows {
		s.scores = make([]float32, rows)
	}
	scores := s.scores[:rows]
	clear(scores)
	found := false
	for i, word := range s.words {
		s.postings = w.text.Postings(word, s.postings[:0])
		found = found || len(s.postings) > 0
		for _, p := range s.postings {
			n, times := w.text.Length(int(p.Row)), float32(p.Times)
			norm := float32(0)
			if n < len(s.norms) {
				norm = s.norms[n]
			} else {
				norm = float32(bm25K * (1 - bm25B + bm25B*float64(n)/average))
			}
			scores[p.Row] += s.weights[i] * times / (times + norm)
		}
	}
	if !found {
		return nil
	}
	ids, err := w.of.section(ctx, s.o, lexicon.IDs, "")
	if err != nil {
		return err
	}
	for row, score := range scores {
		if score == 0 || !w.counts(row) || w.chosen != nil && !w.chosen.Has(row) {
			continue
		}
		s.explain.TextMatches++
		id := ids.ID(row)
		if !s.top.wants(-score, id) {
			continue
		}
		f := placed(w.of, row)
		f.distance, f.id = -score, id
		if lives, err := s.lives(ctx, &f); err != nil {
			return err
		} else if lives {
			s.top.add(f)
		}
	}
	return nil
}

// placed is where a row lies; its block is not read.
func placed(of wordsOf, row int) found {
	if p, ok := of.(*push); ok {
		return found{block: p.block, row: row}
	}
	file := of.(*segmentFile)
	i := sort.Search(len(file.firsts), func(i int) bool { return file.firsts[i] > row }) - 1
	return found{row: row - file.firsts[i], from: &part{file, file.entries[i], &file.held[i], file.firsts[i]}}
}

// lives reports whether a placed row may be in the answer. Its block is read only where nothing else tells.
func (s *scan) lives(ctx context.Context, f *found) (bool, error) {
	if s.m.deaths && s.o.died(&s.m, f.id) {
		return false, nil
	}
	if s.m.sources == nil && s.without == "" && (s.filter == nil || s.chosen != nil) {
		return true, nil
	}
	if err := s.fill(ctx, []*found{f}); err != nil {
		return false, err
	}
	return s.wanted(f.block, f.row) && (s.chosen != nil || s.filter.Match(f.block.Document(f.row))), nil
}

// fill reads the blocks of placed rows, or their fronts.
func (s *scan) fill(ctx context.Context, rows []*found) error {
	var parts []part
	var lack []*found
	for _, f := range rows {
		if f.block == nil {
			parts, lack = append(parts, *f.from), append(lack, f)
		}
	}
	s.noteHits(parts)
	blocks, read, err := s.o.e.cache.blocks(ctx, parts)
	s.noteRead(read)
	if err != nil {
		return err
	}
	for i, f := range lack {
		f.block = blocks[i]
	}
	return nil
}
