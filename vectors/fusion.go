package vectors

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// ranked is a row with its score: that of its words, or of several rankings fused.
type ranked struct {
	found
	score float64
}

// Rankings are fused by 1/(fusionK + rank), as is common; of each as many rows are taken as are wanted, and
// not fewer than fusionLeast, so that a row in the middle of several may come before the first of one.
const (
	fusionK     = 60
	fusionLeast = 100
)

func (r *Request) validate() error {
	if r.Within != nil && r.TopK == 0 {
		r.TopK = TopKMax
	}
	switch {
	case r.TopK < 1 || r.TopK > TopKMax:
		return invalid("topK", "is %d, must be 1 to %d", r.TopK, TopKMax)
	case r.Probes < 0:
		return invalid("probes", "is %d, must not be negative", r.Probes)
	case r.Within != nil && (math.IsNaN(float64(*r.Within)) || math.IsInf(float64(*r.Within), 0)):
		return invalid("within", "is %v, must be finite", *r.Within)
	case r.Ranking > RankingBytes:
		return invalid("ranking", "is %d, must be default, full or bytes", r.Ranking)
	case r.Ranking == RankingBytes && (r.Exact || r.Within != nil):
		return invalid("ranking", "is bytes beside exact or within, which take full numbers")
	case r.Within != nil && len(r.Texts) > 0:
		return invalid("within", "is given beside texts, which know no distance")
	}
	return nil
}

// ranked carries out the query.
func (s *scan) ranked(ctx context.Context, r *Request) ([]ranked, error) {
	if err := s.choose(ctx); err != nil {
		return nil, err
	}
	if len(r.Texts) == 0 {
		if r.Within != nil {
			s.best.k, s.best.within = r.TopK+1, r.Within
		}
		err := s.run(ctx, r)
		return ranks(s.best.sorted()), err
	}
	depth := r.TopK
	if s.query != nil || len(r.Texts) > 1 {
		depth = max(r.TopK, fusionLeast)
	}
	var lists [][]found
	for _, t := range r.Texts {
		list, err := s.byWords(ctx, t, depth)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	if s.query != nil {
		s.best.k, s.needed = depth, depth
		if err := s.run(ctx, r); err != nil {
			return nil, err
		}
		lists = append(lists, s.best.sorted())
	}
	fused := fuse(lists)
	fused = fused[:min(len(fused), r.TopK)]
	return fused, s.finish(ctx, r, fused)
}

func ranks(list []found) []ranked {
	out := make([]ranked, len(list))
	for i, f := range list {
		out[i].found = f
	}
	return out
}

// fuse orders the rows of rankings by their ranks. The score of a single ranking by words is its own.
func fuse(lists [][]found) []ranked {
	at := map[uint64]int{}
	var all []ranked
	for _, list := range lists {
		for rank, f := range list {
			i, seen := at[f.id]
			if !seen {
				i = len(all)
				at[f.id] = i
				all = append(all, ranked{found: f})
			}
			if len(lists) == 1 {
				all[i].score = -float64(f.distance)
			} else {
				all[i].score += 1 / float64(fusionK+rank+1)
			}
		}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.id, b.id))
	})
	return all
}

// finish reads the blocks of what was found by words, and its distances where a vector was asked for.
func (s *scan) finish(ctx context.Context, r *Request, fused []ranked) error {
	rows := make([]*found, len(fused))
	for i := range fused {
		rows[i] = &fused[i].found
	}
	if err := s.fill(ctx, rows); err != nil {
		return err
	}
	if s.query == nil && !r.ReturnValues {
		for i := range fused {
			fused[i].distance = 0
		}
		return nil
	}
	var near []waiting
	for _, f := range rows {
		near = append(near, waiting{row: int32(f.row), block: f.block, from: f.from})
	}
	vectors, err := s.vectors(ctx, near)
	if err != nil {
		return err
	}
	for i, f := range rows {
		f.vector, f.distance = vectors[i], 0
		if s.query != nil {
			f.distance = s.query.Row(vectors[i], f.block.Inverse(f.row))
		}
	}
	return nil
}
