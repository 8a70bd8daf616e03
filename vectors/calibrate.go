package vectors

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/navigate"
	"github.com/tarnlake/tarn/vectors/segment"
)

// How many neighbourhoods an automatic query looks into. Queries are drawn from
// the stored vectors; their exact neighbours are found by comparing with all; what
// counts is in which place of the query's order each neighbour's
// neighbourhood stands. The margins are for queries that are less like the
// stored vectors than the samples are.
const (
	calibratedK        = 10
	calibrationQueries = 128 // at least; more where there are few vectors to compare with, up to calibrationMost
	calibrationMost    = 512
	calibrationWork    = 128 * 200_000 // comparisons; half a second of a processor with 384 numbers
	calibrationRecall  = 0.985         // of the samples; what is promised is 0.95
	calibrationMargin  = 1.4
	drawnTowards       = 0.25 // of every second sample: the share of another stored vector
)

type sampled struct {
	values []float32
	id     uint64 // of the vector that it is; 0: it is none
}

// sample draws queries: stored vectors, every second one drawn towards another.
func (o *opened) sample(ctx context.Context, m *moment, n int) ([]sampled, error) {
	rng, err := o.random()
	if err != nil {
		return nil, err
	}
	var list []sampled
	for i := range n {
		a, id, err := o.anyRow(ctx, m, rng.IntN)
		if err != nil || a == nil {
			return list, err
		}
		if i%2 == 0 {
			list = append(list, sampled{a, id})
			continue
		}
		b, _, err := o.anyRow(ctx, m, rng.IntN)
		if err != nil {
			return list, err
		}
		mixed := slices.Clone(a)
		for j := range mixed {
			mixed[j] += drawnTowards * (b[j] - mixed[j])
		}
		if o.rec.spec.Metric != distance.Cosine || distance.Inverse(mixed) < 1e15 && distance.Norm(mixed) > 1e-15 {
			list = append(list, sampled{mixed, 0})
		}
	}
	return list, nil
}

// anyRow is some row of the tail or of a segment; nil where there is none.
func (o *opened) anyRow(ctx context.Context, m *moment, intn func(int) int) ([]float32, uint64, error) {
	total := 0
	for _, p := range m.tail {
		total += p.rows()
	}
	if total+m.rows == 0 {
		return nil, 0, nil
	}
	at := intn(total + m.rows)
	for _, p := range m.tail {
		if at < p.rows() {
			return p.block.Vector(at), p.block.IDs()[at], nil
		}
		at -= p.rows()
	}
	for _, h := range m.sortedHomes() {
		for _, p := range h.parts {
			if at >= int(p.entry.Rows) {
				at -= int(p.entry.Rows)
				continue
			}
			blocks, _, err := o.e.cache.wholes(ctx, []part{p})
			if err != nil {
				return nil, 0, err
			}
			return blocks[0].Vector(at), blocks[0].IDs()[at], nil
		}
	}
	return nil, 0, nil
}

// calibrate chooses the probes anew and publishes them.
func (o *opened) calibrate(ctx context.Context, m *moment, _ *plan) (index.Position, error) {
	samples, err := o.sample(ctx, m, samplesFor(m))
	if err != nil {
		return "", err
	}
	next := m.upkeep
	next.calibratedRows = uint64(m.rows)
	next.probes, next.recall, err = o.measure(ctx, m, samples)
	if err != nil {
		return "", err
	}
	s := stepping{o: o, m: m}
	s.txn.Conditions = []index.Condition{
		{Kind: index.KeyVersion, Key: recordKey(o.bucket, o.rec.spec.Name), Version: o.recVersion},
		o.upkeepCondition(m.view),
	}
	s.put(o.keys.key(keyUpkeep, ""), nil, next.encode())
	res, err := o.e.commit(ctx, s.txn)
	return res.Position, err
}

// samplesFor: the rare neighbours far away decide, so that few samples make the probes a matter of luck: on 62,666 sentence embeddings
// 128 of them chose 36 to 80 probes. While an index grows, they are chosen anew soon.
func samplesFor(m *moment) int {
	if m.hurried {
		return calibrationQueries
	}
	return max(calibrationQueries, min(calibrationMost, calibrationWork/max(1, m.rows)))
}

// measure compares samples with all rows of the segments, block by block.
func (o *opened) measure(ctx context.Context, m *moment, samples []sampled) (probes int, recall float64, err error) {
	type neighbour struct {
		best
		spots map[uint64]lying // of found ids
	}
	queries := make([]*distance.Query, len(samples))
	nearest := make([]neighbour, len(samples))
	for i := range samples {
		queries[i] = distance.NewQuery(o.rec.spec.Metric, samples[i].values)
		nearest[i] = neighbour{best: best{k: calibratedK}, spots: map[uint64]lying{}}
	}
	var scores []float32
	hosts := map[lying]spot{}
	for at, h := range m.byPlace {
		blocks, _, err := o.e.cache.wholes(ctx, h.parts)
		if err != nil {
			return 0, 0, err
		}
		for part, b := range blocks {
			m.hosts(hosts, h, &h.parts[part], b)
			scores = slices.Grow(scores[:0], b.Len())[:b.Len()]
			for i := range queries {
				queries[i].Rows(b.Vectors(), b.Inverses(), scores)
				for row, d := range scores {
					if id := b.IDs()[row]; id != samples[i].id && nearest[i].wants(d, id) && o.alive(m, b, row) {
						nearest[i].add(found{distance: d, id: id})
						nearest[i].spots[id] = lying{spot{at, b.CellOf(row)}, row}
					}
				}
			}
		}
	}
	places := make([]int, m.atlas.Places()) // how many neighbours stand in which place
	total := 0
	ranks := newStandings(m)
	for i := range samples {
		ranks.of(o.rec.spec.Metric, queries[i])
		for _, f := range nearest[i].found {
			at := nearest[i].spots[f.id]
			rank := ranks.place(at.spot)
			if host, ok := hosts[at]; ok {
				rank = min(rank, ranks.place(host))
			}
			places[rank]++
			total++
		}
	}
	probes, recall = chooseProbes(places, total)
	return probes, recall, nil
}

// lying is a row in its cell.
type lying struct {
	spot
	row int // of the block that has cells, or of any where it is in none
}

// hosts notes in which cells rows of others are guests.
func (m *moment) hosts(hosts map[lying]spot, h *home, p *part, b *segment.Block) {
	for cell := range b.Cells() {
		for _, g := range b.Cell(cell).Guests {
			if from := m.homes[g.Neighbourhood]; from != nil && from.cells != nil && from.parts[from.celled].file == p.file {
				hosts[lying{spot{from.place, g.Cell()}, g.Row()}] = spot{h.place, cell}
			}
		}
	}
}

// chooseProbes is the least number of places that hold enough of the
// neighbours, with a margin, and the share that it then holds.
func chooseProbes(places []int, total int) (probes int, recall float64) {
	if total == 0 {
		return len(places), 1
	}
	sums, sum := make([]int, len(places)+1), 0
	for i, n := range places {
		sum += n
		sums[i+1] = sum
	}
	for probes = 1; probes < len(places) && float64(sums[probes]) < calibrationRecall*float64(total); probes++ {
	}
	probes = min(len(places), int(math.Ceil(float64(probes)*calibrationMargin))+1)
	return probes, float64(sums[probes]) / float64(total)
}

// standings tell at which probe a query comes to a spot.
type standings struct {
	m      *moment
	finder finder
	homes  []int        // by place among the centroids: the first probe that considers its cells
	first  []int        // likewise: the first probe that looks into one of its cells
	cells  map[spot]int // the rank of each
}

func newStandings(m *moment) *standings {
	n := len(m.byPlace)
	return &standings{m: m, homes: make([]int, n), first: make([]int, n), cells: map[spot]int{}}
}

func (r *standings) of(metric distance.Metric, q *distance.Query) {
	clear(r.cells)
	r.finder.query.Reset(metric, q.Vector())
	found := r.finder.search.Nearest(r.m.atlas, &r.finder.query, r.m.atlas.Places())
	for at, home := range r.finder.search.Homes() {
		r.homes[home], r.first[home] = max(0, at-navigate.HomesAround), len(found)
	}
	slices.SortFunc(found, func(a, b navigate.Place) int { return cmp.Compare(a.Score(), b.Score()) })
	for rank, p := range found {
		r.cells[spot{p.Home(), p.Cell()}] = rank
		r.first[p.Home()] = min(r.first[p.Home()], rank)
	}
}

// place is the rank of a spot; what is in no cell is looked into with the first cell of its neighbourhood.
func (r *standings) place(s spot) int {
	rank, ok := r.cells[s]
	if !ok {
		rank = r.first[s.home]
	}
	return min(max(rank, r.homes[s.home]), r.m.atlas.Places()-1)
}
