package s3vectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/pages"
)

// queryAnswer is what QueryVectors says.
type queryAnswer struct {
	Vectors []struct{ Key string }
	Next    string `json:"nextToken"`
}

func (w *world) query(t *testing.T, members string) (a queryAnswer) {
	t.Helper()
	if err := json.Unmarshal(w.do(t, "QueryVectors", `{`+plain+members+`}`), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAQueryInPagesFindsEveryNeighbourOnce(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	text := strings.Repeat("x", 2000)
	for batch := range 3 {
		list := make([]string, 300)
		for i := range list {
			n := 300*batch + i + 1
			list[i] = fmt.Sprintf(`{"key":"k%04d","data":{"float32":[%d,0]},"metadata":{"t":%q}}`, n, (n+1)/2, text) // two at each distance
		}
		w.do(t, "PutVectors", `{`+plain+`"vectors":[`+strings.Join(list, ",")+`]}`)
	}
	const question = `"topK":850,"queryVector":{"float32":[0,0]},"returnMetadata":true`
	pagesOf := func(between func(page int, last string)) (order []string) {
		seen := map[string]bool{}
		for next, page := "", 0; page == 0 || next != ""; page++ {
			a := w.query(t, question+`,"nextToken":"`+next+`"`)
			for _, v := range a.Vectors {
				if seen[v.Key] {
					t.Fatalf("%s came twice", v.Key)
				}
				seen[v.Key] = true
				order = append(order, v.Key)
			}
			next = a.Next
			if page == 0 && next == "" {
				t.Fatal("one page")
			}
			between(page, order[len(order)-1])
		}
		return order
	}
	whole := w.query(t, `"topK":850,"queryVector":{"float32":[0,0]}`)
	if len(whole.Vectors) != 850 || whole.Next != "" {
		t.Fatalf("without metadata: %d, next %q", len(whole.Vectors), whole.Next)
	}
	asked := w.engine.queries.Load()
	kept := pagesOf(func(page int, last string) { // what is written meanwhile changes nothing
		if page == 0 {
			w.do(t, "PutVectors", `{`+plain+`"vectors":[{"key":"new","data":{"float32":[400,0]}}]}`)
		}
	})
	if n := w.engine.queries.Load() - asked; n != 1 {
		t.Errorf("the query was run %d times for its pages", n)
	}
	for i, v := range whole.Vectors {
		if kept[i] != v.Key {
			t.Fatalf("hit %d of the pages is %s, of the whole %s", i, kept[i], v.Key)
		}
	}
	w.do(t, "DeleteVectors", `{`+plain+`"keys":["new"]}`)
	anew := pagesOf(func(page int, last string) { // as after a restart; and the one after which the next page begins goes away
		w.door.answers = pages.New[keptAnswer](w.store.Host().Clock)
		if page == 0 {
			w.do(t, "DeleteVectors", `{`+plain+`"keys":["`+last+`"]}`)
		}
	})
	for _, v := range whole.Vectors[:849] { // the last has come up for the one that went
		if !slices.Contains(anew, v.Key) {
			t.Errorf("%s is missing", v.Key)
		}
	}
	first := w.query(t, question)
	for _, other := range []string{
		strings.Replace(question, "850", "849", 1), strings.Replace(question, "[0,0]", "[0,1]", 1), question + `,"filter":{"t":"x"}`,
	} {
		if a := w.send(t, request{path: "/QueryVectors", body: `{` + plain + other + `,"nextToken":"` + first.Next + `"}`}); a.kind != "ValidationException" {
			t.Errorf("the token of another query: %d %q", a.status, a.kind)
		}
	}
}

func TestClientsWithoutPagesMissNothing(t *testing.T) {
	hits := make([]vectors.Hit, 150)
	for i := range hits {
		hits[i] = vectors.Hit{Key: fmt.Sprint(i), Distance: float32(i), Metadata: make([]byte, 40<<10)}
	}
	page, next := hitPage(hits[:hitsAlways], "")
	if len(page) != hitsAlways || next != "" {
		t.Errorf("%d of %d hits, next %q", len(page), hitsAlways, next)
	}
	page, next = hitPage(hits, "")
	if rest, end := hitPage(hits, next); len(page) != hitsAlways || len(rest) != 50 || rest[0].Key != "100" || end != "" {
		t.Errorf("%d, then %d hits, next %q", len(page), len(rest), end)
	}
}
