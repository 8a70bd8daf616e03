package query

import (
	"context"
	"io"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

const (
	readBytesMax   = 4 << 20
	presignDefault = 15 * time.Minute
	presignMax     = 7 * 24 * time.Hour
)

type objectService struct{ o Options }

func (s *objectService) CreateBucket(ctx context.Context, req *tarnv1.CreateBucketRequest) (*tarnv1.CreateBucketResponse, error) {
	b, err := s.o.Store.CreateBucket(ctx, req.Name)
	if err != nil {
		return nil, err
	}
	return &tarnv1.CreateBucketResponse{Bucket: bucketOf(b)}, nil
}

func bucketOf(b objects.Bucket) *tarnv1.Bucket {
	return &tarnv1.Bucket{Name: b.Name, Created: timestamppb.New(b.Created)}
}

func objectOf(o objects.Object) *tarnv1.Object {
	return &tarnv1.Object{
		Bucket: o.Bucket, Key: o.Key, Version: o.Version.String(), Bytes: uint64(o.Bytes), Etag: o.ETag,
		Modified: timestamppb.New(o.Modified), ContentType: o.ContentType, Metadata: o.Metadata,
	}
}

func (s *objectService) ListBuckets(ctx context.Context, _ *tarnv1.ListBucketsRequest) (*tarnv1.ListBucketsResponse, error) {
	all, err := s.o.Store.Buckets(ctx)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.ListBucketsResponse{}
	for _, b := range all {
		out.Buckets = append(out.Buckets, bucketOf(b))
	}
	return out, nil
}

func (s *objectService) DeleteBucket(ctx context.Context, req *tarnv1.DeleteBucketRequest) (*tarnv1.DeleteBucketResponse, error) {
	return &tarnv1.DeleteBucketResponse{}, s.o.Store.DeleteBucket(ctx, req.Name)
}

func (s *objectService) ListObjects(ctx context.Context, req *tarnv1.ListObjectsRequest) (*tarnv1.ListObjectsResponse, error) {
	size, err := pageSize(req.PageSize)
	if err != nil {
		return nil, err
	}
	page, err := s.o.Store.List(ctx, objects.ListRequest{Bucket: req.Bucket, Prefix: req.Prefix, Delimiter: req.Delimiter, After: req.PageToken, Max: size})
	if err != nil {
		return nil, err
	}
	out := &tarnv1.ListObjectsResponse{Prefixes: page.Prefixes, NextPageToken: page.Next}
	for _, o := range page.Objects {
		out.Objects = append(out.Objects, objectOf(o))
	}
	return out, nil
}

func (s *objectService) StatObject(ctx context.Context, req *tarnv1.StatObjectRequest) (*tarnv1.StatObjectResponse, error) {
	o, err := s.o.Store.Head(ctx, req.Bucket, req.Key)
	if err != nil {
		return nil, err
	}
	return &tarnv1.StatObjectResponse{Object: objectOf(o)}, nil
}

func (s *objectService) Read(ctx context.Context, req *tarnv1.ReadRequest) (*tarnv1.ReadResponse, error) {
	length := int64(req.LengthBytes)
	if length < 0 || length > readBytesMax {
		return nil, invalid("length_bytes", "%d is more than %d", req.LengthBytes, readBytesMax)
	}
	if length == 0 {
		length = readBytesMax
	}
	content, err := s.o.Store.Open(ctx, req.Bucket, req.Key)
	if err != nil {
		return nil, err
	}
	offset := int64(req.OffsetBytes)
	if offset < 0 || offset > content.Bytes {
		return nil, objects.ErrRange
	}
	data := make([]byte, min(length, content.Bytes-offset))
	body := content.NewReader(ctx, offset, int64(len(data)))
	defer body.Close()
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, err
	}
	return &tarnv1.ReadResponse{Object: objectOf(content.Object), Data: data}, nil
}

func (s *objectService) DeleteObject(ctx context.Context, req *tarnv1.DeleteObjectRequest) (*tarnv1.DeleteObjectResponse, error) {
	res, err := s.o.Store.Delete(ctx, objects.DeleteRequest{Bucket: req.Bucket, Key: req.Key})
	if err != nil {
		return nil, err
	}
	return &tarnv1.DeleteObjectResponse{Existed: res.Existed}, nil
}

func (s *objectService) Presign(ctx context.Context, req *tarnv1.PresignRequest) (*tarnv1.PresignResponse, error) {
	methods := map[tarnv1.PresignMethod]string{tarnv1.PresignMethod_PRESIGN_METHOD_GET: "GET", tarnv1.PresignMethod_PRESIGN_METHOD_PUT: "PUT"}
	method, ok := methods[req.Method]
	if !ok {
		return nil, invalid("method", "is neither GET nor PUT")
	}
	life := time.Duration(req.ExpiresSeconds) * time.Second
	if life == 0 {
		life = presignDefault
	}
	if life > presignMax {
		return nil, invalid("expires_seconds", "%d is more than %d", req.ExpiresSeconds, int(presignMax/time.Second))
	}
	origin, err := url.Parse(req.Origin)
	if err != nil || origin.Host == "" || (origin.Scheme != "http" && origin.Scheme != "https") {
		return nil, invalid("origin", "%q is not scheme and host, such as http://127.0.0.1:9000", req.Origin)
	}
	if err := objects.CheckKey(req.Key); err != nil {
		return nil, err
	}
	who := callerOf(ctx)
	secret, err := s.o.Keys.Secret(ctx, who.AccessKey)
	if err != nil {
		return nil, err
	}
	signed, err := s.o.Presign(ctx, method, origin.Scheme+"://"+origin.Host, req.Bucket, req.Key, who.AccessKey, secret, life)
	if err != nil {
		return nil, err
	}
	return &tarnv1.PresignResponse{Url: signed}, nil
}
