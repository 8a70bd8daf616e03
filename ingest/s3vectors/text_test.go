package s3vectors

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// asked are the keys of an answer, in order, and its raw JSON.
func asked(t *testing.T, w *world, body string) ([]string, string) {
	t.Helper()
	raw := w.do(t, "QueryVectors", body)
	var out struct {
		Vectors []struct{ Key string }
		Next    string `json:"nextToken"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, v := range out.Vectors {
		keys = append(keys, v.Key)
	}
	return keys, string(raw)
}

func TestWordsAreSearchedBesideAndWithoutAVector(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	const of = `{"vectorBucketName":"docs","indexName":"texts",`
	w.do(t, "CreateIndex", of+`"dataType":"float32","dimension":2,"distanceMetric":"euclidean","metadataConfiguration":{"nonFilterableMetadataKeys":["body"],"textSearchConfigurations":[{"metadataKey":"body"}]}}`)
	w.do(t, "PutVectors", of+`"vectors":[
		{"key":"far","data":{"float32":[9,9]},"metadata":{"body":"a tarn, a tarn","lang":"en"}},
		{"key":"mid","data":{"float32":[2,0]},"metadata":{"body":"one tarn among many lakes","lang":"de"}},
		{"key":"near","data":{"float32":[1,0]},"metadata":{"body":"only lakes"}}]}`)
	const words = of + `"topK":3,"queryTexts":[{"metadataKey":"body","text":"TARN"}]`
	keys, raw := asked(t, w, words+`,"returnDistance":true}`)
	if !slices.Equal(keys, []string{"far", "mid"}) || strings.Contains(raw, `"distance":`) {
		t.Errorf("by words: %s", raw)
	}
	keys, raw = asked(t, w, words+`,"returnMetadata":true,"filter":{"lang":"de"}}`)
	if !slices.Equal(keys, []string{"mid"}) || !strings.Contains(raw, "many lakes") {
		t.Errorf("by words, filtered: %s", raw)
	}
	keys, raw = asked(t, w, words+`,"queryVector":{"float32":[0,0]},"returnDistance":true}`)
	if len(keys) != 3 || keys[2] != "near" || !strings.Contains(raw, `"distance":162`) {
		t.Errorf("fused: %s", raw)
	}
	w.do(t, "PutVectors", of+`"vectors":[{"key":"far","data":{"float32":[9,9]},"metadata":{"body":"a mere"}}]}`)
	w.do(t, "DeleteVectors", of+`"keys":["mid"]}`)
	if keys, raw = asked(t, w, words+`}`); len(keys) != 0 {
		t.Errorf("words of an overwritten and a deleted vector: %s", raw)
	}
}

func TestTextSearchIsAddedAndDeleted(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	const of = `{"vectorBucketName":"docs","indexName":"notes",`
	const words = of + `"topK":3,"queryTexts":[{"metadataKey":"text","text":"first"}]}`
	w.do(t, "UpdateMetadataConfiguration", of+`"add":{"textSearchConfigurations":[{"metadataKey":"text"}]}}`)
	if raw := w.do(t, "GetIndex", of+`"x":0}`); !strings.Contains(string(raw), `"textSearchConfigurations":[{"metadataKey":"text","status":"ACTIVE"}]`) {
		t.Errorf("the index is %s", raw)
	}
	if keys, raw := asked(t, w, words); !slices.Equal(keys, []string{"a"}) {
		t.Errorf("what was there before: %s", raw)
	}
	w.do(t, "UpdateMetadataConfiguration", of+`"delete":{"textSearchConfigurations":[{"metadataKey":"text"}]}}`)
	w.do(t, "UpdateMetadataConfiguration", of+`"add":{"textSearchConfigurations":[{"metadataKey":"text","language":"en"}]}}`)
	if raw := w.do(t, "GetIndex", of+`"x":0}`); !strings.Contains(string(raw), `"textSearchConfigurations":[{"metadataKey":"text","language":"en","status":"ACTIVE"}]`) {
		t.Errorf("GetIndex: %s", raw)
	}
	w.do(t, "UpdateMetadataConfiguration", of+`"delete":{"textSearchConfigurations":[{"metadataKey":"text"}]}}`)
	if a := w.send(t, request{path: "/QueryVectors", body: words}); a.status != 400 {
		t.Errorf("text search that was deleted: %d %s", a.status, a.body)
	}
}

func TestPagesOfWordsGiveEachHitOnce(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	const of = `{"vectorBucketName":"docs","indexName":"texts",`
	w.do(t, "CreateIndex", of+`"dataType":"float32","dimension":2,"distanceMetric":"euclidean","metadataConfiguration":{"nonFilterableMetadataKeys":["body"],"textSearchConfigurations":[{"metadataKey":"body"}]}}`)
	filler := strings.Repeat("x", 20<<10)
	for batch := range 4 {
		var all []string
		for i := range 50 {
			all = append(all, fmt.Sprintf(`{"key":"k%d-%d","data":{"float32":[%d,%d]},"metadata":{"body":"%s %s"}}`, batch, i, batch, i, strings.Repeat("tarn ", 1+i), filler))
		}
		w.do(t, "PutVectors", of+`"vectors":[`+strings.Join(all, ",")+`]}`)
	}
	for _, vector := range []string{"", `,"queryVector":{"float32":[1,1]}`} {
		seen, next, pages := map[string]bool{}, "", 0
		for {
			body := of + `"topK":200,"returnMetadata":true,"queryTexts":[{"metadataKey":"body","text":"tarn"}]` + vector
			if next != "" {
				body += `,"nextToken":"` + next + `"`
			}
			var out struct {
				Vectors []struct{ Key string }
				Next    string `json:"nextToken"`
			}
			if err := json.Unmarshal(w.do(t, "QueryVectors", body+"}"), &out); err != nil {
				t.Fatal(err)
			}
			for _, v := range out.Vectors {
				if seen[v.Key] {
					t.Fatalf("%s is given twice", v.Key)
				}
				seen[v.Key] = true
			}
			pages++
			if next = out.Next; next == "" {
				break
			}
		}
		if len(seen) != 200 || pages < 2 {
			t.Errorf("%d hits in %d pages", len(seen), pages)
		}
	}
}
