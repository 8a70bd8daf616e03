package query

import (
	"context"
	"math"

	"google.golang.org/protobuf/types/known/structpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/vectors"
)

func (s *vectorService) Count(ctx context.Context, req *tarnv1.CountRequest) (*tarnv1.CountResponse, error) {
	f, err := filterOf(req.Filter)
	if err != nil {
		return nil, err
	}
	n, err := s.o.Vectors.Count(ctx, req.Bucket, req.Index, f)
	if err != nil {
		return nil, err
	}
	return &tarnv1.CountResponse{Vectors: n}, nil
}

func (s *vectorService) Facets(ctx context.Context, req *tarnv1.FacetsRequest) (*tarnv1.FacetsResponse, error) {
	f, err := filterOf(req.Filter)
	if err != nil {
		return nil, err
	}
	if req.Values > vectors.FacetValuesMax {
		return nil, invalid("values", "is %d, must be at most %d", req.Values, vectors.FacetValuesMax)
	}
	facets, total, err := s.o.Vectors.Facets(ctx, req.Bucket, req.Index, vectors.FacetRequest{Filter: f, Fields: req.Fields, Max: int(req.Values)})
	if err != nil {
		return nil, err
	}
	out := &tarnv1.FacetsResponse{Vectors: total}
	for _, f := range facets {
		facet := &tarnv1.Facet{Field: f.Field, Distinct: uint64(f.Distinct), Vectors: f.Vectors}
		for _, v := range f.Values {
			value, err := structpb.NewValue(v.Value)
			if err != nil {
				return nil, err
			}
			facet.Values = append(facet.Values, &tarnv1.FacetValue{Value: value, Count: v.Count})
		}
		out.Facets = append(out.Facets, facet)
	}
	return out, nil
}

func (s *vectorService) DeleteWhere(ctx context.Context, req *tarnv1.DeleteWhereRequest) (*tarnv1.DeleteWhereResponse, error) {
	f, err := filterOf(req.Filter)
	if err != nil {
		return nil, err
	}
	if req.Max > math.MaxInt32 {
		return nil, invalid("max", "is %d, must be at most %d", req.Max, math.MaxInt32)
	}
	d, err := s.o.Vectors.DeleteWhere(ctx, req.Bucket, req.Index, vectors.DeleteRequest{Filter: f, Max: int(req.Max), DryRun: req.DryRun})
	if err != nil {
		return nil, err
	}
	return &tarnv1.DeleteWhereResponse{Deleted: d.Deleted, More: d.More}, nil
}

func (s *vectorService) ChangeTexts(ctx context.Context, req *tarnv1.ChangeTextsRequest) (*tarnv1.ChangeTextsResponse, error) {
	if len(req.Add)+len(req.Remove) == 0 {
		return nil, invalid("add", "or remove must name a metadata key")
	}
	info, err := s.o.Vectors.ChangeTexts(ctx, req.Bucket, req.Index, textsOf(req.Add, req.Language), req.Remove)
	if err != nil {
		return nil, err
	}
	return &tarnv1.ChangeTextsResponse{Index: indexOf(req.Bucket, info)}, nil
}

// textsOf are the texts of keys in one language.
func textsOf(keys []string, language string) (texts []string) {
	for _, k := range keys {
		texts = append(texts, vectors.TextIn(k, language))
	}
	return texts
}

func textKeys(texts []string) (keys []string) {
	for _, t := range texts {
		key, _ := vectors.TextOf(t)
		keys = append(keys, key)
	}
	return keys
}

// textLanguages are nothing where no text has any.
func textLanguages(texts []string) (languages []string) {
	some := false
	for _, t := range texts {
		_, language := vectors.TextOf(t)
		languages, some = append(languages, language), some || language != ""
	}
	if !some {
		return nil
	}
	return languages
}
