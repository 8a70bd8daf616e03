package query

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/distance"
)

// Defaults of fields left zero.
const (
	topKDefault      = 10
	pageDefault      = 100
	pageMax          = 1000
	samplesDefault   = 100
	objectBytesMax   = 16 << 20 // of an object put beside vectors
	vectorListsPages = 500
)

type vectorService struct {
	o     Options
	pages *pages
}

func (s *vectorService) CreateIndex(ctx context.Context, req *tarnv1.CreateIndexRequest) (*tarnv1.CreateIndexResponse, error) {
	metric, ok := metrics[req.Metric]
	if !ok {
		return nil, invalid("metric", "%d is not known", req.Metric)
	}
	spec := vectors.Spec{Name: req.Name, Dimension: int(req.Dimension), Metric: metric, NonFilterable: req.NonFilterableMetadataKeys, Texts: textsOf(req.TextKeys, req.TextLanguage), RecallTarget: req.RecallTarget}
	if e := req.Embedder; e != nil {
		spec.Embedder = &vectors.EmbedderSpec{Kind: e.Kind, URL: e.Url, Model: e.Model, Revision: e.Revision}
	}
	info, err := s.o.Vectors.CreateIndex(ctx, req.Bucket, spec)
	if err != nil {
		return nil, err
	}
	return &tarnv1.CreateIndexResponse{Index: indexOf(req.Bucket, info)}, nil
}

var metrics = map[tarnv1.Metric]distance.Metric{
	tarnv1.Metric_METRIC_UNSPECIFIED: distance.Cosine, tarnv1.Metric_METRIC_COSINE: distance.Cosine,
	tarnv1.Metric_METRIC_EUCLIDEAN: distance.Euclidean, tarnv1.Metric_METRIC_DOT: distance.DotProduct,
}

func metricOf(m distance.Metric) tarnv1.Metric {
	for wire, known := range metrics {
		if known == m && wire != tarnv1.Metric_METRIC_UNSPECIFIED {
			return wire
		}
	}
	return tarnv1.Metric_METRIC_UNSPECIFIED
}

func indexOf(bucket string, i vectors.Info) *tarnv1.Index {
	out := &tarnv1.Index{
		Bucket: bucket, Name: i.Name, Dimension: uint32(i.Dimension), Metric: metricOf(i.Metric),
		NonFilterableMetadataKeys: i.NonFilterable, Created: timestamppb.New(i.Created), Vectors: i.Vectors,
		Neighbourhoods: uint64(i.Neighbourhoods), Cells: uint64(i.Cells), TailVectors: uint64(i.TailVectors), Probes: uint32(i.Probes), Recall: i.Recall, RecallTarget: i.Target(), TextKeys: textKeys(i.Texts), TextLanguages: textLanguages(i.Texts),
	}
	if e := i.Embedder; e != nil {
		out.Embedder = &tarnv1.Embedder{Kind: e.Kind, Url: e.URL, Model: e.Model, Revision: e.Revision}
	}
	return out
}

func (s *vectorService) DescribeIndex(ctx context.Context, req *tarnv1.DescribeIndexRequest) (*tarnv1.DescribeIndexResponse, error) {
	info, err := s.o.Vectors.DescribeIndex(ctx, req.Bucket, req.Name)
	if err != nil {
		return nil, err
	}
	return &tarnv1.DescribeIndexResponse{Index: indexOf(req.Bucket, info)}, nil
}

func (s *vectorService) ListIndexes(ctx context.Context, req *tarnv1.ListIndexesRequest) (*tarnv1.ListIndexesResponse, error) {
	size, err := pageSize(req.PageSize)
	if err != nil {
		return nil, err
	}
	if _, err := s.o.Store.Bucket(ctx, req.Bucket); err != nil {
		return nil, err
	}
	infos, err := s.o.Vectors.Indexes(ctx, req.Bucket, req.Prefix, req.PageToken, size)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.ListIndexesResponse{}
	for _, info := range infos {
		full, err := s.o.Vectors.DescribeIndex(ctx, req.Bucket, info.Name)
		if errors.Is(err, vectors.ErrNoIndex) {
			continue // deleted since it was listed
		}
		if err != nil {
			return nil, err
		}
		out.Indexes = append(out.Indexes, indexOf(req.Bucket, full))
	}
	if len(infos) == size {
		out.NextPageToken = infos[size-1].Name
	}
	return out, nil
}

func pageSize(n uint32) (int, error) {
	if n > pageMax {
		return 0, invalid("page_size", "%d is more than %d", n, pageMax)
	}
	if n == 0 {
		return pageDefault, nil
	}
	return int(n), nil
}

func (s *vectorService) DeleteIndex(ctx context.Context, req *tarnv1.DeleteIndexRequest) (*tarnv1.DeleteIndexResponse, error) {
	return &tarnv1.DeleteIndexResponse{}, s.o.Vectors.DeleteIndex(ctx, req.Bucket, req.Name)
}

func (s *vectorService) MeasureRecall(ctx context.Context, req *tarnv1.MeasureRecallRequest) (*tarnv1.MeasureRecallResponse, error) {
	k, samples := int(req.K), int(req.Samples)
	if k == 0 {
		k = topKDefault
	}
	if samples == 0 {
		samples = samplesDefault
	}
	r, err := s.o.Vectors.Recall(ctx, req.Bucket, req.Name, samples, k)
	if err != nil {
		return nil, err
	}
	return &tarnv1.MeasureRecallResponse{Recall: r.Recall, Samples: uint32(r.Samples), Probes: uint32(r.Probes), ExactScanned: uint64(r.ExactScanned)}, nil
}

func (s *vectorService) ChangeRecall(ctx context.Context, req *tarnv1.ChangeRecallRequest) (*tarnv1.ChangeRecallResponse, error) {
	info, err := s.o.Vectors.ChangeRecall(ctx, req.Bucket, req.Index, req.RecallTarget)
	if err != nil {
		return nil, err
	}
	return &tarnv1.ChangeRecallResponse{Index: indexOf(req.Bucket, info)}, nil
}

func (s *vectorService) Put(ctx context.Context, req *tarnv1.PutRequest) (*tarnv1.PutResponse, error) {
	batch, err := s.batchOf(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.Object != nil {
		return s.putWithObject(ctx, req, batch)
	}
	if err := s.o.Vectors.Put(ctx, req.Bucket, req.Index, batch); err != nil {
		return nil, err
	}
	return &tarnv1.PutResponse{Vectors: uint32(len(batch))}, nil
}

// batchOf decodes the vectors of a put, in either form of their values.
func (s *vectorService) batchOf(ctx context.Context, req *tarnv1.PutRequest) ([]vectors.Vector, error) {
	if n := len(req.Vectors); n < 1 || n > vectors.BatchMax {
		return nil, invalid("vectors", "has %d vectors, a call takes 1 to %d", n, vectors.BatchMax)
	}
	info, err := s.o.Vectors.Index(ctx, req.Bucket, req.Index)
	if err != nil {
		return nil, err
	}
	width := 4 * info.Dimension
	if len(req.Values) > 0 && len(req.Values) != width*len(req.Vectors) {
		return nil, invalid("values", "has %d bytes, %d vectors of dimension %d have %d", len(req.Values), len(req.Vectors), info.Dimension, width*len(req.Vectors))
	}
	batch := make([]vectors.Vector, len(req.Vectors))
	for i, v := range req.Vectors {
		raw := v.Values
		if len(req.Values) > 0 {
			if len(raw) > 0 {
				return nil, invalid(fmt.Sprintf("vectors[%d].values", i), "is given beside values of the whole batch")
			}
			raw = req.Values[i*width : (i+1)*width]
		}
		if batch[i], err = vectorOf(v, raw, i, req.Object != nil); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

func vectorOf(v *tarnv1.Vector, raw []byte, i int, withObject bool) (vectors.Vector, error) {
	values, err := floats(raw, fmt.Sprintf("vectors[%d].values", i))
	if err != nil {
		return vectors.Vector{}, err
	}
	out := vectors.Vector{Key: v.Key, Values: values}
	if v.Metadata != nil {
		if out.Metadata, err = protojson.Marshal(v.Metadata); err != nil {
			return out, invalid(fmt.Sprintf("vectors[%d].metadata", i), "%v", err)
		}
	}
	if v.Source != nil {
		out.Source, err = sourceOf(v.Source, i, withObject)
	}
	return out, err
}

// sourceOf reads a source. Without a version it means the object of the same put.
func sourceOf(s *tarnv1.Source, i int, withObject bool) (*vectors.Source, error) {
	out := &vectors.Source{Key: s.Key, Offset: int64(s.OffsetBytes), Length: int64(s.LengthBytes)}
	if s.Version == "" && withObject {
		return out, nil
	}
	var err error
	if out.Version, err = objects.ParseVersionID(s.Version); err != nil {
		return nil, invalid(fmt.Sprintf("vectors[%d].source.version", i), "%q is not 32 hex digits", s.Version)
	}
	return out, nil
}

// floats decodes float32, little endian.
func floats(raw []byte, field string) ([]float32, error) {
	if len(raw)%4 != 0 {
		return nil, invalid(field, "has %d bytes, which are no float32 values of 4", len(raw))
	}
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, nil
}

func bytesOf(values []float32) []byte {
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

func (s *vectorService) PutStream(ctx context.Context, stream tarnv1connect.VectorServicePutStreamServerStream) error {
	for {
		req, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if req.Batch == nil {
			return invalid("batch", "is needed")
		}
		res, err := s.Put(ctx, req.Batch)
		if err != nil {
			return err
		}
		if err := stream.Send(&tarnv1.PutStreamResponse{Batch: res}); err != nil {
			return err
		}
	}
}

func (s *vectorService) Get(ctx context.Context, req *tarnv1.GetRequest) (*tarnv1.GetResponse, error) {
	found, err := s.o.Vectors.Get(ctx, req.Bucket, req.Index, req.Keys, req.WithValues, req.WithMetadata)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.GetResponse{}
	out.Vectors, err = wireVectors(found)
	return out, err
}

func wireVectors(found []vectors.Vector) ([]*tarnv1.Vector, error) {
	out := make([]*tarnv1.Vector, len(found))
	for i, v := range found {
		metadata, err := structOf(v.Metadata)
		if err != nil {
			return nil, err
		}
		out[i] = &tarnv1.Vector{Key: v.Key, Values: bytesOf(v.Values), Metadata: metadata, Source: wireSource(v.Source)}
	}
	return out, nil
}

func structOf(raw []byte) (*structpb.Struct, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	out := &structpb.Struct{}
	if err := protojson.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("decode stored metadata: %w", err)
	}
	return out, nil
}

func wireSource(s *vectors.Source) *tarnv1.Source {
	if s == nil {
		return nil
	}
	return &tarnv1.Source{Key: s.Key, Version: s.Version.String(), OffsetBytes: uint64(s.Offset), LengthBytes: uint64(s.Length)}
}

func (s *vectorService) List(ctx context.Context, req *tarnv1.ListRequest) (*tarnv1.ListResponse, error) {
	f, err := filterOf(req.Filter)
	if err != nil {
		return nil, err
	}
	page, err := s.o.Vectors.List(ctx, req.Bucket, req.Index, vectors.ListRequest{
		Filter: f, After: req.PageToken, Max: int(req.PageSize), Segment: int(req.Segment), Segments: int(req.Segments),
		WithValues: req.WithValues, WithMetadata: req.WithMetadata,
	})
	if err != nil {
		return nil, err
	}
	out := &tarnv1.ListResponse{NextPageToken: page.Next}
	out.Vectors, err = wireVectors(page.Vectors)
	return out, err
}

func (s *vectorService) Delete(ctx context.Context, req *tarnv1.DeleteRequest) (*tarnv1.DeleteResponse, error) {
	return &tarnv1.DeleteResponse{}, s.o.Vectors.Delete(ctx, req.Bucket, req.Index, req.Keys)
}

// embed turns a text into a vector with the model that the index was made with.
func (s *vectorService) embed(ctx context.Context, bucket, name, text string) ([]float32, error) {
	info, err := s.o.Vectors.Index(ctx, bucket, name)
	if err != nil {
		return nil, err
	}
	if info.Embedder == nil {
		return nil, connect.Errorf(connect.CodeFailedPrecondition, "text: the index %s/%s has no embedder; make one with an embedder, or search by vector or by key", bucket, name)
	}
	if text == "" {
		return nil, invalid("text", "is empty")
	}
	out, err := s.o.Embed.Embed(ctx, *info.Embedder, []string{text})
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err.Error())
	}
	return out[0], nil
}
