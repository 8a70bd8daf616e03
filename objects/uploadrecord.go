package objects

import (
	"encoding/binary"
	"time"
)

// Upload record, version 1:
//
//	0  1  version
//	1  8  time of creation
//	9  …  content type; map of headers; map of metadata; checksum algorithm;
//	      1 byte: 1 where its value is composite
//
// It never changes: its key and version stand for the upload's existence.
type uploadRecord struct {
	created   time.Time
	about     about
	algorithm string
	composite bool
}

func (r *uploadRecord) encode() []byte {
	b := appendTime([]byte{uploadRecordVersion}, r.created)
	b = r.about.append(b)
	b = appendString(b, r.algorithm)
	if r.composite {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeUploadRecord(b []byte) (uploadRecord, error) {
	f := fields{b: b}
	f.version("upload", uploadRecordVersion)
	r := uploadRecord{created: f.time(), about: f.about(), algorithm: f.string()}
	r.composite = f.byte() == 1
	if f.err == nil && r.algorithm != "" && !knownChecksum(r.algorithm) {
		f.fail("unknown checksum algorithm")
	}
	return r, f.end("upload")
}

// Part record, version 1; its bytes are the blobs of the envelope:
//
//	0   1  version
//	1  16  MD5
//	17  8  time of modification
//	25  …  uvarint bytes; checksums
type partRecord struct {
	md5      [16]byte
	modified time.Time
	bytes    int64
	sums     Checksums
}

func (r *partRecord) encode() []byte {
	b := append([]byte{partRecordVersion}, r.md5[:]...)
	b = appendTime(b, r.modified)
	b = binary.AppendUvarint(b, uint64(r.bytes))
	return appendChecksums(b, r.sums)
}

func decodePartRecord(b []byte) (partRecord, error) {
	f := fields{b: b}
	f.version("part", partRecordVersion)
	r := partRecord{md5: f.id(), modified: f.time(), bytes: int64(f.uvarint(PutBytesMax)), sums: f.checksums()}
	return r, f.end("part")
}
