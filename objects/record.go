package objects

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The records are the payloads of envelopes. All are little endian; a string
// is its length as a uvarint and its bytes; a map is its size as a uvarint and
// then name and value by rising name; a time is nanoseconds since 1970 (8 bytes).
const (
	bucketRecordVersion = 1
	objectRecordVersion = 1
	uploadRecordVersion = 1
	partRecordVersion   = 1
)

// Bounds of what a decoder takes; each is at or above what is ever written.
const (
	recordStringMax = 8 << 10
	recordMapMax    = 4096
)

// Bucket record, version 1:
//
//	0  1  version
//	1  8  time of creation
type bucketRecord struct{ created time.Time }

func (r bucketRecord) encode() []byte {
	return appendTime([]byte{bucketRecordVersion}, r.created)
}

func decodeBucketRecord(b []byte) (bucketRecord, error) {
	f := fields{b: b}
	f.version("bucket", bucketRecordVersion)
	r := bucketRecord{created: f.time()}
	return r, f.end("bucket")
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(t.UnixNano()))
}

func appendUvarints(b []byte, all ...int64) []byte {
	for _, v := range all {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendMap(b []byte, m map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b = appendString(appendString(b, name), m[name])
	}
	return b
}

// Checksums: a byte with a bit for each that is there (1 crc32, 2 crc32c,
// 4 crc64nvme, 8 sha1, 16 sha256; 128: composite), then their bytes in this order.
const compositeBit = 128

func appendChecksums(b []byte, c Checksums) []byte {
	at := len(b)
	b = append(b, 0)
	for i, a := range checksumAlgorithms {
		if v := *a.of(&c); v != nil {
			b[at] |= 1 << i
			b = append(b, v...)
		}
	}
	if c.Composite {
		b[at] |= compositeBit
	}
	return b
}

// fields reads a record from its front. After the first error it yields zeros.
type fields struct {
	b   []byte
	err error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s", ErrCorruptIndexItem, fmt.Sprintf(format, args...))
	}
	f.b = nil
}

// take is the next n bytes; they alias the record.
func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.fail("ends early")
		return nil
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) byte() byte {
	if p := f.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (f *fields) version(of string, newest byte) {
	if v := f.byte(); f.err == nil && (v == 0 || v > newest) {
		f.fail("%s record of version %d, this release knows %d", of, v, newest)
	}
}

// uvarint is a number of at most most.
func (f *fields) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 || v > most {
		f.fail("a number is cut short or above %d", most)
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) string() string {
	return string(f.take(int(f.uvarint(recordStringMax))))
}

func (f *fields) id() (v VersionID) {
	copy(v[:], f.take(len(v)))
	return v
}

func (f *fields) time() time.Time {
	if p := f.take(8); p != nil {
		return time.Unix(0, int64(binary.LittleEndian.Uint64(p))).UTC()
	}
	return time.Time{}
}

func (f *fields) stringMap() map[string]string {
	n := int(f.uvarint(recordMapMax))
	if n == 0 {
		return nil
	}
	m := make(map[string]string, min(n, 64))
	for last := ""; n > 0 && f.err == nil; n-- {
		name := f.string()
		if len(m) > 0 && name <= last {
			f.fail("names of a map do not rise")
		}
		m[name], last = f.string(), name
	}
	return m
}

func (f *fields) checksums() (c Checksums) {
	mask := f.byte()
	if mask&^(compositeBit|(1<<len(checksumAlgorithms)-1)) != 0 {
		f.fail("unknown checksum")
	}
	for i, a := range checksumAlgorithms {
		if mask&(1<<i) != 0 {
			*a.of(&c) = slices.Clone(f.take(a.bytes))
		}
	}
	c.Composite = mask&compositeBit != 0
	return c
}

// end is the error so far; bytes left over are one too.
func (f *fields) end(of string) error {
	if len(f.b) > 0 {
		f.fail("%d bytes too many", len(f.b))
	}
	if f.err != nil {
		return fmt.Errorf("decode %s record: %w", of, f.err)
	}
	return nil
}
