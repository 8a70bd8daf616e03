package vectors

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// described is a row of the whole corpus, with what filters ask about.
type described struct {
	Key      string    `parquet:"key"`
	Text     string    `parquet:"text"`
	Section  string    `parquet:"section"`
	Priority string    `parquet:"priority"`
	Vector   []float32 `parquet:"vector,list"`
}

func wholeCorpus(b *testing.B) (rows, queries []described) {
	dir := filepath.Join("..", ".data", "corpus")
	if _, err := os.Stat(filepath.Join(dir, "debian.parquet")); err != nil {
		b.Skip("no corpus; make data fetches it")
	}
	rows, err := parquet.ReadFile[described](filepath.Join(dir, "debian.parquet"))
	must(b, err)
	queries, err = parquet.ReadFile[described](filepath.Join(dir, "queries.parquet"))
	must(b, err)
	return rows, queries
}

// pushDescribed puts the corpus; beside its own fields every row has a number "n" from 0 to
// 999 at random, the same for one in a thousand, and a number "u" that no other has.
func pushDescribed(b *testing.B, e *Engine, rows []described, withText bool) {
	perm := rand.New(rand.NewPCG(5, 6)).Perm(len(rows))
	at := 0
	for part := range slices.Chunk(rows, BatchMax) {
		batch := make([]Vector, len(part))
		for i, r := range part {
			m := map[string]any{"section": r.Section, "priority": r.Priority, "n": perm[at] % 1000, "u": perm[at]}
			if withText {
				m["text"] = r.Text
			}
			raw, err := json.Marshal(m)
			must(b, err)
			batch[i] = Vector{Key: r.Key, Values: r.Vector, Metadata: raw}
			at++
		}
		must(b, e.Put(background, bucket, "docs", batch))
	}
}

// BenchmarkFilters queries the whole corpus under filters, and tells recall against exact answers. The
// yardstick is the unfiltered query of the same round; it is run before and after each.
func BenchmarkFilters(b *testing.B) {
	rows, queries := wholeCorpus(b)
	e := openEngine(b, Options{Store: newMemoryStore(b, 51)})
	create(b, e, Spec{Name: "docs", Dimension: 384, NonFilterable: []string{"text"}})
	began := cpuTime()
	pushDescribed(b, e, rows, false)
	must(b, e.Flush(background))
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(b, err)
	b.Logf("loaded in %.1f s of CPU; %d neighbourhoods in %d segments, %d probes", (cpuTime() - began).Seconds(), info.Neighbourhoods, info.Segments, info.Probes)
	measure := func(r Request, fresh bool) (time.Duration, Answer) {
		var last Answer
		began := cpuTime()
		for i := range 300 {
			if fresh {
				e.shelf.evictChosen()
			}
			r.Values = queries[i].Vector
			last = query(b, e, "docs", r)
		}
		return (cpuTime() - began) / 300, last
	}
	for _, f := range []string{
		`{"n":{"$lt":500}}`, `{"n":{"$lt":100}}`, `{"n":{"$lt":10}}`, `{"n":7}`,
		`{"u":{"$lt":31333}}`, `{"u":{"$gte":56400}}`,
		`{"section":"python"}`, `{"section":{"$in":["libs","libdevel"]}}`, `{"$not":{"section":"libs"}}`,
		`{"section":{"$startsWith":"lib"},"n":{"$lt":300}}`,
	} {
		r := Request{TopK: 10, Filter: []byte(f)}
		sum := 0.0
		for _, q := range queries[:200] {
			r.Values, r.Exact = q.Vector, true
			exact := keysOf(query(b, e, "docs", r))
			r.Exact = false
			sum += share(keysOf(query(b, e, "docs", r)), exact)
		}
		var plain, with, first []time.Duration
		var a Answer
		for range 3 {
			d, _ := measure(Request{TopK: 10}, false)
			plain = append(plain, d)
			d, a = measure(r, false)
			with = append(with, d)
			d, _ = measure(r, true)
			first = append(first, d)
		}
		slices.Sort(plain)
		slices.Sort(with)
		slices.Sort(first)
		b.Logf("%-50s %-9s %6d rows (%5.2f %%) recall@10 %.4f  %4d µs, new filter %4d µs; unfiltered %4d µs: %.2f x, %.2f x",
			f, a.Explain.Plan, a.Explain.Selected, 100*float64(a.Explain.Selected)/float64(len(rows)), sum/200,
			with[1].Microseconds(), first[1].Microseconds(), plain[1].Microseconds(), float64(with[1])/float64(plain[1]), float64(first[1])/float64(plain[1]))
	}
	b.ReportMetric(0, "ns/op")
}

// evictChosen forgets what filters chose.
func (s *shelf) evictChosen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, at := range s.mu.items {
		if name.kind == shelfChosen {
			s.remove(at)
		}
	}
}

// BenchmarkTexts loads the corpus with its text searched by words, and asks for the first words of held-out
// texts: by words alone, fused with a vector, and under a filter.
func BenchmarkTexts(b *testing.B) {
	rows, queries := wholeCorpus(b)
	for _, texts := range [][]string{nil, {"text"}} {
		e := openEngine(b, Options{Store: newMemoryStore(b, 51)})
		create(b, e, Spec{Name: "docs", Dimension: 384, NonFilterable: []string{"text"}, Texts: texts})
		began := cpuTime()
		pushDescribed(b, e, rows, true)
		must(b, e.Flush(background))
		loaded := cpuTime() - began
		o, m, err := e.current(background, bucket, "docs")
		must(b, err)
		kept, bytes := int64(0), int64(0)
		for _, s := range m.segments {
			kept, bytes = kept+s.lexicon.blob.Bytes, bytes+s.blob.Bytes
		}
		b.Logf("texts %v: loaded in %.1f s of CPU; lexicons of %d segments have %.1f MB beside %.1f MB of segments", texts, loaded.Seconds(), len(m.segments), float64(kept)/1e6, float64(bytes)/1e6)
		if texts == nil {
			must(b, e.Close())
			continue
		}
		_ = o
		for _, c := range []struct {
			name  string
			words int
			vec   bool
			r     Request
		}{
			{"2 words", 2, false, Request{TopK: 10}},
			{"6 words", 6, false, Request{TopK: 10}},
			{"20 words", 20, false, Request{TopK: 10}},
			{"6 words, with metadata", 6, false, Request{TopK: 10, ReturnMetadata: true}},
			{"6 words and a filter of 1 %", 6, false, Request{TopK: 10, Filter: []byte(`{"n":{"$lt":10}}`)}},
			{"6 words and a vector", 6, true, Request{TopK: 10}},
			{"a vector", 0, true, Request{TopK: 10}},
		} {
			var took []time.Duration
			for range 3 {
				began := cpuTime()
				for i := range 300 {
					r := c.r
					if c.words > 0 {
						words := strings.Fields(queries[i].Text)
						r.Texts = []TextQuery{{"text", strings.Join(words[:min(c.words, len(words))], " ")}}
					}
					if c.vec {
						r.Values = queries[i].Vector
					}
					query(b, e, "docs", r)
				}
				took = append(took, (cpuTime()-began)/300)
			}
			slices.Sort(took)
			b.Logf("%-30s %5d µs", c.name, took[1].Microseconds())
		}
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTopK asks for ever more neighbours.
func BenchmarkTopK(b *testing.B) {
	rows, queries := wholeCorpus(b)
	e := openEngine(b, Options{Store: newMemoryStore(b, 51)})
	create(b, e, Spec{Name: "docs", Dimension: 384, NonFilterable: []string{"text"}})
	pushDescribed(b, e, rows, false)
	must(b, e.Flush(background))
	for _, k := range []int{10, 30, 100, 300, 1000, 10_000} {
		sum := 0.0
		for _, q := range queries[:50] {
			exact := keysOf(query(b, e, "docs", Request{Values: q.Vector, TopK: k, Exact: true}))
			found := map[string]bool{}
			for _, key := range keysOf(query(b, e, "docs", Request{Values: q.Vector, TopK: k})) {
				found[key] = true
			}
			for _, key := range exact {
				if found[key] {
					sum += 1 / float64(len(exact))
				}
			}
		}
		began, n := cpuTime(), 100
		for i := range n {
			query(b, e, "docs", Request{Values: queries[i].Vector, TopK: k})
		}
		b.Logf("top %5d: recall %.4f, %6d µs", k, sum/50, ((cpuTime() - began) / time.Duration(n)).Microseconds())
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFreshFilters filters while the tail is as long as it may be: pushes of 500 and pushes of 50.
func BenchmarkFreshFilters(b *testing.B) {
	rows, queries := wholeCorpus(b)
	for _, size := range []int{500, 50} {
		e := openEngine(b, Options{Store: newMemoryStore(b, 51), Tuning: Tuning{FoldRows: 20_000, FoldBytes: 64 << 20}})
		create(b, e, Spec{Name: "docs", Dimension: 384})
		fresh := min(390*size, 19_000)
		pushDescribed(b, e, rows[:len(rows)-fresh], false)
		must(b, e.Flush(background))
		for part := range slices.Chunk(rows[len(rows)-fresh:], size) {
			var batch []Vector
			for i, r := range part {
				batch = append(batch, Vector{Key: r.Key, Values: r.Vector, Metadata: fmt.Appendf(nil, `{"section":%q,"n":%d}`, r.Section, i)})
			}
			must(b, e.Put(background, bucket, "docs", batch))
		}
		info, err := e.DescribeIndex(background, bucket, "docs")
		must(b, err)
		for _, f := range []string{"", `{"n":{"$lt":5}}`, `{"section":"python"}`, `{"section":"editors"}`} {
			began := cpuTime()
			query(b, e, "docs", Request{Values: queries[0].Vector, TopK: 10, Filter: []byte(f)})
			first := cpuTime() - began
			began = cpuTime()
			for i := range 200 {
				query(b, e, "docs", Request{Values: queries[i].Vector, TopK: 10, Filter: []byte(f)})
			}
			b.Logf("tail of %d in pushes of %d, filter %-25s %5d µs, the first time %6d µs", info.TailVectors, size, f, ((cpuTime() - began) / 200).Microseconds(), first.Microseconds())
		}
		must(b, e.Close())
	}
	b.ReportMetric(0, "ns/op")
}
