package lexicon

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/vectors/filter"
)

func pack(t interface{ Fatalf(string, ...any) }, metadata string) filter.Document {
	d, err := filter.Pack([]byte(metadata), nil)
	if err != nil {
		t.Fatalf("pack %s: %v", metadata, err)
	}
	return d
}

func open(t interface{ Fatalf(string, ...any) }, data []byte, head int) *Lexicon {
	l, err := Open(data[:head], int64(len(data)))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func section(t interface{ Fatalf(string, ...any) }, l *Lexicon, data []byte, kind Kind, name string) *Section {
	at, n, ok := l.Find(kind, name)
	if !ok {
		t.Fatalf("no section %d %q", kind, name)
	}
	s, err := l.OpenSection(kind, name, data[at:at+int64(n)])
	if err != nil {
		t.Fatalf("open section %q: %v", name, err)
	}
	return s
}

func TestColumnsSelectWhatFiltersMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(columnFrom, 400).Draw(t, "rows")
		b, docs := NewBuilder(nil), make([]filter.Document, n)
		for i := range docs {
			if docs[i] = pack(t, fmt.Sprintf(`{"size":%d}`, rapid.IntRange(0, 99).Draw(t, "size"))); i%7 == 3 {
				docs[i] = pack(t, `{"other":1}`)
			}
			b.Add(uint64(i), docs[i], nil)
		}
		data, head := b.Finish()
		l := open(t, data, head)
		raw := fmt.Sprintf(`{"size":{"$gte":%d,"$lt":%d}}`, rapid.IntRange(-1, 100).Draw(t, "from"), rapid.IntRange(-1, 100).Draw(t, "to"))
		if rapid.Bool().Draw(t, "any") {
			raw = `{"size":{"$exists":true}}`
		}
		f, err := filter.Parse([]byte(raw))
		if err != nil {
			t.Fatalf("%v", err)
		}
		set := f.Select(listsOf(t, l, data))
		for i, d := range docs {
			if set.Has(i) != f.Match(d) {
				t.Fatalf("filter %s, row %d: lists say %v", raw, i, set.Has(i))
			}
		}
	})
}

// lists of all fields.
func listsOf(t interface{ Fatalf(string, ...any) }, l *Lexicon, data []byte) Lists {
	lists := Lists{Count: l.Rows(), Fields: map[string]*Section{}}
	for _, name := range l.Fields(Values) {
		lists.Fields[name] = section(t, l, data, Values, name)
	}
	return lists
}

var scalars = rapid.OneOf(
	rapid.Map(rapid.SampledFrom([]string{"", "a", "ab", "b", "a\x00", "\xc3\xbc", "zz"}), func(s string) any { return s }),
	rapid.Map(rapid.SampledFrom([]float64{0, -1, 1, 1e300, -1e-300, 2.5, -7}), func(f float64) any { return f }),
	rapid.Map(rapid.Bool(), func(b bool) any { return b }),
)

func metadata(t *rapid.T) string {
	fields := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		switch rapid.IntRange(0, 3).Draw(t, "shape") {
		case 1, 2:
			fields[name] = scalars.Draw(t, name)
		case 3:
			fields[name] = append([]any{}, rapid.SliceOfN(scalars, 0, 3).Draw(t, name)...)
		}
	}
	b, _ := json.Marshal(fields)
	return string(b)
}

func condition(t *rapid.T, depth int) map[string]any {
	if depth > 0 && rapid.Bool().Draw(t, "deeper") {
		switch rapid.IntRange(0, 2).Draw(t, "joint") {
		case 0:
			return map[string]any{"$and": []any{condition(t, depth-1), condition(t, depth-1)}}
		case 1:
			return map[string]any{"$or": []any{condition(t, depth-1), condition(t, depth-1)}}
		}
		return map[string]any{"$not": condition(t, depth-1)}
	}
	name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "field")
	op := rapid.SampledFrom([]string{"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$startsWith", "$not"}).Draw(t, "op")
	var of any
	switch op {
	case "$gt", "$gte", "$lt", "$lte":
		of = scalars.Filter(func(v any) bool { _, b := v.(bool); return !b }).Draw(t, "bound")
	case "$in", "$nin":
		of = rapid.SliceOfN(scalars, 1, 4).Draw(t, "set")
	case "$exists":
		of = rapid.Bool().Draw(t, "there")
	case "$startsWith":
		of = rapid.SampledFrom([]string{"", "a", "\xc3\xbc", "b"}).Draw(t, "prefix")
	case "$not":
		of = map[string]any{"$eq": scalars.Draw(t, "not")}
	default:
		of = scalars.Draw(t, "value")
	}
	return map[string]any{name: map[string]any{op: of}}
}

func TestListsSelectWhatFiltersMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 150).Draw(t, "rows")
		b, docs := NewBuilder(nil), make([]filter.Document, n)
		few := rapid.IntRange(1, 8).Draw(t, "kinds")
		kinds := make([]string, few)
		for i := range kinds {
			kinds[i] = metadata(t)
		}
		for i := range docs {
			docs[i] = pack(t, kinds[rapid.IntRange(0, few-1).Draw(t, "kind")])
			b.Add(uint64(i+7), docs[i], nil)
		}
		data, head := b.Finish()
		l := open(t, data, head)
		ids := section(t, l, data, IDs, "")
		raw, _ := json.Marshal(condition(t, 3))
		f, err := filter.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		lists := listsOf(t, l, data)
		set, matches := f.Select(lists), 0
		for i, d := range docs {
			if set.Has(i) != f.Match(d) {
				t.Fatalf("filter %s, row %d: lists say %v", raw, i, set.Has(i))
			}
			if f.Match(d) {
				matches++
			}
			if ids.ID(i) != uint64(i+7) {
				t.Fatalf("id of row %d is %d", i, ids.ID(i))
			}
		}
		if set.Count(0, n) != matches {
			t.Fatalf("filter %s: %d rows, lists count %d", raw, matches, set.Count(0, n))
		}
	})
}

func TestWordsAreCounted(t *testing.T) {
	texts := []string{"The tarn, the Lake; a TARN.", "", "Ünïted 2026 東京 tarn", strings.Repeat("x", 100) + " tarn tarn"}
	b := NewBuilder([]string{"body"})
	for i, text := range texts {
		b.Add(uint64(i), nil, map[string]string{"body": text})
	}
	data, head := b.Finish()
	s := section(t, open(t, data, head), data, Text, "body")
	want := map[string]string{
		"tarn": "0×2 2×1 3×2", "the": "0×2", "lake": "0×1", "ünïted": "2×1", "東": "2×1", "京": "2×1", "2026": "2×1",
		strings.Repeat("x", 64): "3×1", "absent": "", "tar": "",
	}
	for word, want := range want {
		var got []string
		for _, p := range s.Postings(word, nil) {
			got = append(got, fmt.Sprintf("%d×%d", p.Row, p.Times))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is in %v, want %q", word, got, want)
		}
	}
	if s.Words() != 6+0+5+3 || s.Length(0) != 6 || s.Length(1) != 0 || s.Length(2) != 5 {
		t.Errorf("%d words, rows have %d, %d, %d", s.Words(), s.Length(0), s.Length(1), s.Length(2))
	}
}

func TestTooManyFieldsAreToldOf(t *testing.T) {
	b := NewBuilder(nil)
	for i := range FieldsMax + 5 {
		b.Add(uint64(i), pack(t, fmt.Sprintf(`{"often":1,"f%d":2}`, i)), nil)
	}
	data, head := b.Finish()
	l := open(t, data, head)
	if l.Whole() || len(l.Fields(Values)) != FieldsMax || !l.Has(Values, "often") {
		t.Errorf("whole %v, %d fields, often %v", l.Whole(), len(l.Fields(Values)), l.Has(Values, "often"))
	}
}

func sample() (data []byte, head int) {
	b := NewBuilder([]string{"body"})
	for i := range columnFrom {
		b.Add(uint64(i), pack(fatal{}, fmt.Sprintf(`{"size":%d}`, i*i)), nil)
	}
	b.Add(258, pack(fatal{}, `{"year":-2.5,"tags":["a","b"]}`), map[string]string{"body": "a tarn a"})
	b.Add(259, pack(fatal{}, `{"tags":[],"open":true}`), nil)
	for i := range 8 {
		b.Add(uint64(260+i), pack(fatal{}, `{"open":false}`), map[string]string{"body": "tarn"})
	}
	return b.Finish()
}

type fatal struct{}

func (fatal) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func TestGolden(t *testing.T) {
	data, head := sample()
	l := open(t, data, head)
	var text strings.Builder
	fmt.Fprintf(&text, "head of %d bytes, %d rows, whole %v\n%s", head, l.rows, l.Whole(), hex.Dump(data[:head]))
	for _, p := range l.sections {
		fmt.Fprintf(&text, "\nsection of kind %d, %q, at %d\n%s", p.kind, p.name, p.offset, hex.Dump(data[p.offset:p.offset+int64(p.bytes)]))
		if p.kind == IDs {
			continue
		}
		s := section(t, l, data, p.kind, p.name)
		for i := range s.Terms() {
			fmt.Fprintf(&text, "  term %q: list %x\n", s.Term(i), s.list(i))
		}
	}
	const file = "testdata/lexicon.golden"
	if os.Getenv("TARN_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("bytes changed; a new form needs a new version:\n%s", text.String())
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	data, head := sample()
	for at := range data {
		bad := slices.Clone(data)
		bad[at] ^= 4
		if err := openAll(bad, head); err == nil {
			t.Fatalf("byte %d was flipped unseen", at)
		}
	}
}

func openAll(data []byte, head int) error {
	l, err := Open(data[:head], int64(len(data)))
	if err != nil {
		return err
	}
	for _, p := range l.sections {
		s, err := l.OpenSection(p.kind, p.name, data[p.offset:p.offset+int64(p.bytes)])
		if err != nil {
			return err
		}
		exercise(s, l.rows)
	}
	return nil
}

func exercise(s *Section, rows int) {
	if s.ids != nil || rows > 1<<16 {
		return
	}
	set := filter.NewSet(rows)
	s.Union(set, 0, s.terms)
	for i := range s.terms {
		s.Count(set, i)
		for _, p := range s.Postings(s.Term(i), nil) {
			if int(p.Row) >= rows {
				panic("a row that is not there")
			}
		}
	}
}

func FuzzSection(f *testing.F) {
	data, head := sample()
	l, _ := Open(data[:head], int64(len(data)))
	for _, p := range l.sections {
		f.Add(byte(p.kind), uint16(10), data[p.offset:p.offset+int64(p.bytes)])
	}
	f.Fuzz(func(_ *testing.T, kind byte, rows uint16, b []byte) {
		if s, err := openSection(Kind(kind%2)+Values, int(rows), b); err == nil {
			exercise(s, int(rows))
		}
	})
}

func FuzzOpen(f *testing.F) {
	data, head := sample()
	f.Add(uint16(head), data)
	f.Fuzz(func(_ *testing.T, head uint16, data []byte) {
		if int(head) <= len(data) {
			_ = openAll(data, int(head))
		}
	})
}
