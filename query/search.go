package query

import (
	"context"
	"errors"
	"fmt"

	connect "connectrpc.com/connect/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/vectors"
)

// Limits of a batch of queries.
const (
	batchQueriesMax = 100
	batchAtOnce     = 8
)

func (s *vectorService) Query(ctx context.Context, req *tarnv1.QueryRequest) (*tarnv1.QueryResponse, error) {
	out, err := s.answer(ctx, req.Bucket, req.Index, req)
	if err != nil {
		return nil, err
	}
	return out, s.pages.first(ctx, out, int(req.PageSize))
}

func (s *vectorService) answer(ctx context.Context, bucket, index string, req *tarnv1.QueryRequest) (*tarnv1.QueryResponse, error) {
	r, err := s.request(ctx, bucket, index, req)
	if err != nil {
		return nil, err
	}
	answer, err := s.o.Vectors.Query(ctx, bucket, index, r)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.QueryResponse{Hits: make([]*tarnv1.Hit, len(answer.Hits)), More: answer.More}
	for i, h := range answer.Hits {
		hit := &tarnv1.Hit{Key: h.Key, Distance: float64(h.Distance), Score: h.Score, Source: wireSource(h.Source), Values: bytesOf(h.Values)}
		if hit.Metadata, err = structOf(h.Metadata); err != nil {
			return nil, err
		}
		out.Hits[i] = hit
	}
	if req.Explain {
		out.Explain = explainOf(&answer.Explain)
	}
	return out, nil
}

func explainOf(e *vectors.Explain) *tarnv1.Explain {
	return &tarnv1.Explain{
		Neighbourhoods: uint32(e.Neighbourhoods), Cells: uint32(e.Cells), Probed: uint32(e.Probed), Scanned: uint64(e.Scanned), Reranked: uint64(e.Reranked),
		BytesRead: uint64(e.BytesRead), Exact: e.Exact, Recall: e.Recall, Micros: float64(e.Took.Nanoseconds()) / 1000,
		Plan: string(e.Plan), Selected: uint64(e.Selected), TextMatches: uint64(e.TextMatches),
		Blocks: uint64(e.Blocks), CacheHits: uint64(e.CacheHits), Rounds: uint32(e.Rounds), Rounded: e.Rounded,
	}
}

func (s *vectorService) request(ctx context.Context, bucket, index string, req *tarnv1.QueryRequest) (vectors.Request, error) {
	r := vectors.Request{
		TopK: int(req.TopK), Probes: int(req.Probes), Exact: req.Exact,
		ReturnMetadata: req.WithMetadata, ReturnDistance: true, ReturnValues: req.WithValues, Explain: req.Explain,
	}
	var known bool
	if r.Ranking, known = rankings[req.Ranking]; !known {
		return r, invalid("ranking", "%d is unknown; known are full and bytes", req.Ranking)
	}
	if req.Within != nil {
		within := float32(*req.Within)
		r.Within = &within
	} else if r.TopK == 0 {
		r.TopK = topKDefault
	}
	for _, t := range req.Texts {
		r.Texts = append(r.Texts, vectors.TextQuery{Field: t.Key, Text: t.Text})
	}
	var err error
	if r.Filter, err = filterOf(req.Filter); err != nil {
		return r, err
	}
	switch target := req.Target.(type) {
	case *tarnv1.QueryRequest_Values:
		r.Values, err = floats(target.Values, "values")
	case *tarnv1.QueryRequest_Like:
		if r.LikeKey = target.Like; r.LikeKey == "" {
			err = invalid("like", "is empty")
		}
	case *tarnv1.QueryRequest_Text:
		r.Values, err = s.embed(ctx, bucket, index, target.Text)
	default:
		if len(r.Texts) == 0 {
			err = invalid("target", "one of values, text, like and texts is needed")
		}
	}
	return r, err
}

var rankings = map[tarnv1.Ranking]vectors.Ranking{
	tarnv1.Ranking_RANKING_UNSPECIFIED: vectors.RankingDefault, tarnv1.Ranking_RANKING_FULL: vectors.RankingFull, tarnv1.Ranking_RANKING_BYTES: vectors.RankingBytes,
}

// filterOf is a filter as the engine reads it.
func filterOf(f *structpb.Struct) ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	raw, err := protojson.Marshal(f)
	if err != nil {
		return nil, invalid("filter", "%v", err)
	}
	return raw, nil
}

func (s *vectorService) QueryBatch(ctx context.Context, req *tarnv1.QueryBatchRequest) (*tarnv1.QueryBatchResponse, error) {
	if n := len(req.Queries); n < 1 || n > batchQueriesMax {
		return nil, invalid("queries", "has %d queries, a call takes 1 to %d", n, batchQueriesMax)
	}
	wanted := 0
	for i, q := range req.Queries {
		if wanted += wantedOf(q); wanted > vectors.TopKMax {
			return nil, invalid("queries", "ask for more than %d neighbours together, at queries[%d]", vectors.TopKMax, i)
		}
		if q.Bucket != "" || q.Index != "" || q.PageSize != 0 {
			return nil, invalid(fmt.Sprintf("queries[%d]", i), "bucket, index and page_size are those of the batch, or nothing")
		}
	}
	out := &tarnv1.QueryBatchResponse{Answers: make([]*tarnv1.QueryResponse, len(req.Queries))}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(batchAtOnce)
	for i, q := range req.Queries {
		tasks.Go(func() (err error) {
			out.Answers[i], err = s.answer(ctx, req.Bucket, req.Index, q)
			return ofQuery(i, err)
		})
	}
	return out, tasks.Wait()
}

// wantedOf is how many hits a query may have.
func wantedOf(q *tarnv1.QueryRequest) int {
	switch {
	case q.TopK > 0:
		return int(min(q.TopK, vectors.TopKMax))
	case q.Within != nil:
		return vectors.TopKMax
	}
	return topKDefault
}

// ofQuery says which query of a batch is wrong.
func ofQuery(i int, err error) error {
	at := fmt.Sprintf("queries[%d]", i)
	var bad *objects.InvalidError
	if errors.As(err, &bad) {
		return invalid(at+"."+fields.Replace(bad.Field), "%s", bad.Reason)
	}
	var known *connect.Error
	if errors.As(err, &known) && connect.CodeOf(known) == connect.CodeInvalidArgument {
		return connect.NewError(connect.CodeInvalidArgument, at+"."+known.Message())
	}
	return err
}
