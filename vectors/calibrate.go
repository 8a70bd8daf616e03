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

// How many cells an automatic query looks into. The exact neighbours of sample queries are found by comparing
// with all; what counts is in which place of the query's order each neighbour's cell stands. Samples are those that were
// asked lately (asked) and, as these may be of one kind, stored vectors. Until enough were asked there are only
// the latter, and margins, for queries that are less like the stored vectors than the samples are.
const (
	calibratedK        = 10
	calibrationQueries = 128 // at least; more where there are few vectors to compare with, up to calibrationMost
	calibrationMost    = 512
	calibrationWork    = 128 * 200_000 // comparisons; half a second of a processor with 384 numbers
	calibrationMissed  = 0.3           // of stored vectors, so much of what may be missed
	calibrationMargin  = 1.4
	askedMissed        = 0.8  // likewise of what was asked: the rest is for what codes miss, and for the luck of samples
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
	live := o.asked.samples()
	counts, err := o.measure(ctx, m, samples, live)
	if err != nil {
		return "", err
	}
	next := m.upkeep
	next.calibratedRows = uint64(m.rows)
	next.filtered = 0
	if next.probes, next.recall = probesByStored(counts[0], o.rec.spec.Target()); live != nil {
		next.filtered = next.probes // of filters, what was asked tells nothing
		next.probes, next.recall = probesByAsked(counts[0], counts[1], o.rec.spec.Target())
	}
	s := stepping{o: o, m: m}
	s.txn.Conditions = []index.Condition{
		{Kind: index.KeyVersion, Key: recordKey(o.bucket, o.rec.spec.Name), Version: o.recVersion},
		o.upkeepCondition(m.view),
	}
	s.put(o.keys.key(keyUpkeep, ""), nil, next.encode())
	res, err := o.e.commit(ctx, s.txn)
	if err == nil && (live != nil || o.asked.wanted()) {
		o.asked.chosen(len(samples)+len(live), m.rows)
	}
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

// neighbours of a sample, and where they lie.
type neighbours struct {
	best
	query *distance.Query
	spots map[uint64]lying // of found ids
}

// measure compares samples with all rows of the segments, block by block, and counts in which place the neighbours of each group stand.
func (o *opened) measure(ctx context.Context, m *moment, groups ...[]sampled) ([]histogram, error) {
	samples, metric := slices.Concat(groups...), o.rec.spec.Metric
	nearest := make([]neighbours, len(samples))
	for i := range samples {
		nearest[i] = neighbours{best{k: calibratedK}, distance.NewQuery(metric, samples[i].values), map[uint64]lying{}}
	}
	var scores []float32
	hosts := map[lying]spot{}
	for at, h := range m.byPlace {
		blocks, _, err := o.e.cache.wholes(ctx, h.parts)
		if err != nil {
			return nil, err
		}
		for part, b := range blocks {
			m.hosts(hosts, h, &h.parts[part], b)
			scores = slices.Grow(scores[:0], b.Len())[:b.Len()]
			for i := range nearest {
				n := &nearest[i]
				n.query.Rows(b.Vectors(), b.Inverses(), scores)
				for row, d := range scores {
					if id := b.IDs()[row]; id != samples[i].id && n.wants(d, id) && o.alive(m, b, row) {
						n.add(found{distance: d, id: id})
						n.spots[id] = lying{spot{at, b.CellOf(row)}, row}
					}
				}
			}
		}
	}
	ranks, counts := newStandings(m), make([]histogram, len(groups))
	for g, group := range groups {
		counts[g].places = make([]int, m.atlas.Places())
		for i := range group {
			ranks.of(metric, nearest[i].query)
			counts[g].count(ranks, hosts, &nearest[i])
		}
		nearest = nearest[len(group):]
	}
	return counts, nil
}

// histogram is how many neighbours of samples stand in which place.
type histogram struct {
	places []int
	total  int
}

func (h *histogram) count(ranks *standings, hosts map[lying]spot, n *neighbours) {
	for _, f := range n.found {
		at := n.spots[f.id]
		rank := ranks.place(at.spot)
		if host, ok := hosts[at]; ok {
			rank = min(rank, ranks.place(host))
		}
		h.places[rank]++
		h.total++
	}
}

// share of the neighbours that the first places hold.
func (h *histogram) share(places int) float64 {
	sum := 0
	for _, n := range h.places[:places] {
		sum += n
	}
	return float64(sum) / float64(h.total)
}

// least is the least number of places that hold a share of the neighbours.
func (h *histogram) least(share float64) int {
	sum := 0
	for i, n := range h.places {
		if sum += n; float64(sum) >= share*float64(h.total) {
			return i + 1
		}
	}
	return len(h.places)
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

// probesByStored is how many places are to be looked into so that a target is met, and the share of the neighbours that
// they then hold.
func probesByStored(stored histogram, target float64) (probes int, recall float64) {
	if stored.total == 0 {
		return len(stored.places), 1
	}
	probes = int(math.Ceil(float64(stored.least(1-calibrationMissed*(1-target)))*calibrationMargin)) + 1
	probes = min(len(stored.places), probes)
	return probes, stored.share(probes)
}

// probesByAsked is the same where it is known what is asked.
func probesByAsked(stored, asked histogram, target float64) (probes int, recall float64) {
	if stored.total == 0 || asked.total == 0 {
		return len(stored.places), 1
	}
	probes = min(len(stored.places), max(stored.least(target), asked.least(1-askedMissed*(1-target)))+1)
	return probes, asked.share(probes)
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
