package objects

import (
	"encoding/hex"
	"errors"
	"time"
)

// Bucket is the unit of ownership: it holds objects, tables and vector indexes.
type Bucket struct {
	Name    string
	Created time.Time
}

// VersionID names one version of one object for ever. The zero value is none.
type VersionID [16]byte

func (v VersionID) String() string { return hex.EncodeToString(v[:]) }

// ParseVersionID reads what String wrote.
func ParseVersionID(s string) (VersionID, error) {
	var v VersionID
	if len(s) != 2*len(v) {
		return v, ErrVersionID
	}
	if _, err := hex.Decode(v[:], []byte(s)); err != nil {
		return v, ErrVersionID
	}
	return v, nil
}

// ErrVersionID: a text that is no version id.
var ErrVersionID = errors.New("objects: malformed version id")

// Limits of an object.
const (
	KeyBytesMax      = 1024
	MetadataBytesMax = 2048    // names and values of user metadata
	ObjectBytesMax   = 5 << 40 // 5 TiB
	PutBytesMax      = 5 << 30 // of a single put
	PartBytesMin     = 5 << 20 // of every part but the last
	PartsMax         = 10000
	InlineBytesMax   = 1 << 10   // to here an object lies in its index entry
	SmallBytesMax    = 128 << 10 // to here it is kept whole, on m+1 drives
)

// Object describes one version of an object: all but its bytes.
type Object struct {
	Bucket      string
	Key         string
	Version     VersionID
	Bytes       int64
	ETag        string // without quotes: MD5 in hex, or MD5 of MD5s "-" parts
	Modified    time.Time
	ContentType string
	Headers     map[string]string // Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Expires
	Metadata    map[string]string // x-amz-meta-*, names in lower case without the prefix
	Checksums   Checksums
	PartBytes   []int64 // sizes of the parts of a multipart object, in order; else nil
	Revision    uint64  // version of its index entry, for conditions on it
}

// Checksums that a client gave with the object and that were verified while
// it was written. Values are raw bytes; nil where none was given.
type Checksums struct {
	CRC32, CRC32C, CRC64NVME, SHA1, SHA256 []byte
	Composite                              bool // of a multipart object: checksum of the parts' checksums
}

// Conditions make a write depend on what is there. The zero value asks nothing.
type Conditions struct {
	IfAbsent bool   // If-None-Match: *
	IfETag   string // If-Match
	IfExists bool   // If-Match: *
}
