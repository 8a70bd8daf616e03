package s3vectors

import (
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
	pageBytesMax   = 1 << 20 // of the keys and what else a page of ListVectors returns
	vectorTokenMax = 2048
)

type inputVector struct {
	Key      string          `json:"key"`
	Data     *vectorData     `json:"data"`
	Metadata json.RawMessage `json:"metadata"`
}

type outputData struct {
	Float32 []float32 `json:"float32"`
}

// outputVector is a vector in an answer; what was not asked for is absent.
type outputVector struct {
	Key      string          `json:"key"`
	Data     *outputData     `json:"data,omitempty"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Distance *float32        `json:"distance,omitempty"`
	Scores   *scores         `json:"scores,omitempty"`
}

// target is the index that a call is about, authorized. A call that reads vectors
// or metadata, or asks about metadata by a filter, needs the right to GetVectors too.
func (c *call) target(in indexName, reads bool) (bucket, name string, err error) {
	bucket, name, err = in.index()
	if err != nil {
		return "", "", err
	}
	arn := c.door.indexARN(bucket, name)
	if err := c.authorize(arn); err != nil || !reads {
		return bucket, name, err
	}
	return bucket, name, c.authorizeTo("GetVectors", arn)
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
		Vectors []inputVector `json:"vectors"`
	}](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName, false)
	if err != nil {
		return nil, err
	}
	if err := count("vectors", len(in.Vectors), putMax); err != nil {
		return nil, err
	}
	batch := make([]vectors.Vector, len(in.Vectors))
	for i, v := range in.Vectors {
		values, err := v.Data.numbers(fmt.Sprintf("vectors[%d].data", i))
		if err != nil {
			return nil, err
		}
		batch[i] = vectors.Vector{Key: v.Key, Values: values, Metadata: present(v.Metadata)}
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
	bucket, name, err := c.target(in.indexName, false)
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

func wire(found []vectors.Vector, values, metadata bool) []outputVector {
	out := make([]outputVector, len(found))
	for i, v := range found {
		out[i].Key = v.Key
		if values {
			out[i].Data = &outputData{Float32: v.Values}
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
	bucket, name, err := c.target(in.indexName, false)
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
	switch {
	case in.SegmentCount == nil && in.SegmentIndex != nil:
		return o, invalid("segmentIndex", "needs segmentCount beside it")
	case in.SegmentCount != nil:
		o.Segments = *in.SegmentCount
	}
	if in.SegmentIndex != nil { // the SDK for Go leaves out a 0
		o.Segment = *in.SegmentIndex
	}
	switch {
	case o.Segments < 1 || o.Segments > segmentsMax:
		return o, invalid("segmentCount", "%d is not in 1 to %d", o.Segments, segmentsMax)
	case o.Segment < 0 || o.Segment >= o.Segments:
		return o, invalid("segmentIndex", "%d is not in 0 to %d", o.Segment, o.Segments-1)
	}
	after, err := openToken(listingOf(o), in.Next, vectorTokenMax)
	o.After = after
	return o, err
}

// listingOf tells one listing from others, for its tokens.
func listingOf(o vectors.ListRequest) string {
	return fmt.Sprintf("ListVectors %d/%d", o.Segment, o.Segments)
}

func listVectors(c *call) (any, error) {
	in, err := decode[listVectorsInput](c)
	if err != nil {
		return nil, err
	}
	bucket, name, err := c.target(in.indexName, in.Data || in.Metadata)
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
	page = fit(page)
	out := map[string]any{"vectors": wire(page.Vectors, in.Data, in.Metadata)}
	if page.Next != "" {
		out["nextToken"] = tokenOf(listingOf(o), page.Next)
	}
	return out, nil
}

// fit cuts a page where it has more bytes than one may; one vector is always left.
func fit(page vectors.Page) vectors.Page {
	size := 0
	for i, v := range page.Vectors {
		size += len(v.Key) + 4*len(v.Values) + len(v.Metadata)
		if i > 0 && size > pageBytesMax {
			return vectors.Page{Vectors: page.Vectors[:i], Next: page.Vectors[i-1].Key}
		}
	}
	return page
}
