package query_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/structpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

func fieldsOf(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// thirty puts vectors k00 to k29 at (i, 0), with metadata.
func (w *world) thirty(t *testing.T) {
	t.Helper()
	w.bucketAndIndex(t)
	req := &tarnv1.PutRequest{Bucket: "docs", Index: "notes"}
	for i := range 30 {
		req.Vectors = append(req.Vectors, &tarnv1.Vector{
			Key: fmt.Sprintf("k%02d", i), Values: values(float32(i), 0),
			Metadata: fieldsOf(t, map[string]any{"n": i, "kind": []string{"a", "b", "c"}[i%3], "body": strings.Repeat("tarn ", i%5) + "lake"}),
		})
	}
	if _, err := w.vectors.Put(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

func hitKeys(hits []*tarnv1.Hit) (keys []string) {
	for _, h := range hits {
		keys = append(keys, h.Key)
	}
	return keys
}

func TestMetadataIsCountedListedAndDeletedBy(t *testing.T) {
	w := newWorld(t)
	w.thirty(t)
	ctx := t.Context()
	low := fieldsOf(t, map[string]any{"n": map[string]any{"$lt": 9}})
	count, err := w.vectors.Count(ctx, &tarnv1.CountRequest{Bucket: "docs", Index: "notes", Filter: low})
	if err != nil || count.Vectors != 9 {
		t.Errorf("count: %v, %v", count, err)
	}
	facets, err := w.vectors.Facets(ctx, &tarnv1.FacetsRequest{Bucket: "docs", Index: "notes", Fields: []string{"kind", "n"}, Values: 2, Filter: fieldsOf(t, map[string]any{"n": map[string]any{"$lte": 9}})})
	if err != nil {
		t.Fatal(err)
	}
	f := facets.Facets[0]
	if facets.Vectors != 10 || f.Distinct != 3 || len(f.Values) != 2 || f.Values[0].Value.GetStringValue() != "a" || f.Values[0].Count != 4 || facets.Facets[1].Distinct != 10 {
		t.Errorf("facets: %v", facets)
	}
	var listed []string
	for token := ""; ; {
		page, err := w.vectors.List(ctx, &tarnv1.ListRequest{Bucket: "docs", Index: "notes", Filter: low, PageSize: 4, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Vectors {
			listed = append(listed, v.Key)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if len(listed) != 9 || listed[0] != "k00" || listed[8] != "k08" {
		t.Errorf("list: %v", listed)
	}
	gone, err := w.vectors.DeleteWhere(ctx, &tarnv1.DeleteWhereRequest{Bucket: "docs", Index: "notes", Filter: low})
	if err != nil || gone.Deleted != 9 || gone.More {
		t.Errorf("delete: %v, %v", gone, err)
	}
	if count, err = w.vectors.Count(ctx, &tarnv1.CountRequest{Bucket: "docs", Index: "notes"}); err != nil || count.Vectors != 21 {
		t.Errorf("left: %v, %v", count, err)
	}
}

func TestQuestionsByWordsRangeBatchAndPage(t *testing.T) {
	w := newWorld(t)
	w.thirty(t)
	ctx := t.Context()
	if _, err := w.vectors.ChangeTexts(ctx, &tarnv1.ChangeTextsRequest{Bucket: "docs", Index: "notes", Add: []string{"body"}}); err != nil {
		t.Fatal(err)
	}
	if changed, err := w.vectors.ChangeRecall(ctx, &tarnv1.ChangeRecallRequest{Bucket: "docs", Index: "notes", RecallTarget: 0.8}); err != nil || changed.Index.RecallTarget != 0.8 || changed.Index.Vectors != 30 {
		t.Errorf("recall: %v, %v", changed, err)
	}
	if _, err := w.vectors.ChangeRecall(ctx, &tarnv1.ChangeRecallRequest{Bucket: "docs", Index: "notes"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("recall of 0: %v", err)
	}
	words := []*tarnv1.TextQuery{{Key: "body", Text: "Tarn"}}
	res, err := w.vectors.Query(ctx, &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", Texts: words, TopK: 100, Explain: true})
	if err != nil || len(res.Hits) != 24 || res.Hits[0].Score <= res.Hits[23].Score || res.Explain.TextMatches != 24 {
		t.Errorf("by words: %v, %v", res, err)
	}
	within := 6.5
	res, err = w.vectors.Query(ctx, &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", Target: &tarnv1.QueryRequest_Values{Values: values(10, 0)}, Within: &within})
	if err != nil || !slices.Equal(hitKeys(res.Hits), []string{"k10", "k09", "k11", "k08", "k12"}) || res.More {
		t.Errorf("within: %v, %v", res, err)
	}
	for _, q := range []*tarnv1.QueryRequest{{Exact: true, Ranking: tarnv1.Ranking_RANKING_BYTES}, {Ranking: 9}} {
		q.Bucket, q.Index, q.Target = "docs", "notes", &tarnv1.QueryRequest_Values{Values: values(10, 0)}
		if _, err = w.vectors.Query(ctx, q); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "ranking") {
			t.Errorf("%v: %v", q, err)
		}
	}
	batch, err := w.vectors.QueryBatch(ctx, &tarnv1.QueryBatchRequest{Bucket: "docs", Index: "notes", Queries: []*tarnv1.QueryRequest{
		{Target: &tarnv1.QueryRequest_Like{Like: "k00"}, TopK: 1}, {Texts: words, Target: &tarnv1.QueryRequest_Values{Values: values(29, 0)}, TopK: 1},
	}})
	if err != nil || batch.Answers[0].Hits[0].Key != "k01" || batch.Answers[1].Hits[0].Key != "k29" {
		t.Errorf("batch: %v, %v", batch, err)
	}
	res, err = w.vectors.Query(ctx, &tarnv1.QueryRequest{Bucket: "docs", Index: "notes", Target: &tarnv1.QueryRequest_Values{Values: values(0, 0)}, TopK: 30, PageSize: 7})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.vectors.Delete(ctx, &tarnv1.DeleteRequest{Bucket: "docs", Index: "notes", Keys: []string{"k20"}}); err != nil {
		t.Fatal(err)
	}
	keys, pages, token := hitKeys(res.Hits), 1, res.NextPageToken
	for ; token != ""; pages++ {
		page, err := w.vectors.QueryPage(ctx, &tarnv1.QueryPageRequest{PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		keys, token = append(keys, hitKeys(page.Hits)...), page.NextPageToken
	}
	if pages != 5 || len(keys) != 30 || keys[20] != "k20" || !slices.IsSorted(keys) {
		t.Errorf("%d pages of %v", pages, keys)
	}
}

func TestBadQuestionsAreRefusedByName(t *testing.T) {
	w := newWorld(t)
	w.thirty(t)
	ctx := t.Context()
	query := func(q *tarnv1.QueryRequest) func() error {
		return func() error { q.Bucket, q.Index = "docs", "notes"; _, err := w.vectors.Query(ctx, q); return err }
	}
	batch := func(queries ...*tarnv1.QueryRequest) func() error {
		return func() error {
			_, err := w.vectors.QueryBatch(ctx, &tarnv1.QueryBatchRequest{Bucket: "docs", Index: "notes", Queries: queries})
			return err
		}
	}
	page := func(token string) func() error {
		return func() error {
			_, err := w.vectors.QueryPage(ctx, &tarnv1.QueryPageRequest{PageToken: token})
			return err
		}
	}
	like := &tarnv1.QueryRequest_Like{Like: "k01"}
	cases := map[string]struct {
		ask  func() error
		code connect.Code
	}{
		"texts[0].key: ":            {query(&tarnv1.QueryRequest{Texts: []*tarnv1.TextQuery{{Key: "body", Text: "x"}}}), connect.CodeInvalidArgument},
		"target: one of ":           {query(&tarnv1.QueryRequest{}), connect.CodeInvalidArgument},
		"queries: has 0":            {batch(), connect.CodeInvalidArgument},
		"queries: has 101":          {batch(make([]*tarnv1.QueryRequest, 101)...), connect.CodeInvalidArgument},
		"queries[0].topK: is 10001": {batch(&tarnv1.QueryRequest{Target: like, TopK: 10001}), connect.CodeInvalidArgument},
		"queries: ask for more than 10000 neighbours together, at queries[2]": {batch(&tarnv1.QueryRequest{Target: like, TopK: 5000}, &tarnv1.QueryRequest{Target: like, TopK: 5000}, &tarnv1.QueryRequest{Target: like}), connect.CodeInvalidArgument},
		"queries[0].target: one": {batch(&tarnv1.QueryRequest{}), connect.CodeInvalidArgument},
		"queries[0]: bucket":     {batch(&tarnv1.QueryRequest{Bucket: "docs", Target: like}), connect.CodeInvalidArgument},
		"page_token: \"x\"":      {page("x"), connect.CodeInvalidArgument},
		"page_token: the answer": {page(strings.Repeat("0", 32) + ".7"), connect.CodeFailedPrecondition},
		"filter: is needed": {func() error {
			_, err := w.vectors.DeleteWhere(ctx, &tarnv1.DeleteWhereRequest{Bucket: "docs", Index: "notes"})
			return err
		}, connect.CodeInvalidArgument},
		"values: is 1001": {func() error {
			_, err := w.vectors.Facets(ctx, &tarnv1.FacetsRequest{Bucket: "docs", Index: "notes", Fields: []string{"n"}, Values: 1001})
			return err
		}, connect.CodeInvalidArgument},
		"add: or remove": {func() error {
			_, err := w.vectors.ChangeTexts(ctx, &tarnv1.ChangeTextsRequest{Bucket: "docs", Index: "notes"})
			return err
		}, connect.CodeInvalidArgument},
		"no such index": {func() error {
			_, err := w.vectors.Count(ctx, &tarnv1.CountRequest{Bucket: "docs", Index: "absent"})
			return err
		}, connect.CodeNotFound},
	}
	for words, c := range cases {
		if err := c.ask(); connect.CodeOf(err) != c.code || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", words, err)
		}
	}
}
