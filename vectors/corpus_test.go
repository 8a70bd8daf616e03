package vectors

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// The fixture is 2,000 real sentence embeddings with 100 held-out queries, whose
// exact neighbours were computed by corpus/fixture.py.

type corpusRow struct {
	Key     string    `parquet:"key"`
	Section string    `parquet:"section"`
	Vector  [768]byte `parquet:"vector"`
}

type corpusQuery struct {
	Key              string    `parquet:"key"`
	Section          string    `parquet:"section"`
	Vector           [768]byte `parquet:"vector"`
	Keys             []string  `parquet:"keys,list"`
	Distances        []float64 `parquet:"distances,list"`
	SectionKeys      []string  `parquet:"section_keys,list"`
	SectionDistances []float64 `parquet:"section_distances,list"`
}

// halves widens half floats, which is exact.
func halves(b []byte) []float32 {
	out := make([]float32, len(b)/2)
	for i := range out {
		h := uint32(binary.LittleEndian.Uint16(b[2*i:]))
		sign, exp, frac := h>>15<<31, h>>10&31, h&1023
		switch {
		case exp == 0:
			out[i] = float32(math.Ldexp(float64(frac), -24))
			if sign != 0 {
				out[i] = -out[i]
			}
		default:
			out[i] = math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
		}
	}
	return out
}

func fixture(t testing.TB) ([]corpusRow, []corpusQuery) {
	t.Helper()
	dir := filepath.Join("..", "corpus", "testdata")
	rows, err := parquet.ReadFile[corpusRow](filepath.Join(dir, "debian-2000.parquet"))
	must(t, err)
	queries, err := parquet.ReadFile[corpusQuery](filepath.Join(dir, "queries-100.parquet"))
	must(t, err)
	if len(rows) != 2000 || len(queries) != 100 {
		t.Fatalf("fixture of %d rows and %d queries", len(rows), len(queries))
	}
	return rows, queries
}

func pushCorpus(t testing.TB, e *Engine, rows []corpusRow) {
	t.Helper()
	for part := range slices.Chunk(rows, BatchMax) {
		batch := make([]Vector, len(part))
		for i, r := range part {
			batch[i] = Vector{Key: r.Key, Values: halves(r.Vector[:]), Metadata: fmt.Appendf(nil, `{"section": %q}`, r.Section)}
		}
		must(t, e.Put(background, bucket, "docs", batch))
	}
}

func TestRealEmbeddingsAreFound(t *testing.T) {
	rows, queries := fixture(t)
	e := openEngine(t, Options{Store: newMemoryStore(t, 81), Tuning: Tuning{YoungRows: 500, FoldRows: 400, Target: 40}})
	create(t, e, Spec{Name: "docs", Dimension: 384})
	pushCorpus(t, e, rows)
	for _, when := range []string{"fresh", "folded"} {
		found, filtered := 0.0, 0.0
		for _, q := range queries {
			values := halves(q.Vector[:])
			exact := query(t, e, "docs", Request{Values: values, TopK: 10, Exact: true})
			if got := keysOf(exact); !slices.Equal(got, q.Keys) {
				t.Errorf("%s: exact neighbours of %s are %v, want %v", when, q.Key, got, q.Keys)
			}
			for i, h := range exact.Hits {
				if math.Abs(float64(h.Distance)-q.Distances[i]) > 1e-6 {
					t.Errorf("%s: distance of %s to %s is %v, want %v", when, q.Key, h.Key, h.Distance, q.Distances[i])
				}
			}
			found += share(keysOf(query(t, e, "docs", Request{Values: values, TopK: 10})), q.Keys)
			section := fmt.Appendf(nil, `{"section": %q}`, q.Section)
			filtered += share(keysOf(query(t, e, "docs", Request{Values: values, TopK: 10, Filter: section})), q.SectionKeys)
		}
		t.Logf("%s: recall@10 %.4f, with a filter %.4f", when, found/100, filtered/100)
		if found < 95 || filtered < 95 {
			t.Errorf("%s: recall@10 %.4f, with a filter %.4f", when, found/100, filtered/100)
		}
		must(t, e.Flush(background))
	}
	info, err := e.DescribeIndex(background, bucket, "docs")
	must(t, err)
	if info.Neighbourhoods < 20 || info.Cells < 3*info.Neighbourhoods || info.Probes >= info.Cells || info.TailVectors != 0 {
		t.Errorf("%+v", info)
	}
}

// corpus is the whole of it, where `make data` has built it.
func corpus(b *testing.B) (data, queries [][]float32, ok bool) {
	dir := filepath.Join("..", ".data", "corpus")
	if _, err := os.Stat(filepath.Join(dir, "debian.parquet")); err != nil {
		return nil, nil, false
	}
	type whole struct {
		Vector []float32 `parquet:"vector,list"`
	}
	for name, list := range map[string]*[][]float32{"debian.parquet": &data, "queries.parquet": &queries} {
		rows, err := parquet.ReadFile[whole](filepath.Join(dir, name))
		must(b, err)
		for _, r := range rows {
			*list = append(*list, r.Vector)
		}
	}
	return data, queries, true
}
