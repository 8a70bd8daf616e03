package vectors

import (
	"slices"

	"github.com/tarnlake/tarn/vectors/distance"
)

// plan is one step of upkeep. All steps are of one kind: take the tail, or not;
// take the rows of some neighbourhoods; decide on centroids; write what was taken
// as one new segment, every row to its nearest centroid; publish.
type plan struct {
	name      string
	tail      bool
	homes     []uint32 // whose rows are taken
	divide    []uint32 // of homes: get several centroids in place of one
	remove    []uint32 // of homes: lose their centroid
	build     bool     // all rows, all centroids anew
	polish    bool     // rows move between the neighbourhoods
	calibrate bool     // nothing of the above
}

// Bounds of one step.
const (
	stepPushesMax   = 600 // of the tail: each is a mutation
	stepHomesMax    = 32
	stepDividesMax  = 4
	neighboursMoved = 6         // nearest neighbourhoods whose rows are given anew beside a divided one
	partsMax        = 4         // blocks of a neighbourhood
	partsPressed    = 16        // likewise, as long as rows stream in
	dividesPressed  = 16        // likewise, of a step; with no neighbours beside them
	polishBytesMax  = 256 << 20 // in memory
	buildHomesMax   = 380       // centroids of one publish
	buildEntryMax   = 760_000   // bytes of them
)

func (v *view) young() bool { return v.centroids == nil }

// tailSize is how long a tail is.
type tailSize struct {
	rows, pushes int
	bytes        int64
}

// size of the tail; for a view that others know it needs opened.mu.
func (v *view) tailSize() tailSize { return tailSize{v.tailRows, len(v.tail), v.tailBytes} }

// wantsFold reports whether the tail has passed its bounds.
func (s tailSize) wantsFold(young bool, t *Tuning) bool {
	if young {
		return s.rows >= t.YoungRows || s.bytes >= t.YoungBytes || s.pushes >= t.FoldRecords
	}
	return s.rows >= t.FoldRows || s.bytes >= t.FoldBytes || s.pushes >= t.FoldRecords
}

// plan chooses the next step; nil: the index is in order.
func (o *opened) plan(m *moment, all bool) *plan {
	t := &o.e.o.Tuning
	fold := m.size.wantsFold(m.young(), t) || all && len(m.tail) > 0
	switch {
	case !m.young() && m.upkeep.probes == 0 && m.rows > 0:
		return &plan{name: "calibrate", calibrate: true} // until then each query compares with all
	case fold && m.young():
		return &plan{name: "build", tail: true, build: true, homes: homeIDs(m)}
	case m.young():
		return nil
	case fold && (all || m.size.wantsFold(false, t.doubled())):
		return &plan{name: "fold", tail: true}
	}
	choices := []func(*moment, *Tuning) *plan{o.planDivide, o.planCompact, o.planRemove, o.planSweep, o.planReclaim, o.planCalibrate}
	calm := !o.pressed(m) && (all || o.calm(m))
	m.hurried = !calm && o.grown(m)
	if calm && o.grown(m) {
		choices = slices.Insert(choices, 0, o.planPolish)
	}
	if fold { // before more rows come into them, neighbourhoods must be in order
		choices = []func(*moment, *Tuning) *plan{o.planDivide, o.planCompact, planFold}
	}
	for _, choose := range choices {
		if p := choose(m, t); p != nil {
			return p
		}
	}
	return nil
}

func planFold(*moment, *Tuning) *plan { return &plan{name: "fold", tail: true} }

// doubled bounds of the tail: a fold cannot wait any more.
func (t *Tuning) doubled() *Tuning {
	return &Tuning{FoldRows: 2 * t.FoldRows, FoldBytes: 2 * t.FoldBytes, FoldRecords: 2 * t.FoldRecords}
}

func homeIDs(m *moment) []uint32 {
	if m.centroids == nil {
		return nil
	}
	return m.centroids.IDs()
}

// homesFor is how many neighbourhoods rows need, leaving them room to grow.
func (o *opened) homesFor(rows int) int {
	return max(1, rows*5/(o.e.o.Tuning.Target*4))
}

// tooLarge: a neighbourhood is to be divided.
func (o *opened) tooLarge(h *home) bool {
	return h.rows > 2*o.e.o.Tuning.Target && h.rows > 2*o.upkeep.stubborn[h.id]
}

// tooLoose: it has too many parts, or too many rows that are in no cell.
func (o *opened) tooLoose(h *home, parts, share int) bool {
	loose := h.loose()
	return len(h.parts) > parts || loose > o.e.o.Tuning.Cell && loose*share > h.rows-loose
}

func (o *opened) planDivide(m *moment, _ *Tuning) *plan {
	var large []*home
	for _, h := range m.sortedHomes() {
		if o.tooLarge(h) {
			large = append(large, h)
		}
	}
	if len(large) == 0 {
		return nil
	}
	slices.SortStableFunc(large, func(a, b *home) int { return b.rows - a.rows })
	if m.hurried || o.pressed(m) {
		homes := o.near(m, large[0], dividesPressed, func(h *home) bool { return slices.Contains(large, h) })
		return &plan{name: "divide", divide: homes, homes: homes}
	}
	p := &plan{name: "divide"}
	taken := map[uint32]bool{}
	for _, h := range large[:min(len(large), stepDividesMax)] {
		p.divide = append(p.divide, h.id)
		if !taken[h.id] {
			taken[h.id] = true
			p.homes = append(p.homes, h.id)
		}
		for _, id := range o.around(m, h, neighboursMoved) {
			if !taken[id] {
				taken[id] = true
				p.homes = append(p.homes, id)
			}
		}
	}
	return p
}

// around are the neighbourhoods nearest to one, without itself.
func (o *opened) around(m *moment, h *home, n int) []uint32 {
	metric := o.rec.spec.Metric
	order := m.centroids.Order(distance.NewQuery(metric, h.centroid))
	var list []uint32
	for len(list) < n {
		id, ok := order.Next()
		if !ok {
			break
		}
		if id != h.id {
			list = append(list, id)
		}
	}
	return list
}

// near is a neighbourhood and up to so many, with it, of those that are wanted and near to it.
func (o *opened) near(m *moment, first *home, most int, wanted func(*home) bool) []uint32 {
	homes := []uint32{first.id}
	for _, id := range o.around(m, first, 4*most) {
		if len(homes) < most && wanted(m.homes[id]) {
			homes = append(homes, id)
		}
	}
	return homes
}

// planCompact rewrites neighbourhoods of many parts, and those of which many rows are in no cell: as long as
// rows stream in, only where they have doubled. It takes the one with the most such rows and those of the others that are
// near to it, for rows become guests of one another only in one step.
func (o *opened) planCompact(m *moment, _ *Tuning) *plan {
	share, parts := 8, partsMax
	if m.hurried || o.pressed(m) {
		share, parts = 1, partsPressed
	}
	wanted := func(h *home) bool { return o.tooLoose(h, parts, share) }
	var first *home
	for _, h := range m.sortedHomes() {
		if wanted(h) && (first == nil || h.loose() > first.loose()) {
			first = h
		}
	}
	if first == nil {
		return nil
	}
	return &plan{name: "compact", homes: o.near(m, first, stepHomesMax, wanted)}
}

// loose is how many rows came since the neighbourhood was last written anew.
func (h *home) loose() int {
	n := h.rows
	for _, p := range h.parts {
		if p.file.seq == h.floor {
			n -= int(p.entry.Rows)
		}
	}
	return n
}

// planRemove gives up the smallest neighbourhood where it is far below the target.
func (o *opened) planRemove(m *moment, t *Tuning) *plan {
	if len(m.homes) < 2 {
		return nil
	}
	homes := m.sortedHomes()
	least := slices.MinFunc(homes, func(a, b *home) int { return a.rows - b.rows })
	if least.rows*6 > t.Target {
		return nil
	}
	return &plan{name: "merge", homes: []uint32{least.id}, remove: []uint32{least.id}}
}

// planSweep rewrites neighbourhoods, in turn, while many superseded rows lie in them.
func (o *opened) planSweep(m *moment, t *Tuning) *plan {
	if len(m.superseded) <= m.rows/5+t.Target/4 {
		return nil
	}
	p := &plan{name: "sweep"}
	homes := m.sortedHomes()
	from, _ := slices.BinarySearchFunc(homes, o.upkeep.swept+1, func(h *home, id uint32) int { return int(int64(h.id) - int64(id)) })
	for i := range min(len(homes), stepHomesMax/2) {
		p.homes = append(p.homes, homes[(from+i)%len(homes)].id)
	}
	return p
}

// planReclaim rewrites what is left in a segment of which less than half counts.
func (o *opened) planReclaim(m *moment, _ *Tuning) *plan {
	left := map[*segmentFile]int{}
	for _, h := range m.homes {
		for _, p := range h.parts {
			left[p.file] += int(p.entry.Rows)
		}
	}
	for file, rows := range left {
		if 2*rows >= file.rows {
			continue
		}
		p := &plan{name: "reclaim"}
		for _, h := range m.sortedHomes() {
			if len(p.homes) < stepHomesMax && slices.ContainsFunc(h.parts, func(p part) bool { return p.file == file }) {
				p.homes = append(p.homes, h.id)
			}
		}
		return p
	}
	return nil
}

// grown: by a third since rows could last move between all neighbourhoods.
func (o *opened) grown(m *moment) bool {
	return len(m.homes) > 1 && m.rows > 0 && uint64(3*m.rows) >= 4*max(m.upkeep.builtRows, m.upkeep.polishedRows)
}

// planPolish lets rows move between all neighbourhoods, when few stream in. A large index is polished part by part, each of them neighbourhoods that are near to one another. It leaves
// little to divide, and nothing to compact.
func (o *opened) planPolish(m *moment, t *Tuning) *plan {
	dim := o.rec.spec.Dimension
	most := max(2, min(polishBytesMax/(t.Target*(8*dim+300)), buildHomesMax, buildEntryMax/(4*dim+128)))
	times := (len(m.homes)*5/4 + most - 1) / most // parts of even size, which overlap by a quarter
	for _, h := range m.sortedHomes() {
		if !o.upkeep.polished[h.id] {
			homes := o.polishAround(m, h, (len(m.homes)+times-1)/times)
			large := slices.DeleteFunc(slices.Clone(homes), func(id uint32) bool { return !o.tooLarge(m.homes[id]) })
			return &plan{name: "polish", polish: true, homes: homes, divide: large[:min(len(large), max(0, most-len(homes))/2)]}
		}
	}
	return nil
}

// polishAround is a neighbourhood and those near to it: so many that were not polished, and others among them.
func (o *opened) polishAround(m *moment, h *home, new int) []uint32 {
	homes, others := []uint32{h.id}, []uint32(nil)
	for _, id := range o.around(m, h, len(m.homes)) {
		switch {
		case len(homes) == new:
			return append(homes, others[:min(len(others), new/4)]...)
		case o.upkeep.polished[id]:
			others = append(others, id)
		default:
			homes = append(homes, id)
		}
	}
	return append(homes, others[:min(len(others), new/4)]...)
}

// planCalibrate: the index grew or shrank by a third since its probes were chosen, or was asked much.
func (o *opened) planCalibrate(m *moment, _ *Tuning) *plan {
	then := float64(m.upkeep.calibratedRows)
	if now := float64(m.rows); m.upkeep.probes > 0 && now < then*4/3 && now > then*2/3 && !o.asked.wanted() {
		return nil
	}
	if m.rows == 0 {
		return nil
	}
	return &plan{name: "calibrate", calibrate: true}
}
