package objects

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"
)

var goldenTime = time.Unix(1_800_000_000, 123).UTC()

func goldenObject() objectRecord {
	r := objectRecord{
		version: VersionID{1, 15: 2}, modified: goldenTime, bytes: 25, etag: "abc-3",
		about: about{contentType: "text/plain", headers: map[string]string{"Expires": "0"},
			metadata: map[string]string{"a": "1", "b": "2"}},
		sums: Checksums{CRC32: []byte{9, 8, 7, 6}, Composite: true},
	}
	r.segments = segments{kind: KindPart, id: VersionID{7}}
	for _, p := range []struct {
		n int
		b int64
	}{{1, 10}, {2, 10}, {5, 5}} {
		r.segments.add(p.n, p.b)
	}
	return r
}

// golden is bytes with their meaning.
type golden []struct{ hex, meaning string }

func (g golden) check(t *testing.T, got []byte) {
	t.Helper()
	var want []byte
	for _, g := range g {
		b, err := hex.DecodeString(g.hex)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(got[min(len(want), len(got)):], b) {
			t.Fatalf("%s (byte %d): want %s in %x", g.meaning, len(want), g.hex, got)
		}
		want = append(want, b...)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%x, want %x", got, want)
	}
}

const goldenTimeHex = "7b00b49376e2fa18"

func TestObjectRecordGolden(t *testing.T) {
	r := goldenObject()
	golden{
		{"01", "version of the record"},
		{"01000000000000000000000000000002", "version of the object"},
		{goldenTimeHex, "modified"},
		{"19", "25 bytes"},
		{"056162632d33", "ETag abc-3"},
		{"0a746578742f706c61696e", "content type text/plain"},
		{"01" + "0745787069726573" + "0130", "one header, Expires: 0"},
		{"02" + "0161" + "0131" + "0162" + "0132", "metadata a=1, b=2"},
		{"81" + "09080706", "composite crc32"},
		{"70", "segments are parts"},
		{"07000000000000000000000000000000", "upload"},
		{"02", "two runs"},
		{"00" + "02" + "0a", "from number 1: two of 10 bytes"},
		{"02" + "01" + "05", "two numbers on, 5: one of 5 bytes"},
	}.check(t, r.encode())
	got, err := decodeObjectRecord(r.encode())
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Fatalf("decoded %+v, %v", got, err)
	}
}

func TestUploadPartAndBucketRecordsGolden(t *testing.T) {
	u := uploadRecord{created: goldenTime, about: about{contentType: "x"}, algorithm: SHA1, composite: true}
	golden{{"01", "version"}, {goldenTimeHex, "created"}, {"0178", "content type"}, {"00", "headers"},
		{"00", "metadata"}, {"0473686131", "sha1"}, {"01", "composite"}}.check(t, u.encode())
	if got, err := decodeUploadRecord(u.encode()); err != nil || !reflect.DeepEqual(got, u) {
		t.Fatalf("decoded %+v, %v", got, err)
	}
	p := partRecord{md5: [16]byte{1}, modified: goldenTime, bytes: 300, sums: Checksums{CRC32C: []byte{1, 2, 3, 4}}}
	golden{{"01", "version"}, {"01000000000000000000000000000000", "MD5"}, {goldenTimeHex, "modified"},
		{"ac02", "300 bytes"}, {"0201020304", "crc32c"}}.check(t, p.encode())
	if got, err := decodePartRecord(p.encode()); err != nil || !reflect.DeepEqual(got, p) {
		t.Fatalf("decoded %+v, %v", got, err)
	}
	golden{{"01", "version"}, {goldenTimeHex, "end"}, {"026b31", "key k1"}}.check(t, deadRecord{key: "k1", at: goldenTime}.encode())
	b := bucketRecord{created: goldenTime}
	golden{{"01", "version"}, {goldenTimeHex, "created"}}.check(t, b.encode())
	if got, err := decodeBucketRecord(b.encode()); err != nil || got != b {
		t.Fatalf("decoded %+v, %v", got, err)
	}
}

func TestDamagedRecordsAreErrors(t *testing.T) {
	r := goldenObject()
	whole := r.encode()
	for n := range len(whole) {
		if _, err := decodeObjectRecord(whole[:n]); !errors.Is(err, ErrCorruptIndexItem) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := decodeObjectRecord(append(bytes.Clone(whole), 0)); !errors.Is(err, ErrCorruptIndexItem) {
		t.Error("a byte too many:", err)
	}
	whole[0] = objectRecordVersion + 1
	if _, err := decodeObjectRecord(whole); !errors.Is(err, ErrCorruptIndexItem) {
		t.Error("newer version:", err)
	}
}

// Ten thousand parts, each of another size, still make a small record.
func TestTheRecordOfTenThousandPartsIsSmall(t *testing.T) {
	r := objectRecord{segments: segments{kind: KindPart}}
	for n := 1; n <= PartsMax; n++ {
		size := int64(PartBytesMin + n*1000)
		r.segments.add(n, size)
		r.bytes += size
	}
	b := r.encode()
	if len(b) > 96<<10 {
		t.Errorf("record has %d bytes", len(b))
	}
	got, err := decodeObjectRecord(b)
	if err != nil || !reflect.DeepEqual(got.segments, r.segments) {
		t.Fatal("does not decode to what it was:", err)
	}
	if n, begin, size, ok := got.segments.find(r.bytes - 1); !ok || n != PartsMax || begin+size != r.bytes {
		t.Errorf("the last byte lies in part %d [%d, +%d) %v", n, begin, size, ok)
	}
}

func FuzzRecords(f *testing.F) {
	r := goldenObject()
	f.Add(r.encode())
	u := uploadRecord{created: goldenTime, algorithm: CRC32}
	f.Add(u.encode())
	p := partRecord{bytes: 5}
	f.Add(p.encode())
	f.Add(bucketRecord{created: goldenTime}.encode())
	f.Add(deadRecord{key: "k", at: goldenTime}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeObjectRecord(b); err == nil {
			again, err := decodeObjectRecord(r.encode())
			if err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("object: %+v became %+v, %v", r, again, err)
			}
			r.object("bkt", "key", 1)
			r.segments.find(r.bytes / 2)
		}
		if r, err := decodeUploadRecord(b); err == nil {
			if again, err := decodeUploadRecord(r.encode()); err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("upload: %+v became %+v, %v", r, again, err)
			}
		}
		if r, err := decodePartRecord(b); err == nil {
			if again, err := decodePartRecord(r.encode()); err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("part: %+v became %+v, %v", r, again, err)
			}
		}
		if r, err := decodeBucketRecord(b); err == nil && !bytes.Equal(r.encode()[1:], b[1:]) {
			t.Fatalf("bucket: %+v", r)
		}
		if key, at, err := DecodeSourceDead(EncodeValue(nil, b)); err == nil {
			again, when, err := DecodeSourceDead(EncodeValue(nil, deadRecord{key, at}.encode()))
			if again != key || !when.Equal(at) || err != nil {
				t.Fatalf("source dead: %q at %v became %q at %v, %v", key, at, again, when, err)
			}
		}
	})
}
