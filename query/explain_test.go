package query

import (
	"testing"
	"time"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/vectors"
)

// All that the engine tells of a query is in the answer.
func TestExplainTellsAllThatTheEngineDoes(t *testing.T) {
	all := explainOf(&vectors.Explain{
		Neighbourhoods: 1, Cells: 2, Probed: 3, Scanned: 4, Reranked: 5, TextMatches: 6, BytesRead: 7, Rounds: 8, Blocks: 9, CacheHits: 10,
		Exact: true, Rounded: true, Plan: vectors.PlanBitmap, Selected: 11, Recall: 0.5, Took: time.Second,
	}).ProtoReflect()
	for i := range all.Descriptor().Fields().Len() {
		if f := all.Descriptor().Fields().Get(i); !all.Has(f) {
			t.Errorf("%s is not told", f.Name())
		}
	}
	if got := all.Interface().(*tarnv1.Explain); got.Rounds != 8 || got.BytesRead != 7 || got.Blocks != 9 || got.CacheHits != 10 {
		t.Errorf("told are %v", got)
	}
}
