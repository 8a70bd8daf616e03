package objects

import (
	"io"
	"time"
)

// PutRequest is a new version of an object.
type PutRequest struct {
	Bucket, Key string
	Body        io.Reader
	Bytes       int64 // of Body; -1: unknown

	ContentType string
	Headers     map[string]string
	Metadata    map[string]string
	Conditions  Conditions

	MD5             []byte    // what the body's must be; nil: anything
	Checksums       Checksums // what the body's must be, as far as given; kept with the object
	ComputeChecksum string    // an algorithm to compute and keep, its value not being known beforehand

	// Verify and Computed are asked after the body ended and before anything is
	// visible. An error of theirs ends the request, and is what it returns.
	Verify   func() error
	Computed func(Checksums) error
}

// DeleteRequest names an object that shall cease to exist.
type DeleteRequest struct {
	Bucket, Key string
	Conditions  Conditions
}

// DeleteResult tells what was deleted.
type DeleteResult struct {
	Existed bool
	Version VersionID // where it existed
}

// DeleteOutcome is one object's part in DeleteMany.
type DeleteOutcome struct {
	DeleteResult
	Err error
}

// ListRequest asks for a page of a bucket's objects, by S3's rules: keys in
// rising order of their bytes; those in which Delimiter follows Prefix are
// rolled up into one common prefix.
type ListRequest struct {
	Bucket    string
	Prefix    string
	Delimiter string
	After     string // exclusive: a key, or a common prefix with all keys under it
	Max       int    // objects and prefixes together; at most ListMax are given
}

// ListMax bounds a page.
const ListMax = 1000

// ListPage is a page of a listing.
type ListPage struct {
	Objects  []Object
	Prefixes []string
	Next     string // After of the next page; empty at the end
}

// CopyRequest makes an object of another one's bytes.
type CopyRequest struct {
	SourceBucket, SourceKey string
	SourceVersion           VersionID // must be the present one; zero: any
	SourceETag              string    // must be the present one; empty: any

	Bucket, Key     string
	ReplaceMetadata bool // by the next three; else the source's are kept
	ContentType     string
	Headers         map[string]string
	Metadata        map[string]string
	Conditions      Conditions
	ComputeChecksum string // an algorithm beside those of the source
}

// UploadRequest begins a multipart upload.
type UploadRequest struct {
	Bucket, Key       string
	ContentType       string
	Headers           map[string]string
	Metadata          map[string]string
	ChecksumAlgorithm string // of every part and of the object; empty: none
	ChecksumType      string // ChecksumComposite or ChecksumFullObject; empty: the former, but for crc64nvme
}

// Upload is a multipart upload under way.
type Upload struct {
	ID                string
	Bucket, Key       string
	Created           time.Time
	ContentType       string
	Headers           map[string]string
	Metadata          map[string]string
	ChecksumAlgorithm string
	ChecksumType      string
}

// PartRequest is one part of an upload; a second one of its number replaces it.
type PartRequest struct {
	Bucket, Key, UploadID string
	Number                int
	Body                  io.Reader
	Bytes                 int64 // of Body; -1: unknown

	MD5             []byte
	Checksums       Checksums
	ComputeChecksum string
	Verify          func() error
	Computed        func(Checksums) error
}

// PartCopyRequest is a part whose bytes come from an object.
type PartCopyRequest struct {
	SourceBucket, SourceKey string
	SourceVersion           VersionID // must be the present one; zero: any
	SourceETag              string    // must be the present one; empty: any
	Offset                  int64
	Bytes                   int64 // -1: to the end

	Bucket, Key, UploadID string
	Number                int
}

// Part is a part as it was stored.
type Part struct {
	Number    int
	ETag      string
	Bytes     int64
	Modified  time.Time
	Checksums Checksums
}

// CompletePart names a part of the object to be.
type CompletePart struct {
	Number    int
	ETag      string
	Checksums Checksums // must be the part's, as far as given
}

// CompleteRequest makes an object of an upload's parts. It may be repeated.
type CompleteRequest struct {
	Bucket, Key, UploadID string
	Parts                 []CompletePart // by rising number
	Checksums             Checksums      // must be the object's, as far as given
	Conditions            Conditions
}

// PartPage is a page of an upload's parts.
type PartPage struct {
	Upload Upload
	Parts  []Part
	Next   int // after of the next page; 0 at the end
}

// UploadsRequest asks for a page of a bucket's uploads, by object key and then
// by age.
type UploadsRequest struct {
	Bucket         string
	Prefix         string
	Delimiter      string
	KeyMarker      string // exclusive, but for UploadIDMarker
	UploadIDMarker string // with KeyMarker: uploads of that key after this one are given too
	Max            int
}

// UploadsPage is a page of uploads.
type UploadsPage struct {
	Uploads            []Upload
	Prefixes           []string
	NextKeyMarker      string // both empty at the end
	NextUploadIDMarker string
}
