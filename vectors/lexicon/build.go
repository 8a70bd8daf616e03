package lexicon

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math"
	"slices"

	"github.com/tarnlake/tarn/vectors/filter"
)

// How a list of values is written.
const (
	sparse = 0
	dense  = 1
)

// FieldsMax is how many fields of metadata get a section: those that the most rows have.
const FieldsMax = 1000

// Builder gathers rows, in order.
type Builder struct {
	ids    []uint64
	values map[string]map[string][]uint32 // rows by field and value
	texts  map[string]*words
}

// words of one text field.
type words struct {
	field    string
	analyzer *Analyzer
	lists    map[string][]posting
	lengths  []uint16
	total    uint64
}

type posting struct{ row, times uint32 }

// NewBuilder is for rows with these texts, by their names.
func NewBuilder(texts []string) *Builder {
	b := &Builder{values: map[string]map[string][]uint32{}, texts: map[string]*words{}}
	for _, name := range texts {
		field, _ := FieldOf(name)
		b.texts[name] = &words{field: field, analyzer: NewAnalyzer(name), lists: map[string][]posting{}}
	}
	return b
}

// Add takes the next row: its id, its metadata, and its text by field.
func (b *Builder) Add(id uint64, d filter.Document, text map[string]string) {
	row := uint32(len(b.ids))
	b.ids = append(b.ids, id)
	d.Keep(func(field, value string) {
		lists := b.values[field]
		if lists == nil {
			lists = map[string][]uint32{}
			b.values[string([]byte(field))] = lists // the document's memory is not kept
		}
		rows := lists[value]
		if n := len(rows); n == 0 || rows[n-1] != row {
			lists[value] = append(rows, row)
		}
	})
	for _, w := range b.texts {
		w.add(row, text[w.field])
	}
}

func (w *words) add(row uint32, text string) {
	n := 0
	w.analyzer.Words(text, func(word []byte) {
		n++
		list := w.lists[string(word)]
		if k := len(list); k > 0 && list[k-1].row == row {
			list[k-1].times++
			return
		}
		w.lists[string(word)] = append(list, posting{row, 1})
	})
	w.lengths = append(w.lengths, uint16(min(n, math.MaxUint16)))
	w.total += uint64(n)
}

// Finish is the lexicon, and how many bytes of it are the head.
func (b *Builder) Finish() (data []byte, head int) {
	type built struct {
		place
		data []byte
	}
	ids := make([]byte, 0, 8*len(b.ids))
	for _, id := range b.ids {
		ids = binary.LittleEndian.AppendUint64(ids, id)
	}
	all := []built{{place{kind: IDs}, ids}}
	fields, leftOut := b.fields()
	for _, name := range fields {
		all = append(all, built{place{kind: Values, name: name}, b.encodeValues(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(b.texts)) {
		all = append(all, built{place{kind: Text, name: name}, b.texts[name].encode()})
	}
	head = headFixed
	for _, s := range all {
		head += sectionFixed + len(s.name)
	}
	data = append(data, magic...)
	data = binary.LittleEndian.AppendUint16(data, version)
	flags := uint16(0)
	if leftOut {
		flags = flagLeftOut
	}
	data = binary.LittleEndian.AppendUint16(data, flags)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(b.ids)))
	data = binary.LittleEndian.AppendUint32(data, uint32(head))
	data = binary.LittleEndian.AppendUint32(data, uint32(len(all)))
	data = binary.LittleEndian.AppendUint32(data, 0)
	at := head
	for _, s := range all {
		data = append(data, byte(s.kind))
		data = binary.LittleEndian.AppendUint64(data, uint64(at))
		data = binary.LittleEndian.AppendUint32(data, uint32(len(s.data)))
		data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(s.data, castagnoli))
		data = binary.LittleEndian.AppendUint16(data, uint16(len(s.name)))
		data = append(data, s.name...)
		at += len(s.data)
	}
	binary.LittleEndian.PutUint32(data[20:], headSum(data))
	for _, s := range all {
		data = append(data, s.data...)
	}
	return data, head
}

// fields that get a section, rising by name.
func (b *Builder) fields() (names []string, leftOut bool) {
	names = slices.Sorted(maps.Keys(b.values))
	if len(names) > FieldsMax {
		slices.SortStableFunc(names, func(x, y string) int {
			return cmp.Compare(len(b.values[y][filter.Present.Lo]), len(b.values[x][filter.Present.Lo]))
		})
		names, leftOut = slices.Sorted(slices.Values(names[:FieldsMax])), true
	}
	return names, leftOut
}

func (b *Builder) encodeValues(field string) []byte {
	lists := b.values[field]
	t := table{}
	terms := slices.Sorted(maps.Keys(lists))
	for _, term := range terms {
		rows := lists[term]
		t.entries = appendRows(t.entries, rows, len(b.ids))
		t.end(term, len(rows))
	}
	column, width := b.column(lists, terms)
	return t.encode(uint64(width), column)
}

// columnFrom: with fewer terms, lists are long and quick.
const columnFrom = 32

// column is which term each row has; its width is 0 where terms are few, or rows have several.
func (b *Builder) column(lists map[string][]uint32, terms []string) (column []byte, width int) {
	none := uint32(math.MaxUint16)
	if width = 2; len(terms) >= math.MaxUint16 {
		none, width = math.MaxUint32, 4
	}
	if len(terms) < columnFrom {
		return nil, 0
	}
	of := slices.Repeat([]uint32{none}, len(b.ids))
	for i, term := range terms {
		if term == filter.Present.Lo {
			continue
		}
		for _, row := range lists[term] {
			if of[row] != none {
				return nil, 0
			}
			of[row] = uint32(i)
		}
	}
	for _, term := range of {
		column = binary.LittleEndian.AppendUint32(column, term)
		column = column[:len(column)-4+width]
	}
	return column, width
}

func appendRows(b []byte, rows []uint32, of int) []byte {
	at, last := len(b), -1
	b = append(b, sparse)
	for _, row := range rows {
		b = binary.AppendUvarint(b, uint64(int(row)-last))
		last = int(row)
	}
	if len(b)-at-1 <= (of+7)/8 {
		return b
	}
	b = append(b[:at], dense)
	b = append(b, make([]byte, (of+7)/8)...)
	for _, row := range rows {
		b[at+1+int(row>>3)] |= 1 << (row & 7)
	}
	return b
}

func (w *words) encode() []byte {
	t := table{}
	for _, word := range slices.Sorted(maps.Keys(w.lists)) {
		last := -1
		for _, p := range w.lists[word] {
			t.entries = binary.AppendUvarint(t.entries, uint64(int(p.row)-last))
			t.entries = binary.AppendUvarint(t.entries, uint64(p.times))
			last = int(p.row)
		}
		t.end(word, len(w.lists[word]))
	}
	lengths := make([]byte, 0, 2*len(w.lengths))
	for _, n := range w.lengths {
		lengths = binary.LittleEndian.AppendUint16(lengths, n)
	}
	return t.encode(w.total, lengths)
}

// table gathers terms and their lists.
type table struct {
	names, entries      []byte
	ends, lists, counts []uint32
	count               int
}

func (t *table) end(term string, rows int) {
	t.names = append(t.names, term...)
	t.count += rows
	t.ends = append(t.ends, uint32(len(t.names)))
	t.lists = append(t.lists, uint32(len(t.entries)))
	t.counts = append(t.counts, uint32(t.count))
}

// encode is a section with a number in its head, and what it has for each row.
func (t *table) encode(total uint64, rows []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(t.ends)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.names)))
	b = binary.LittleEndian.AppendUint64(b, total)
	for _, column := range [][]uint32{t.ends, t.lists, t.counts} {
		b = binary.LittleEndian.AppendUint32(b, 0)
		for _, n := range column {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
	}
	b = append(b, rows...)
	return append(append(b, t.names...), t.entries...)
}
