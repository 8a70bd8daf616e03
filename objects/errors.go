package objects

import (
	"errors"
	"fmt"
)

// Errors on which callers branch. The doors translate them, each in one table.
var (
	ErrNoStore          = errors.New("objects: there is no store in these folders, and none is made of them")
	ErrNoBucket         = errors.New("objects: no such bucket")
	ErrBucketExists     = errors.New("objects: bucket exists")
	ErrBucketNotEmpty   = errors.New("objects: bucket is not empty")
	ErrNoObject         = errors.New("objects: no such object")
	ErrNoUpload         = errors.New("objects: no such multipart upload")
	ErrPrecondition     = errors.New("objects: precondition does not hold")
	ErrInvalidPart      = errors.New("objects: a named part does not exist or has another ETag")
	ErrPartOrder        = errors.New("objects: parts are not in rising order")
	ErrPartTooSmall     = errors.New("objects: a part that is not the last has fewer bytes than the least")
	ErrTooLarge         = errors.New("objects: larger than the limit")
	ErrRange            = errors.New("objects: range lies outside the object")
	ErrIncompleteBody   = errors.New("objects: the body ended early")
	ErrDigest           = errors.New("objects: the body does not have the given digest")
	ErrConflict         = errors.New("objects: concurrent changes; retry")
	ErrReadTooLong      = errors.New("objects: the read lasted so long that its bytes were given back; read again")
	ErrStageTooOld      = errors.New("objects: what was staged may be swept already; write it again")
	ErrReadOnly         = errors.New("objects: read-only: too few drives are well for a durable write")
	ErrFull             = errors.New("objects: the drives are full")
	ErrNoDrive          = errors.New("objects: no such drive")
	ErrDriveNeeded      = errors.New("objects: the drive is still needed")
	ErrUnavailable      = errors.New("objects: too few shards can be read right now")
	ErrSnapshotTooOld   = errors.New("objects: the listing's snapshot has ended")
	ErrCorruptIndexItem = errors.New("objects: an index value does not decode")
)

// InvalidError names the field that is wrong, and why.
type InvalidError struct {
	Field  string // such as "bucket", "key", "metadata"
	Reason string // with the limit
}

func (e *InvalidError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Reason) }

// FullError is an ErrFull that names the fullest drives.
type FullError struct {
	Fullest string // for whoever asks: numbers and room, and not where the drives lie
	text    string
}

func (e *FullError) Error() string { return ErrFull.Error() + ": " + e.text }

func (e *FullError) Unwrap() error { return ErrFull }
