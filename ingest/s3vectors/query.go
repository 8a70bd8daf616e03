package s3vectors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/tarnlake/tarn/vectors"
)

// A page of an answer ends near pageBytesMax, but has hitsAlways hits at least: as
// many as clients could ask for that know nothing of pages.
const (
	hitsAlways  = 100
	hitBytes    = 32 // of an answer's JSON beside key and metadata
	tokenPrefix = "QueryVectors "

	queryTokenMax = 4096
)

type queryInput struct {
	indexName
	TopK     *int            `json:"topK"`
	Query    *vectorData     `json:"queryVector"`
	Texts    []textQuery     `json:"queryTexts"`
	Filter   json.RawMessage `json:"filter"`
	Mode     string          `json:"queryMode"`
	Metadata bool            `json:"returnMetadata"`
	Distance bool            `json:"returnDistance"`
	Scores   bool            `json:"returnScores"`
	Next     string          `json:"nextToken"`
}

// topK checks all but the vector and the filter.
func (in *queryInput) topK() (int, error) {
	switch {
	case in.Mode != "" && in.Mode != enhanced:
		return 0, checkMode("queryMode", in.Mode)
	case in.TopK == nil:
		return 0, invalid("topK", "is needed")
	case *in.TopK < 1 || *in.TopK > topKMax:
		return 0, invalid("topK", "%d is not in 1 to %d", *in.TopK, topKMax)
	}
	return *in.TopK, nil
}

func queryVectors(c *call) (any, error) {
	in, err := decode[queryInput](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName, in.Metadata || present(in.Filter) != nil || len(in.Texts) > 0)
	if err != nil {
		return nil, err
	}
	topK, err := in.topK()
	if err != nil {
		return nil, err
	}
	var values []float32
	if in.Query != nil || len(in.Texts) == 0 {
		if values, err = in.Query.numbers("queryVector"); err != nil {
			return nil, err
		}
	}
	r := vectors.Request{
		Values: values, Texts: in.texts(), TopK: topK, Filter: present(in.Filter), ReturnMetadata: in.Metadata, ReturnDistance: in.Distance,
	}
	listing := queryListing(bucket, name, &r)
	after, err := openToken(listing, in.Next, queryTokenMax)
	if err != nil {
		return nil, err
	}
	info, err := c.door.o.Engine.Index(c.ctx, bucket, name)
	if err != nil {
		return nil, err
	}
	all, err := c.answer(bucket, name, listing, after != "", &r, info.Created)
	if err != nil {
		return nil, err
	}
	hits, next := hitPage(all, after)
	wired := wireHits(hits, in.Metadata, in.Distance && values != nil)
	if in.Scores {
		in.score(wired, hits)
	}
	out := map[string]any{"vectors": wired, "distanceMetric": info.Metric.String()}
	if next != "" {
		out["nextToken"] = tokenOf(listing, next)
	}
	return out, nil
}

func (in *queryInput) texts() (texts []vectors.TextQuery) {
	for _, t := range in.Texts {
		texts = append(texts, vectors.TextQuery{Field: t.Key, Text: t.Text})
	}
	return texts
}

// scores of a hit: BM25's where one field was asked alone, else what the rankings were
// fused to.
type scores struct {
	Fused    *float64    `json:"fused,omitempty"`
	BM25     []bm25Score `json:"bm25Scores,omitempty"`
	Distance *float64    `json:"vectorDistance,omitempty"`
}

type bm25Score struct {
	Key   string  `json:"metadataKey"`
	Score float64 `json:"score"`
}

func (in *queryInput) score(out []outputVector, hits []vectors.Hit) {
	for i := range hits {
		s := &scores{}
		if in.Query != nil {
			distance := float64(hits[i].Distance)
			s.Distance = &distance
		}
		switch {
		case len(in.Texts) == 1 && in.Query == nil:
			s.BM25 = []bm25Score{{in.Texts[0].Key, hits[i].Score}}
		case len(in.Texts) > 0:
			s.Fused = &hits[i].Score
		}
		out[i].Scores = s
	}
}

// queryListing tells one query from all others, for its tokens.
func queryListing(bucket, name string, r *vectors.Request) string {
	h := sha256.New()
	parts := []string{bucket, name, string(r.Filter)}
	for _, t := range r.Texts {
		parts = append(parts, t.Field, t.Text)
	}
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(r.TopK))
	for _, x := range r.Values {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(x))
	}
	h.Write(b)
	return tokenPrefix + hex.EncodeToString(h.Sum(nil))
}

// keptAnswer is one that did not fit on a page.
type keptAnswer struct {
	of   time.Time // when the index was made that answered
	hits []vectors.Hit
}

// answer finds all hits. A later page is cut from the answer that the first one was cut from, where it
// is still kept; else, after a restart say, from a query made anew, so that a token never expires.
func (c *call) answer(bucket, name, listing string, later bool, r *vectors.Request, made time.Time) ([]vectors.Hit, error) {
	id := fmt.Sprintf("%s %s %t", c.who, listing, r.ReturnMetadata)
	if later {
		if kept, ok := c.door.answers.Find(id); ok && kept.of.Equal(made) {
			return kept.hits, nil
		}
	}
	answer, err := c.door.o.Engine.Query(c.ctx, bucket, name, *r)
	if err != nil {
		return nil, err
	}
	if _, next := hitPage(answer.Hits, ""); next != "" {
		c.door.answers.Keep(id, keptAnswer{made, answer.Hits}, keptBytes(answer.Hits)) // or not: then it is made anew
	}
	return answer.Hits, nil
}

func keptBytes(hits []vectors.Hit) (n int) {
	for i := range hits {
		n += 128 + len(hits[i].Key) + len(hits[i].Metadata)
	}
	return n
}

// hitPage cuts an answer's page behind a place; next names the place where the next one
// begins, "" where there is none. A place is a rank and a key, so that it is found in an answer
// made anew too: what was written meanwhile is in its place there, and nothing is given twice.
func hitPage(hits []vectors.Hit, after string) (page []vectors.Hit, next string) {
	hits = hits[placeAfter(hits, after):]
	size := 0
	for i := range hits {
		size += hitBytes + len(hits[i].Key) + len(hits[i].Metadata)
		if i >= hitsAlways && size > pageBytesMax {
			return hits[:i], placeOf(&hits[i-1])
		}
	}
	return hits, ""
}

// rankOf rises from hit to hit: the distance, or where words were asked for, the score below zero.
func rankOf(h *vectors.Hit) float32 {
	if h.Score > 0 {
		return -float32(h.Score)
	}
	return h.Distance
}

// placeOf is 4 bytes of rank and the key.
func placeOf(h *vectors.Hit) string {
	b := binary.BigEndian.AppendUint32(nil, math.Float32bits(rankOf(h)))
	return string(append(b, h.Key...))
}

// placeAfter finds where the hits behind a place begin: behind the hit of its key, or if that
// is gone or has moved away, behind its rank.
func placeAfter(hits []vectors.Hit, place string) int {
	if len(place) < 4 {
		return 0
	}
	rank := math.Float32frombits(binary.BigEndian.Uint32([]byte(place[:4])))
	for i := range hits {
		if rankOf(&hits[i]) > rank {
			return i
		}
		if rankOf(&hits[i]) == rank && hits[i].Key == place[4:] {
			return i + 1
		}
	}
	return len(hits)
}

func wireHits(hits []vectors.Hit, metadata, distance bool) []outputVector {
	out := make([]outputVector, len(hits))
	for i := range hits {
		out[i].Key = hits[i].Key
		if metadata {
			out[i].Metadata = json.RawMessage(hits[i].Metadata)
		}
		if distance {
			out[i].Distance = &hits[i].Distance
		}
	}
	return out
}
