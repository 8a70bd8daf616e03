package s3

import (
	"context"

	"github.com/tarnlake/tarn/objects"
)

// Store is what the door needs of the object layer.
type Store interface {
	CreateBucket(ctx context.Context, name string) (objects.Bucket, error)
	Bucket(ctx context.Context, name string) (objects.Bucket, error)
	Buckets(ctx context.Context) ([]objects.Bucket, error)
	DeleteBucket(ctx context.Context, name string) error

	Put(ctx context.Context, r objects.PutRequest) (objects.Object, error)
	Head(ctx context.Context, bucket, key string) (objects.Object, error)
	Open(ctx context.Context, bucket, key string) (*objects.ObjectReader, error)
	Delete(ctx context.Context, r objects.DeleteRequest) (objects.DeleteResult, error)
	DeleteMany(ctx context.Context, bucket string, rs []objects.DeleteRequest) ([]objects.DeleteOutcome, error)
	List(ctx context.Context, r objects.ListRequest) (objects.ListPage, error)
	Copy(ctx context.Context, r objects.CopyRequest) (objects.Object, error)

	CreateUpload(ctx context.Context, r objects.UploadRequest) (objects.Upload, error)
	UploadPart(ctx context.Context, r objects.PartRequest) (objects.Part, error)
	UploadPartCopy(ctx context.Context, r objects.PartCopyRequest) (objects.Part, error)
	CompleteUpload(ctx context.Context, r objects.CompleteRequest) (objects.Object, error)
	AbortUpload(ctx context.Context, bucket, key, id string) error
	ListParts(ctx context.Context, bucket, key, id string, after, most int) (objects.PartPage, error)
	ListUploads(ctx context.Context, r objects.UploadsRequest) (objects.UploadsPage, error)
}

var _ Store = (*objects.Store)(nil)
