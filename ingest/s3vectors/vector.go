package s3vectors

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/tarnlake/tarn/vectors"
)

// Limits of one call, as S3 Vectors has them.
const (
	putMax         = 500
	deleteMax      = 500
	getMax         = 100
	listVectorsMax = 1000
	segmentsMax    = 16
	topKMax        = 10000
)

type data struct {
	Float32 []float32 `json:"float32"`
}

// wireVector is a vector in inputs and outputs; what was not asked for is absent.
type wireVector struct {
	Key      string          `json:"key"`
	Data     *data           `json:"data,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Distance *float32        `json:"distance,omitempty"`
}

// target is the index that a call is about, authorized.
func (c *call) target(in indexName) (bucket, name string, err error) {
	bucket, name, err = in.index()
	if err != nil {
		return "", "", err
	}
	return bucket, name, c.authorize(c.door.indexARN(bucket, name))
}

func count(path string, n, most int) error {
	if n < 1 || n > most {
		return invalid(path, "has %d members, a call takes 1 to %d", n, most)
	}
	return nil
}

func putVectors(c *call) (any, error) {
	in, err := decode[struct {
		indexName
		Vectors []wireVector `json:"vectors"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName)
	if err != nil {
		return nil, err
	}
	if err := count("vectors", len(in.Vectors), putMax); err != nil {
		return nil, err
	}
	batch := make([]vectors.Vector, len(in.Vectors))
	for i, v := range in.Vectors {
		if v.Data == nil {
			return nil, invalid(fmt.Sprintf("vectors[%d].data", i), "is needed, with its member float32")
		}
		batch[i] = vectors.Vector{Key: v.Key, Values: v.Data.Float32, Metadata: present(v.Metadata)}
	}
	return struct{}{}, c.door.o.Engine.Put(c.ctx, bucket, name, batch)
}

// present turns a JSON null into nothing.
func present(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func getVectors(c *call) (any, error) {
	in, err := decode[struct {
		indexName
		Keys     []string `json:"keys"`
		Data     bool     `json:"returnData"`
		Metadata bool     `json:"returnMetadata"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName)
	if err != nil {
		return nil, err
	}
	if err := count("keys", len(in.Keys), getMax); err != nil {
		return nil, err
	}
	found, err := c.door.o.Engine.Get(c.ctx, bucket, name, in.Keys, in.Data, in.Metadata)
	if err != nil {
		return nil, err
	}
	return map[string]any{"vectors": wire(found, in.Data, in.Metadata)}, nil
}

func wire(found []vectors.Vector, values, metadata bool) []wireVector {
	out := make([]wireVector, len(found))
	for i, v := range found {
		out[i].Key = v.Key
		if values {
			out[i].Data = &data{Float32: v.Values}
		}
		if metadata {
			out[i].Metadata = json.RawMessage(v.Metadata)
		}
	}
	return out
}

func deleteVectors(c *call) (any, error) {
	in, err := decode[struct {
		indexName
		Keys []string `json:"keys"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName)
	if err != nil {
		return nil, err
	}
	if err := count("keys", len(in.Keys), deleteMax); err != nil {
		return nil, err
	}
	return struct{}{}, c.door.o.Engine.Delete(c.ctx, bucket, name, in.Keys)
}

type listVectorsInput struct {
	indexName
	Max          *int   `json:"maxResults"`
	Next         string `json:"nextToken"`
	SegmentCount *int   `json:"segmentCount"`
	SegmentIndex *int   `json:"segmentIndex"`
	Data         bool   `json:"returnData"`
	Metadata     bool   `json:"returnMetadata"`
}

func (in *listVectorsInput) request() (vectors.ListRequest, error) {
	o := vectors.ListRequest{Max: 500, Segments: 1, WithValues: in.Data, WithMetadata: in.Metadata}
	if in.Max != nil {
		if o.Max = *in.Max; o.Max < 1 || o.Max > listVectorsMax {
			return o, invalid("maxResults", "%d is not in 1 to %d", o.Max, listVectorsMax)
		}
	}
	if (in.SegmentCount == nil) != (in.SegmentIndex == nil) {
		return o, invalid("segmentIndex", "segmentCount and segmentIndex go together")
	}
	if in.SegmentCount != nil {
		o.Segments, o.Segment = *in.SegmentCount, *in.SegmentIndex
		if o.Segments < 1 || o.Segments > segmentsMax {
			return o, invalid("segmentCount", "%d is not in 1 to %d", o.Segments, segmentsMax)
		}
		if o.Segment < 0 || o.Segment >= o.Segments {
			return o, invalid("segmentIndex", "%d is not in 0 to %d", o.Segment, o.Segments-1)
		}
	}
	if in.Next != "" {
		after, err := base64.RawURLEncoding.DecodeString(in.Next)
		if err != nil || len(in.Next) > 2048 {
			return o, invalid("nextToken", "is not one that ListVectors returned")
		}
		o.After = string(after)
	}
	return o, nil
}

func listVectors(c *call) (any, error) {
	in, err := decode[listVectorsInput](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName)
	if err != nil {
		return nil, err
	}
	o, err := in.request()
	if err != nil {
		return nil, err
	}
	page, err := c.door.o.Engine.List(c.ctx, bucket, name, o)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"vectors": wire(page.Vectors, in.Data, in.Metadata)}
	if page.Next != "" {
		out["nextToken"] = base64.RawURLEncoding.EncodeToString([]byte(page.Next))
	}
	return out, nil
}

func queryVectors(c *call) (any, error) {
	in, err := decode[struct {
		indexName
		TopK     *int            `json:"topK"`
		Query    *data           `json:"queryVector"`
		Filter   json.RawMessage `json:"filter"`
		Metadata bool            `json:"returnMetadata"`
		Distance bool            `json:"returnDistance"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName)
	if err != nil {
		return nil, err
	}
	switch {
	case in.TopK == nil:
		return nil, invalid("topK", "is needed")
	case *in.TopK < 1 || *in.TopK > topKMax:
		return nil, invalid("topK", "%d is not in 1 to %d", *in.TopK, topKMax)
	case in.Query == nil || in.Query.Float32 == nil:
		return nil, invalid("queryVector.float32", "is needed")
	}
	info, err := c.door.o.Engine.Index(c.ctx, bucket, name)
	if err != nil {
		return nil, err
	}
	answer, err := c.door.o.Engine.Query(c.ctx, bucket, name, vectors.Request{
		Values: in.Query.Float32, TopK: *in.TopK, Filter: present(in.Filter), ReturnMetadata: in.Metadata, ReturnDistance: in.Distance,
	})
	if err != nil {
		return nil, err
	}
	hits := make([]wireVector, len(answer.Hits))
	for i, h := range answer.Hits {
		hits[i].Key = h.Key
		if in.Metadata {
			hits[i].Metadata = json.RawMessage(h.Metadata)
		}
		if in.Distance {
			hits[i].Distance = &answer.Hits[i].Distance
		}
	}
	return map[string]any{"vectors": hits, "distanceMetric": info.Metric.String()}, nil
}
