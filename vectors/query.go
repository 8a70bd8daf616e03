package vectors

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/tarnlake/tarn/vectors/distance"
	"github.com/tarnlake/tarn/vectors/filter"
	"github.com/tarnlake/tarn/vectors/quantize"
	"github.com/tarnlake/tarn/vectors/segment"
)

// Request asks for the nearest neighbours of a vector, or of a stored one.
type Request struct {
	Values         []float32 // the vector; or
	LikeKey        string    // the key of a stored vector, which is left out of the answer; neither where there is Texts: by words only
	Texts          []TextQuery
	TopK           int      // 1 to 10,000; 0 beside Within: 10,000
	Within         *float32 // only what is no farther; all of it, to TopK
	Filter         []byte   // JSON; nil: all
	Probes         int      // cells to look into; 0: as many as the index's recall needs
	Exact          bool     // compare with every vector
	Ranking        Ranking  // beside Exact, Within and ReturnValues always RankingFull
	ReturnMetadata bool
	ReturnDistance bool // a hit has its Distance in any case; this is for the doors
	ReturnValues   bool
	Explain        bool // likewise: an answer has its Explain in any case
}

// Ranking is what the rows that may be in an answer are compared by in the end.
type Ranking uint8

// The rankings.
const (
	RankingDefault Ranking = iota // the engine's, which is RankingFull where its options do not say
	RankingFull                   // numbers as they were put
	RankingBytes                  // a byte for each number: nothing but the fronts of blocks is read, and distances are rounded
)

var rankingNames = []string{RankingDefault: "default", RankingFull: "full", RankingBytes: "bytes"}

func (r Ranking) String() string { return rankingNames[min(int(r), len(rankingNames)-1)] }

// ParseRanking reads "full" or "bytes".
func ParseRanking(s string) (Ranking, bool) {
	i := slices.Index(rankingNames, s)
	return Ranking(max(i, 0)), i > 0
}

// rounded reports whether the answer is ranked by bytes, where the engine's own way is given.
func (r *Request) rounded(own Ranking) bool {
	if r.Exact || r.Within != nil || r.ReturnValues {
		return false
	}
	return r.Ranking == RankingBytes || r.Ranking == RankingDefault && own == RankingBytes
}

// Hit is one neighbour.
type Hit struct {
	Key      string
	Distance float32 // as package distance defines it for the index's metric; 0 of a query by words only
	Score    float64 // where there are Texts: of BM25, or of several rankings fused; the highest first
	Metadata []byte
	Values   []float32
	Source   *Source
}

// Explain tells what a query did.
type Explain struct {
	Neighbourhoods int   // of the index
	Cells          int   // into which they are divided; one without any counts as one
	Probed         int   // cells looked into
	Scanned        int64 // vectors compared
	Reranked       int64 // of them, compared a second time with full numbers
	TextMatches    int64 // rows with one of the words, the superseded among them; of each text
	BytesRead      int64 // from the store; the rest was in memory
	Rounds         int   // of reads, each of which waited for the one before it
	Blocks         int64 // of neighbourhoods, that were looked into
	CacheHits      int64 // of them, found in memory
	Exact          bool
	Rounded        bool    // distances are those of the rows' bytes
	Plan           Plan    // how the filter was applied; "" where there was none
	Selected       int64   // rows that the filter means, the superseded among them; 0 with PlanDocuments
	Recall         float64 // the index's last measurement
	Took           time.Duration
}

// Plan is how a query applies its filter.
type Plan string

// The plans.
const (
	PlanMatches   Plan = "matches"   // all rows that it means are compared
	PlanBitmap    Plan = "bitmap"    // they are scanned, the nearest neighbourhoods first
	PlanDocuments Plan = "documents" // every row's metadata is looked at, as no list tells
)

// Answer is the nearest neighbours, the nearest first.
type Answer struct {
	Hits    []Hit
	More    bool // within the distance asked for there are more than TopK
	Explain Explain
}

// Query finds the nearest neighbours. It sees all that was acknowledged before it
// began.
func (e *Engine) Query(ctx context.Context, bucket, name string, r Request) (Answer, error) {
	began := e.host.Clock.Now()
	if err := r.validate(); err != nil {
		return Answer{}, err
	}
	f, err := parseFilter(r.Filter)
	if err != nil {
		return Answer{}, err
	}
	var answer Answer
	err = e.steady(ctx, bucket, name, func(o *opened) error {
		s, err := o.scanFor(ctx, &r, f)
		if err != nil {
			return err
		}
		ranked, err := s.ranked(ctx, &r)
		if err != nil {
			return err
		}
		answer, err = s.answer(ctx, &r, ranked)
		return err
	})
	answer.Explain.Took = e.host.Clock.Now().Sub(began)
	return answer, err
}

// scanFor makes a request ready for the index as it is now.
func (o *opened) scanFor(ctx context.Context, r *Request, f *filter.Filter) (*scan, error) {
	spec := &o.rec.spec
	if err := spec.checkFilter(f); err != nil {
		return nil, err
	}
	if err := spec.checkTexts(r.Texts); err != nil {
		return nil, err
	}
	values := r.Values
	if len(r.Texts) > 0 && values == nil && r.LikeKey == "" {
		return newScan(o, nil, f, r.TopK, ""), nil
	}
	if r.LikeKey != "" {
		var err error
		if values, err = o.like(ctx, r); err != nil {
			return nil, err
		}
	} else if err := validateValues(spec, values, "queryVector"); err != nil {
		return nil, err
	}
	s := newScan(o, distance.NewQuery(spec.Metric, values), f, r.TopK, r.LikeKey)
	s.rounded = r.rounded(o.e.o.Ranking)
	return s, nil
}

func (o *opened) like(ctx context.Context, r *Request) ([]float32, error) {
	if len(r.Values) > 0 {
		return nil, invalid("queryVector", "is given beside the key of a stored vector")
	}
	if err := validateKey(r.LikeKey, "like"); err != nil {
		return nil, err
	}
	before := o.moment()
	m, version, err := o.mapping(ctx, o.keys.key(keyMapping, r.LikeKey))
	if err != nil {
		return nil, err
	}
	if version == 0 || o.orphaned(&before, m.source) {
		return nil, ErrNoVector
	}
	rows, err := o.fetch(ctx, []named{namedOf(r.LikeKey, m)}, true, false)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, ErrNoVector // its source died
	}
	return rows[0].Values, nil
}

// scan is one query under way.
type scan struct {
	o       *opened
	m       moment
	query   *distance.Query
	filter  *filter.Filter
	chosen  *selection // nil: documents tell what the filter means
	without string     // a key that is left out
	best    best
	ranking *ranking // while probing
	afar    *afar    // while there are rows to be compared with that were pushed a short while ago
	matches int      // seen so far that were evaluated and passed
	needed  int      // matches that end the probing
	rounded bool     // rows are ranked by their bytes, and not settled by their numbers
	worth   float64  // of a look into a cell in which the filter means something, beside one without a filter
	scores  []float32
	explain Explain
}

func newScan(o *opened, q *distance.Query, f *filter.Filter, k int, without string) *scan {
	s := &scan{o: o, m: o.moment(), query: q, filter: f, without: without, best: best{k: k, found: make([]found, 0, min(k, 64))}, needed: k}
	s.explain.Neighbourhoods, s.explain.Cells = len(s.m.homes), s.m.places()
	s.explain.Recall = s.m.upkeep.recall
	return s
}

func (s *scan) run(ctx context.Context, r *Request) error {
	if s.m.size.rows > 0 {
		defer s.fromAfar()()
	}
	probes := r.Probes
	if probes == 0 {
		probes = s.automaticProbes(r.TopK)
		s.noteAsked(r)
	}
	if r.Within != nil && s.m.centroids != nil && !r.Exact {
		return s.nearby(ctx)
	}
	if r.Exact || s.m.centroids == nil || s.m.upkeep.probes == 0 && r.Probes == 0 {
		return s.everything(ctx)
	}
	s.ranking = newRanking(s.best.k, s)
	defer s.ranking.release()
	if s.filter != nil {
		if done, err := s.densely(ctx, probes); err != nil || done {
			return err
		}
	}
	return s.probe(ctx, probes)
}

// noteAsked takes what is asked for a sample by which probes are chosen.
func (s *scan) noteAsked(r *Request) {
	if s.m.upkeep.probes > 0 && !r.Exact && r.Within == nil && s.filter == nil && s.o.asked.note(s.query.Vector()) {
		s.o.e.wake()
	}
}

// automaticProbes grows the calibrated count, which is for ten neighbours, with
// the logarithm of topK.
func (s *scan) automaticProbes(topK int) int {
	probes := s.m.upkeep.probes
	if s.filter != nil && s.m.upkeep.filtered > 0 {
		probes = s.m.upkeep.filtered
	}
	if probes == 0 {
		return s.m.places() // not calibrated yet: be exact
	}
	factor := 1.0
	if topK > calibratedK {
		factor += 0.6 * math.Log2(float64(topK)/calibratedK)
	}
	return int(math.Ceil(factor * float64(probes)))
}

// everything compares with every vector.
func (s *scan) everything(ctx context.Context) error {
	s.explain.Exact = true
	s.explain.Probed = s.m.places()
	if s.chosen != nil {
		return s.everyChosen(ctx)
	}
	s.wholeTail()
	var parts []part
	for _, h := range s.m.sortedHomes() {
		parts = append(parts, h.parts...)
	}
	for some := range slices.Chunk(parts, 64) {
		if err := s.parts(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) parts(ctx context.Context, parts []part) error {
	blocks, err := s.fetch(ctx, parts, s.o.e.cache.wholes)
	if err != nil {
		return err
	}
	for _, b := range blocks {
		s.block(b)
	}
	return nil
}

// fetch gets the blocks of parts, or their fronts, and counts what that took.
func (s *scan) fetch(ctx context.Context, parts []part, get func(context.Context, []part) ([]*segment.Block, int64, error)) ([]*segment.Block, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.noteHits(parts)
	blocks, read, err := get(ctx, parts)
	s.noteRead(read)
	return blocks, err
}

// noteHits counts which parts are in memory before they are asked for.
func (s *scan) noteHits(parts []part) {
	s.explain.Blocks += int64(len(parts))
	for i := range parts {
		if s.o.e.cache.peek(&parts[i]) != nil {
			s.explain.CacheHits++
		}
	}
}

// block compares with every row of a block.
func (s *scan) block(b *segment.Block) {
	n := b.Len()
	if cap(s.scores) < n {
		s.scores = make([]float32, n)
	}
	scores := s.scores[:n]
	s.query.Rows(b.Vectors(), b.Inverses(), scores)
	s.explain.Scanned += int64(n)
	for i, d := range scores {
		s.consider(b, i, d)
	}
}

// deltas compares with the rows of the tail that belong to a neighbourhood.
func (s *scan) deltas(id uint32) {
	s.fresh(s.o.deltas(&s.m, id))
}

// fresh compares with rows of the tail.
func (s *scan) fresh(rows []ref) {
	for at, r := range rows {
		if r.push.version > s.m.seq {
			continue
		}
		if next := at + sketchAhead; next < len(rows) {
			quantize.PrefetchSigned(rows[next].push.sketched(&s.o.rec.spec).row(rows[next].row))
		}
		s.pushedRow(r.push, r.row)
	}
}

// consider takes a row at its true distance.
func (s *scan) consider(b *segment.Block, i int, d float32) {
	near := s.best.wants(d, b.IDs()[i])
	if !s.passes(b, i, near) || !near {
		return
	}
	s.best.add(found{distance: d, id: b.IDs()[i], block: b, row: i})
	if s.ranking != nil {
		s.ranking.limit.add(d)
	}
}

// passes reports whether a row may be in the answer. It does not look where the row is not near and
// enough matches were counted.
func (s *scan) passes(b *segment.Block, i int, near bool) bool {
	if !near && s.matches >= s.needed {
		return false
	}
	if s.filter != nil && !s.filter.Match(b.Document(i)) {
		return false
	}
	if !s.o.alive(&s.m, b, i) || s.without != "" && b.Key(i) == s.without {
		return false
	}
	s.matches++
	return true
}

func (s *scan) answer(ctx context.Context, r *Request, found []ranked) (Answer, error) {
	answer := Answer{More: len(found) > r.TopK}
	found = found[:min(len(found), r.TopK)]
	hits := make([]Hit, 0, len(found))
	var metadata metadataTiers
	if r.ReturnMetadata {
		var err error
		if metadata, err = s.metadata(ctx, found); err != nil {
			return Answer{}, err
		}
	}
	for i := range found {
		f := &found[i]
		hit := Hit{Key: f.block.Key(f.row), Distance: f.distance, Score: f.score, Source: f.block.Source(f.row)}
		if r.ReturnMetadata {
			var err error
			if hit.Metadata, err = metadata.of(f.block, f.row); err != nil {
				return Answer{}, err
			}
		}
		if r.ReturnValues {
			values := f.vector
			if values == nil {
				values = f.block.Vector(f.row)
			}
			hit.Values = slices.Clone(values)
		}
		hits = append(hits, hit)
	}
	answer.Hits, answer.Explain = hits, s.explain
	return answer, nil
}
