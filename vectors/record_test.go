package vectors

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
)

func someRecord() indexRecord {
	return indexRecord{
		spec: Spec{Name: "docs", Dimension: 384, Metric: distance.Cosine, NonFilterable: []string{"text"},
			Embedder: &EmbedderSpec{Kind: "openai", URL: "http://h/v1", Model: "m", Revision: "r", Dimension: 384}},
		inc: incarnation{1, 2}, created: time.Unix(0, 5).UTC(),
	}
}

func withText() indexRecord {
	r := someRecord()
	r.spec.Embedder, r.spec.Texts = nil, []string{"text", "t"}
	return r
}

func withLanguage() indexRecord {
	r := withText()
	r.spec.Texts[1] = TextIn("t", "en")
	return r
}

func withTarget() indexRecord {
	r := someRecord()
	r.spec.Embedder, r.spec.RecallTarget = nil, 0.75
	return r
}

func someRowFile() rowFileRecord {
	return rowFileRecord{file: RowFile{Rows: 5, FirstID: 7, LastID: 300, Detail: []byte("d")}, runs: runsOf([]uint64{7, 8, 9, 299, 300})}
}

// records is one of each kind, with its bytes and what decodes them.
var records = []struct {
	name   string
	bytes  string
	encode func() []byte
	decode func([]byte) (any, error)
	want   any
}{
	{"index", "01" + "0102000000000000" + "0500000000000000" + "80010000" + "01" + "04646f6373" + "01" + "0474657874" +
		"01" + "066f70656e6169" + "0b687474703a2f2f682f7631" + "016d" + "0172" + "80010000",
		func() []byte { r := someRecord(); return r.encode() },
		func(b []byte) (any, error) { return decodeIndexRecord(b) }, someRecord()},
	{"index with text", "02" + "0102000000000000" + "0500000000000000" + "80010000" + "01" + "04646f6373" + "01" + "0474657874" +
		"00" + "02" + "0474657874" + "0174",
		func() []byte { r := withText(); return r.encode() },
		func(b []byte) (any, error) { return decodeIndexRecord(b) }, withText()},
	{"index with text in a language", "03" + "0102000000000000" + "0500000000000000" + "80010000" + "01" + "04646f6373" + "01" + "0474657874" +
		"00" + "02" + "0474657874" + "047400656e",
		func() []byte { r := withLanguage(); return r.encode() },
		func(b []byte) (any, error) { return decodeIndexRecord(b) }, withLanguage()},
	{"index with a target of recall", "04" + "0102000000000000" + "0500000000000000" + "80010000" + "01" + "04646f6373" + "01" + "0474657874" +
		"00" + "00" + "000000000000e83f",
		func() []byte { r := withTarget(); return r.encode() },
		func(b []byte) (any, error) { return decodeIndexRecord(b) }, withTarget()},
	{"mapping", "01" + "0900000000000000" + "03000000000000000000000000000000",
		mapping{9, objects.VersionID{3}}.encode,
		func(b []byte) (any, error) { return decodeMapping(b) }, mapping{9, objects.VersionID{3}}},
	{"tail", "01" + "02000000" + "01" + "0700000000000000",
		(&tailRecord{2, []uint64{7}}).encode,
		func(b []byte) (any, error) { return decodeTailRecord(b) }, tailRecord{2, []uint64{7}}},
	{"segment", "01" + "40000000" + "05000000",
		segmentRecord{64, 5, 0}.encode,
		func(b []byte) (any, error) { return decodeSegmentRecord(b) }, segmentRecord{64, 5, 0}},
	{"segment with a lexicon", "02" + "40000000" + "05000000" + "09000000",
		segmentRecord{64, 5, 9}.encode,
		func(b []byte) (any, error) { return decodeSegmentRecord(b) }, segmentRecord{64, 5, 9}},
	{"neighbourhood", "01" + "0400000000000000" + "02" + "0000803f" + "00000040",
		(&neighbourhoodRecord{4, []float32{1, 2}}).encode,
		func(b []byte) (any, error) { return decodeNeighbourhoodRecord(b) }, neighbourhoodRecord{4, []float32{1, 2}}},
	{"upkeep", "01" + "0300000000000000" + "09000000" + "04000000" + "000000000000e03f" + "6400000000000000" + "3200000000000000",
		(&upkeepRecord{3, 9, 4, 0.5, 100, 50, 0, 0}).encode,
		func(b []byte) (any, error) { return decodeUpkeepRecord(b) }, upkeepRecord{3, 9, 4, 0.5, 100, 50, 0, 0}},
	{"upkeep of a polished index", "02" + "0300000000000000" + "09000000" + "04000000" + "000000000000e03f" + "6400000000000000" + "3200000000000000" + "3300000000000000",
		(&upkeepRecord{3, 9, 4, 0.5, 100, 50, 51, 0}).encode,
		func(b []byte) (any, error) { return decodeUpkeepRecord(b) }, upkeepRecord{3, 9, 4, 0.5, 100, 50, 51, 0}},
	{"upkeep of an index that is asked", "03" + "0300000000000000" + "09000000" + "04000000" + "000000000000e03f" + "6400000000000000" + "3200000000000000" + "3300000000000000" + "07000000",
		(&upkeepRecord{3, 9, 4, 0.5, 100, 50, 51, 7}).encode,
		func(b []byte) (any, error) { return decodeUpkeepRecord(b) }, upkeepRecord{3, 9, 4, 0.5, 100, 50, 51, 7}},
	{"row file", "01" + "05000000" + "0700000000000000" + "2c01000000000000" + "02" + "0003" + "a10202" + "0164",
		func() []byte { r := someRowFile(); return r.encode() },
		func(b []byte) (any, error) { return decodeRowFileRecord(b) }, someRowFile()},
	{"ids", "01" + "0700000000000000", func() []byte { return encodeIDs(7) },
		func(b []byte) (any, error) { return decodeIDs(b) }, uint64(7)},
}

func TestRecordsStayAsTheyAre(t *testing.T) {
	for _, r := range records {
		if got := hex.EncodeToString(r.encode()); got != r.bytes {
			t.Errorf("%s record is\n%s, want\n%s", r.name, got, r.bytes)
		}
		b, _ := hex.DecodeString(r.bytes)
		got, err := r.decode(b)
		if err != nil || !reflect.DeepEqual(got, r.want) {
			t.Errorf("%s record decodes to %+v, %v", r.name, got, err)
		}
		for n := range b {
			if _, err := r.decode(b[:n]); err == nil {
				t.Errorf("%s record cut to %d bytes decodes", r.name, n)
			}
		}
		if _, err := r.decode(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%s record with a byte too many decodes", r.name)
		}
		b[0] = 9
		if _, err := r.decode(b); err == nil {
			t.Errorf("%s record of a newer version decodes", r.name)
		}
	}
}

func TestRowsAreFoundByTheirIDs(t *testing.T) {
	r := someRowFile()
	for id, want := range map[uint64]int{7: 0, 9: 2, 299: 3, 300: 4, 10: -1, 6: -1, 301: -1} {
		if got, ok := r.place(id); ok != (want >= 0) || ok && got != want {
			t.Errorf("id %d is in place %d, %v", id, got, ok)
		}
	}
}

// What early releases wrote where rows were in memory twice is read.
func TestRowsThatWereWrittenTwiceAreFound(t *testing.T) {
	r := rowFileRecord{file: RowFile{Rows: 7, FirstID: 5, LastID: 8}, runs: runsOf([]uint64{5, 5, 6, 6, 7, 7, 8})}
	got, err := decodeRowFileRecord(r.encode())
	if err != nil || !reflect.DeepEqual(got.runs, r.runs) {
		t.Fatalf("decodes to %+v, %v", got, err)
	}
	for id, want := range map[uint64]int{5: 0, 6: 2, 7: 4, 8: 6} {
		if at, ok := got.place(id); !ok || at != want {
			t.Errorf("id %d is in place %d, %v; want %d", id, at, ok, want)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for i, r := range records {
		b, _ := hex.DecodeString(r.bytes)
		f.Add(byte(i), b)
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		r := records[int(kind)%len(records)]
		_, _ = r.decode(data)
	})
}

func TestKeysComeApart(t *testing.T) {
	inc := incarnation{0xab, 7: 1}
	p := keyspace(dataPrefix("shelf", inc))
	for _, kind := range []keyKind{keyIDs, keySegment, keyMapping, keyUpkeep, keyNeighbourhood, keyRowFile, keySuperseded, keyTail} {
		o, ok := parseKey(p.key(kind, "a/b"))
		if !ok || o.bucket != "shelf" || o.inc != inc || o.kind != kind || string(o.rest) != "a/b" {
			t.Errorf("%c: %+v, %v", kind, o, ok)
		}
	}
	if o, ok := parseKey(recordKey("shelf", "docs")); !ok || o.kind != keyRecord || string(o.rest) != "docs" {
		t.Errorf("record: %+v, %v", o, ok)
	}
	for _, k := range []string{"", "b/", "m/bucket/x", "b/shelf/o/v/x/", "b/shelf/v/", "b/shelf/v/x/12", "b/shelf/v/x/zz00000000000001/k/", "b/shelf/v/x/ab00000000000001k/"} {
		if o, ok := parseKey([]byte(k)); ok {
			t.Errorf("%q is taken for %+v", k, o)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte("b/shelf/v/x/ab00000000000001/k/key"))
	f.Add([]byte("b/shelf/v/i/docs"))
	f.Fuzz(func(t *testing.T, key []byte) { parseKey(key) })
}
