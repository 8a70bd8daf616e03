package s3

import (
	"context"
	"io"

	"github.com/tarnlake/tarn/objects"
)

// Store is what the door needs of the object layer.
type Store interface {
	Calls
	Open(ctx context.Context, bucket, key string) (objects.Object, Content, error)
}

// Content is the bytes of an open object.
type Content interface {
	// NewReader reads n bytes from off on.
	NewReader(ctx context.Context, off, n int64) io.ReadCloser
}

// Calls are a Store's but for Open, whose result has a type of its own in each.
type Calls interface {
	CreateBucket(ctx context.Context, name string) (objects.Bucket, error)
	Bucket(ctx context.Context, name string) (objects.Bucket, error)
	Buckets(ctx context.Context) ([]objects.Bucket, error)
	DeleteBucket(ctx context.Context, name string) error

	Put(ctx context.Context, r objects.PutRequest) (objects.Object, error)
	Head(ctx context.Context, bucket, key string) (objects.Object, error)
	Delete(ctx context.Context, r objects.DeleteRequest) (objects.DeleteResult, error)
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

// Opener is a store whose Open returns a reader that is the object, too.
type Opener[R Content] interface {
	Calls
	Open(ctx context.Context, bucket, key string) (R, error)
}

// Adapt makes a Store of an Opener, for which describe tells what was opened.
func Adapt[R Content](o Opener[R], describe func(R) objects.Object) Store {
	return adapted[R]{o, o, describe}
}

type adapted[R Content] struct {
	Calls
	opener   Opener[R]
	describe func(R) objects.Object
}

func (a adapted[R]) Open(ctx context.Context, bucket, key string) (objects.Object, Content, error) {
	r, err := a.opener.Open(ctx, bucket, key)
	if err != nil {
		return objects.Object{}, nil, err
	}
	return a.describe(r), r, nil
}
