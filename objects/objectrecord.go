package objects

import (
	"encoding/binary"
	"time"
)

// Object record, version 1:
//
//	 0   1  version
//	 1  16  version id of the object
//	17   8  time of modification
//	25   …  uvarint bytes; ETag; content type; map of headers; map of metadata;
//	        checksums; segments
//
// The key is that of the index entry. Where there are no segments, the blobs
// of the envelope are the object's bytes, in order.
type objectRecord struct {
	version  VersionID
	modified time.Time
	bytes    int64
	etag     string
	about    about
	sums     Checksums
	segments segments
}

// about is what a client says of an object besides its bytes.
type about struct {
	contentType string
	headers     map[string]string
	metadata    map[string]string
}

func (a about) append(b []byte) []byte {
	return appendMap(appendMap(appendString(b, a.contentType), a.headers), a.metadata)
}

func (f *fields) about() about {
	return about{contentType: f.string(), headers: f.stringMap(), metadata: f.stringMap()}
}

func (r *objectRecord) encode() []byte {
	b := make([]byte, 0, 256)
	b = append(b, objectRecordVersion)
	b = append(b, r.version[:]...)
	b = appendTime(b, r.modified)
	b = binary.AppendUvarint(b, uint64(r.bytes))
	b = appendString(b, r.etag)
	b = r.about.append(b)
	b = appendChecksums(b, r.sums)
	return r.segments.append(b)
}

func decodeObjectRecord(b []byte) (objectRecord, error) {
	f := fields{b: b}
	f.version("object", objectRecordVersion)
	r := objectRecord{
		version:  f.id(),
		modified: f.time(),
		bytes:    int64(f.uvarint(ObjectBytesMax)),
		etag:     f.string(),
		about:    f.about(),
		sums:     f.checksums(),
	}
	r.segments = f.segments(r.bytes)
	return r, f.end("object")
}

// object is the record as callers see it.
func (r *objectRecord) object(bucket, key string, revision uint64) Object {
	o := Object{
		Bucket: bucket, Key: key, Revision: revision,
		Version: r.version, Bytes: r.bytes, ETag: r.etag, Modified: r.modified,
		ContentType: r.about.contentType, Headers: r.about.headers, Metadata: r.about.metadata,
		Checksums: r.sums,
	}
	if r.segments.kind == KindPart {
		o.PartBytes = r.segments.sizes()
	}
	return o
}
