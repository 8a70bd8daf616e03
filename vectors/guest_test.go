package vectors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tarnlake/tarn/vectors/distance"
)

// guested is an index whose cells have guests.
func guested(t *testing.T, seed uint64, metric distance.Metric) (e *Engine, data [][]float32, queries [][]float32) {
	t.Helper()
	const n, dim = 3000, 32
	rng := rand.New(rand.NewPCG(seed, seed))
	t.Logf("seed %d", seed)
	data = clustered(rng, n+60, dim, 30)
	e = openEngine(t, Options{Store: newMemoryStore(t, int64(seed)), Tuning: Tuning{YoungRows: 500, FoldRows: 700, Target: 128}})
	create(t, e, Spec{Name: "docs", Dimension: dim, Metric: metric})
	pushAll(t, e, "docs", data[:n], func(i int) []byte { return fmt.Appendf(nil, `{"third": %d}`, i%3) })
	must(t, e.Flush(background))
	return e, data[:n], data[n:]
}

// places tells where each row of the index lies, and where it is a guest.
func places(t *testing.T, e *Engine) (own, hosts map[uint64]spot) {
	t.Helper()
	o, m, err := e.current(background, bucket, "docs")
	must(t, err)
	own, hosts = map[uint64]spot{}, map[uint64]spot{}
	for _, h := range m.byPlace {
		blocks, _, err := o.e.cache.wholes(background, h.parts)
		must(t, err)
		for part, b := range blocks {
			for row, id := range b.IDs() {
				own[id] = spot{h.place, b.CellOf(row)}
			}
			for cell := range b.Cells() {
				for _, g := range b.Cell(cell).Guests {
					from := m.homes[g.Neighbourhood]
					if from == nil || from.cells == nil || from.parts[from.celled].file != h.parts[part].file {
						continue
					}
					lies, _, err := o.e.cache.wholes(background, from.parts[from.celled:from.celled+1])
					must(t, err)
					id := lies[0].IDs()[g.Row()]
					if got := lies[0].CellOf(g.Row()); got != g.Cell() {
						t.Errorf("row %d lies in cell %d, its place says %d", id, got, g.Cell())
					}
					hosts[id] = spot{h.place, cell}
				}
			}
		}
	}
	return own, hosts
}

func TestRowsAreGuestsOfASecondCell(t *testing.T) {
	e, data, _ := guested(t, 431, distance.Cosine)
	own, hosts := places(t, e)
	if len(own) != len(data) || len(hosts) < len(data)/10 {
		t.Fatalf("%d rows, %d guests", len(own), len(hosts))
	}
	elsewhere := 0
	for id, at := range hosts {
		if at == own[id] {
			t.Errorf("row %d is a guest of its own cell", id)
		}
		if at.home != own[id].home {
			elsewhere++
		}
	}
	if elsewhere == 0 {
		t.Error("no row is a guest of another neighbourhood")
	}
}

// With two places looked into, hits come that lie in neither of them; none comes twice, and a filter holds for all.
func TestGuestsAreHits(t *testing.T) {
	for _, metric := range []distance.Metric{distance.Cosine, distance.Euclidean, distance.DotProduct} {
		e, _, queries := guested(t, 432, metric)
		plain, through := 0, 0
		for _, q := range queries {
			for _, filter := range []string{"", `{"third": 1}`} {
				r := Request{Values: q, TopK: 10, Probes: 2, ReturnMetadata: true}
				if filter != "" {
					r.Filter = []byte(filter)
				}
				a := query(t, e, "docs", r)
				keys := keysOf(a)
				if len(keys) != 10 {
					t.Fatalf("%v: %d hits", metric, len(keys))
				}
				slices.Sort(keys)
				if len(slices.Compact(keys)) != 10 {
					t.Fatalf("%v: a hit comes twice: %v", metric, keysOf(a))
				}
				for _, h := range a.Hits {
					if filter != "" && string(h.Metadata) != `{"third": 1}` {
						t.Errorf("%v: %s has %s", metric, h.Key, h.Metadata)
					}
				}
				if filter != "" {
					continue
				}
				exact := keysOf(query(t, e, "docs", Request{Values: q, TopK: 10, Exact: true}))
				for _, k := range keysOf(a) {
					if slices.Contains(exact, k) {
						through++
					}
				}
				plain += withoutGuests(t, e, q, exact)
			}
		}
		if through <= plain {
			t.Errorf("%v: %d of the nearest are found with guests, %d without", metric, through, plain)
		}
		t.Logf("%v: %d of the nearest are found with guests, %d without", metric, through, plain)
	}
}

// withoutGuests counts how many of some keys lie in the two places nearest to a query.
func withoutGuests(t *testing.T, e *Engine, q []float32, keys []string) (n int) {
	t.Helper()
	o, m, err := e.current(background, bucket, "docs")
	must(t, err)
	f := newFinder()
	defer f.release()
	f.query.Reset(o.rec.spec.Metric, directed(&o.rec.spec, q, distance.Inverse(q)))
	for _, p := range f.search.Nearest(m.atlas, &f.query, 2) {
		h := m.byPlace[p.Home()]
		blocks, _, err := o.e.cache.wholes(background, h.parts)
		must(t, err)
		for _, b := range blocks {
			for row := range b.Len() {
				if (b.Cells() == 0 || b.CellOf(row) == p.Cell()) && slices.Contains(keys, b.Key(row)) {
					n++
				}
			}
		}
	}
	return n
}

func TestGuestsThatWereDeletedAreNoHits(t *testing.T) {
	e, data, queries := guested(t, 433, distance.Euclidean)
	var gone []string
	for i := range data {
		if i%2 == 0 {
			gone = append(gone, fmt.Sprintf("k%d", i))
		}
	}
	for some := range slices.Chunk(gone, 500) {
		must(t, e.Delete(background, bucket, "docs", some))
	}
	check := func(when string) {
		t.Helper()
		for _, q := range queries {
			a := query(t, e, "docs", Request{Values: q, TopK: 10, Probes: 3})
			if len(a.Hits) != 10 {
				t.Fatalf("%s: %d hits", when, len(a.Hits))
			}
			for _, h := range a.Hits {
				if slices.Contains(gone, h.Key) {
					t.Fatalf("%s: %s was deleted", when, h.Key)
				}
			}
		}
	}
	check("at once")
	must(t, e.Flush(background))
	check("when neighbourhoods were written anew")
}

// An index whose vectors are replaced, a few at a time, is polished as one that grows is: rows of neighbourhoods that are written anew
// one by one are no more where they would be if all had been made together.
func TestAnIndexIsPolishedWhenItsVectorsWereReplaced(t *testing.T) {
	const n, dim = 3000, 32
	data := clustered(rand.New(rand.NewPCG(439, 0)), 2*n, dim, 30)
	var polished atomic.Int64
	e := openEngine(t, Options{Store: newMemoryStore(t, 439), Tuning: Tuning{YoungRows: 500, FoldRows: 700, Target: 128}, Events: Events{
		Upkeep: func(_, _, step string, _ int, err error) {
			if step == "polish" && err == nil {
				polished.Add(1)
			}
		},
	}})
	create(t, e, Spec{Name: "docs", Dimension: dim})
	pushAll(t, e, "docs", data[:n], nil)
	must(t, e.Flush(background))
	before := polished.Load()
	for from := 0; from < n; from += 100 {
		part := make([]Vector, 100)
		for i := range part {
			part[i] = Vector{Key: fmt.Sprintf("k%d", from+i), Values: data[n+from+i]}
		}
		must(t, e.Put(background, bucket, "docs", part))
		must(t, e.Flush(background))
	}
	if times := polished.Load() - before; times < 1 || times > 8 {
		t.Errorf("polished %d times while all vectors were replaced", times)
	}
}
