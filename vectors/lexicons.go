package vectors

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/lexicon"
	"github.com/tarnlake/tarn/vectors/segment"
)

// lexiconFile is where the lexicon of a segment lies; head is 0 where there is none.
type lexiconFile struct {
	blob   objects.Blob
	head   int
	opened *atomic.Pointer[lexicon.Lexicon] // the head, once it was read
}

func newLexiconFile(blob objects.Blob, head int) lexiconFile {
	return lexiconFile{blob, head, new(atomic.Pointer[lexicon.Lexicon])}
}

// wordsOf are rows with their inverted lists: a segment or a push.
type wordsOf interface {
	all() int // rows
	// section is an opened section; nil where no row has such a field.
	section(ctx context.Context, o *opened, kind lexicon.Kind, name string) (*lexicon.Section, error)
	// covers reports whether a missing section means that no row has the field.
	covers(ctx context.Context, o *opened, kind lexicon.Kind, name string) (bool, error)
}

// made is a lexicon in memory.
type made struct {
	data     []byte
	head     *lexicon.Lexicon
	mu       sync.Mutex
	sections map[shelfName]*lexicon.Section
}

func newMade(data []byte, head int) (*made, error) {
	l, err := lexicon.Open(data[:head], int64(len(data)))
	return &made{data: data, head: l, sections: map[shelfName]*lexicon.Section{}}, err
}

func (m *made) section(kind lexicon.Kind, name string) (*lexicon.Section, error) {
	at, n, ok := m.head.Find(kind, name)
	if !ok {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := shelfName{kind: sectionKinds[kind], name: name}
	if s := m.sections[key]; s != nil {
		return s, nil
	}
	s, err := m.head.OpenSection(kind, name, m.data[at:at+int64(n)])
	if err == nil {
		m.sections[key] = s
	}
	return s, err
}

var sectionKinds = map[lexicon.Kind]shelfKind{lexicon.IDs: shelfIDs, lexicon.Values: shelfValues, lexicon.Text: shelfText}

// fieldsOf are the fields of texts.
func fieldsOf(texts []string) []string {
	fields := make([]string, len(texts))
	for i, name := range texts {
		fields[i], _ = lexicon.FieldOf(name)
	}
	return fields
}

// addWords puts the rows of a block into a lexicon.
func addWords(b *lexicon.Builder, texts []string, block *segment.Block) error {
	texts = fieldsOf(texts)
	for i, id := range block.IDs() {
		var text map[string]string
		if len(texts) > 0 {
			var err error
			if text, err = filter.Texts(block.Row(i).Metadata, texts); err != nil {
				return fmt.Errorf("read the text of vector %d: %w", id, err)
			}
		}
		b.Add(id, block.Document(i), text)
	}
	return nil
}

// The lexicon of a push is made when it is first asked for.

func (p *push) all() int { return p.rows() }

func (p *push) words(texts []string) (*made, error) {
	p.lexicon.Do(func() {
		b := lexicon.NewBuilder(texts)
		if p.lexiconErr = addWords(b, texts, p.block); p.lexiconErr == nil {
			p.made, p.lexiconErr = newMade(b.Finish())
		}
	})
	return p.made, p.lexiconErr
}

func (p *push) section(_ context.Context, o *opened, kind lexicon.Kind, name string) (*lexicon.Section, error) {
	m, err := p.words(o.rec.spec.Texts)
	if err != nil {
		return nil, err
	}
	return m.section(kind, name)
}

func (p *push) covers(_ context.Context, o *opened, _ lexicon.Kind, _ string) (bool, error) {
	m, err := p.words(o.rec.spec.Texts)
	return err == nil && m.head.Whole(), err
}

// That of a segment lies beside it. One that an older release left without, or that lacks a text which
// was chosen since, is made from the blocks and kept for a while, until upkeep writes it.

func (s *segmentFile) all() int {
	if len(s.firsts) == 0 {
		return 0
	}
	last := len(s.firsts) - 1
	return s.firsts[last] + int(s.entries[last].Rows)
}

func (s *segmentFile) on(kind shelfKind, name string) shelfName {
	return shelfName{s.inc, s.seq, kind, name}
}

// head of the kept lexicon; nil where there is none.
func (s *segmentFile) head(ctx context.Context, o *opened) (*lexicon.Lexicon, error) {
	if s.lexicon.head == 0 {
		return nil, nil
	}
	if l := s.lexicon.opened.Load(); l != nil {
		return l, nil
	}
	b := make([]byte, s.lexicon.head)
	if err := o.e.o.Store.ReadBlob(ctx, s.lexicon.blob, b, 0); err != nil {
		return nil, fmt.Errorf("read the head of the lexicon of segment %d: %w", s.seq, err)
	}
	l, err := lexicon.Open(b, s.lexicon.blob.Bytes)
	if err != nil {
		return nil, fmt.Errorf("open the lexicon of segment %d: %w", s.seq, err)
	}
	if l.Rows() != s.all() {
		return nil, fmt.Errorf("open the lexicon of segment %d: %w: of %d rows, the directory has %d", s.seq, ErrCorrupt, l.Rows(), s.all())
	}
	s.lexicon.opened.Store(l)
	return l, nil
}

// serves reports whether the kept lexicon has what a question of a kind needs.
func serves(l *lexicon.Lexicon, kind lexicon.Kind, name string) bool {
	return l != nil && (kind != lexicon.Text || l.Has(kind, name))
}

func (s *segmentFile) section(ctx context.Context, o *opened, kind lexicon.Kind, name string) (*lexicon.Section, error) {
	at := s.on(sectionKinds[kind], name)
	if sec, ok := o.e.shelf.get(at).(*lexicon.Section); ok {
		return sec, nil
	}
	l, err := s.head(ctx, o)
	if err != nil {
		return nil, err
	}
	if !serves(l, kind, name) {
		m, err := s.make(ctx, o)
		if err != nil {
			return nil, err
		}
		return m.section(kind, name)
	}
	offset, n, ok := l.Find(kind, name)
	if !ok {
		return nil, nil
	}
	b := make([]byte, n)
	if err := o.e.o.Store.ReadBlob(ctx, s.lexicon.blob, b, offset); err != nil {
		return nil, fmt.Errorf("read %q of the lexicon of segment %d: %w", name, s.seq, err)
	}
	sec, err := l.OpenSection(kind, name, b)
	if err != nil {
		return nil, fmt.Errorf("open %q of the lexicon of segment %d: %w", name, s.seq, err)
	}
	o.e.shelf.put(at, sec, n)
	return sec, nil
}

func (s *segmentFile) covers(ctx context.Context, o *opened, kind lexicon.Kind, name string) (bool, error) {
	l, err := s.head(ctx, o)
	if err != nil {
		return false, err
	}
	if serves(l, kind, name) {
		return l.Whole() || l.Has(kind, name), nil
	}
	m, err := s.make(ctx, o)
	return err == nil && (m.head.Whole() || m.head.Has(kind, name)), err
}

// make is a lexicon from the segment's blocks.
func (s *segmentFile) make(ctx context.Context, o *opened) (*made, error) {
	at := s.on(shelfMade, strings.Join(o.rec.spec.Texts, "\x01"))
	if m, ok := o.e.shelf.get(at).(*made); ok {
		return m, nil
	}
	data, head, err := o.lexiconOf(s.entries, func(i int) (*segment.Block, error) {
		p := part{file: s, entry: s.entries[i], held: &s.held[i]}
		return readBlock(ctx, o.e.o.Store, &p)
	})
	if err != nil {
		return nil, fmt.Errorf("make the lexicon of segment %d: %w", s.seq, err)
	}
	m, err := newMade(data, head)
	if err == nil {
		o.e.shelf.put(at, m, len(data))
	}
	return m, err
}

// lexiconOf is the lexicon of blocks in the order of their directory.
func (o *opened) lexiconOf(entries []segment.Entry, block func(i int) (*segment.Block, error)) (data []byte, head int, err error) {
	texts := o.rec.spec.Texts
	builder := lexicon.NewBuilder(texts)
	for i := range entries {
		b, err := block(i)
		if err != nil {
			return nil, 0, err
		}
		if err := addWords(builder, texts, b); err != nil {
			return nil, 0, err
		}
	}
	data, head = builder.Finish()
	return data, head, nil
}

// writeLexicon keeps the lexicon of a segment that lies in data.
func (o *opened) writeLexicon(ctx context.Context, entries []segment.Entry, block func(i int) (*segment.Block, error)) (lexiconFile, error) {
	data, head, err := o.lexiconOf(entries, block)
	if err != nil {
		return lexiconFile{}, err
	}
	blob, err := o.e.o.Store.WriteBlob(ctx, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return lexiconFile{}, fmt.Errorf("write a lexicon of %d bytes: %w", len(data), err)
	}
	return newLexiconFile(blob, head), nil
}

// sections opens one section of each of several, at once where they must be read.
func (o *opened) sections(ctx context.Context, of []wordsOf, kind lexicon.Kind, name string) ([]*lexicon.Section, error) {
	out := make([]*lexicon.Section, len(of))
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for i, w := range of {
		if s, ok := w.(*segmentFile); ok {
			if sec, ok := o.e.shelf.get(s.on(sectionKinds[kind], name)).(*lexicon.Section); ok {
				out[i] = sec
				continue
			}
			tasks.Go(func() (err error) { out[i], err = w.section(ctx, o, kind, name); return err })
			continue
		}
		var err error
		if out[i], err = w.section(ctx, o, kind, name); err != nil {
			return nil, err
		}
	}
	return out, tasks.Wait()
}
