package objects

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/objects/drive"
)

func goldenBlobs() []Blob {
	return []Blob{
		{Bytes: 3, Inline: []byte("abc")},
		{},
		{Bytes: 300000, Stripes: []Stripe{{
			ID: [16]byte{0xaa, 15: 0xbb}, Bytes: 300000, K: 2, M: 1,
			Shards: []Shard{{1, drive.Address{Extent: 7, Generation: 2, Sector: 300}}, {}, {3, drive.Address{Extent: 1, Generation: 1}}},
		}}},
	}
}

// The bytes of version 1, annotated. They must never change.
func TestEnvelopeIsWrittenAsTheLayoutSays(t *testing.T) {
	want := "01" + // version
		"03" + // blobs
		"03" + "00" + "616263" + // 3 bytes inline
		"00" + "00" + // an empty blob
		"e0a712" + "01" + // 300,000 bytes in one stripe
		"aa0000000000000000000000000000bb" + "02" + "01" + "e0a712" + // its id, K, M, bytes
		"01" + "07" + "02" + "ac02" + // drive 1: extent 7, generation 2, sector 300
		"00" + "00" + // not written
		"03" + "01" + "01" + "00" + // drive 3: extent 1, generation 1, sector 0
		"70617931" // the owner's payload
	if got := hex.EncodeToString(EncodeValue(goldenBlobs(), []byte("pay1"))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func goldenPacked() []Blob {
	return []Blob{
		{Bytes: 3000, Packed: &Packed{
			Stripe: [16]byte{0xaa, 15: 0xbb}, Shard: 2, Offset: 4096, CRC: 0x04030201,
			Hint: Shard{5, drive.Address{Extent: 7, Generation: 2, Sector: 300}},
		}},
		{Bytes: 2, Inline: []byte("hi")},
	}
}

// The bytes of version 2, annotated. They must never change.
func TestAPackedBlobIsWrittenAsTheLayoutSays(t *testing.T) {
	want := "02" + // version
		"02" + // blobs
		"b817" + "01" + // 3,000 bytes, packed
		"aa0000000000000000000000000000bb" + "02" + // the stripe's id, shard 2
		"01020304" + "8020" + // checksum, offset 4,096
		"05" + "07" + "02" + "ac02" + // a hint: drive 5, extent 7, generation 2, sector 300
		"02" + "00" + "6869" + // 2 bytes inline
		"70617931" // the owner's payload
	if got := hex.EncodeToString(EncodeValue(goldenPacked(), []byte("pay1"))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEnvelopeGivesBackWhatWasPutIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blobs := rapid.SliceOfN(rapid.Custom(drawBlob), 0, 4).Draw(t, "blobs")
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		got, rest, err := DecodeValue(EncodeValue(blobs, payload))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rest, payload) || len(got) != len(blobs) {
			t.Fatalf("payload %x, %d blobs; want %x, %d", rest, len(got), payload, len(blobs))
		}
		for i := range blobs {
			if !sameBlob(got[i], blobs[i]) {
				t.Fatalf("blob %d: got %+v, want %+v", i, got[i], blobs[i])
			}
		}
	})
}

func sameBlob(a, b Blob) bool {
	return a.Bytes == b.Bytes && bytes.Equal(a.Inline, b.Inline) && reflect.DeepEqual(a.Stripes, b.Stripes) && reflect.DeepEqual(a.Packed, b.Packed)
}

func drawBlob(t *rapid.T) Blob {
	if rapid.IntRange(0, 3).Draw(t, "packed") == 0 {
		return drawPacked(t)
	}
	if rapid.Bool().Draw(t, "inline") {
		p := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "bytes")
		return Blob{Bytes: int64(len(p)), Inline: p}
	}
	var b Blob
	for range rapid.IntRange(1, 3).Draw(t, "stripes") {
		s := Stripe{K: uint8(rapid.IntRange(1, 6).Draw(t, "k")), M: uint8(rapid.IntRange(0, 3).Draw(t, "m"))}
		s.Bytes = uint32(rapid.IntRange(1, int(s.K)*ShardBytesMax).Draw(t, "bytes"))
		copy(s.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		for range s.K + s.M {
			s.Shards = append(s.Shards, drawShard(t))
		}
		b.Stripes = append(b.Stripes, s)
		b.Bytes += int64(s.Bytes)
	}
	return b
}

func drawPacked(t *rapid.T) Blob {
	b := Blob{Bytes: rapid.Int64Range(1, SmallBytesMax).Draw(t, "bytes")}
	b.Packed = &Packed{
		Shard:  uint8(rapid.IntRange(0, ShardsMax-1).Draw(t, "shard")),
		Offset: uint32(rapid.IntRange(0, int(ShardBytesMax-b.Bytes)).Draw(t, "offset")),
		CRC:    rapid.Uint32().Draw(t, "crc"), Hint: drawShard(t),
	}
	copy(b.Packed.Stripe[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	return b
}

func drawShard(t *rapid.T) Shard {
	if rapid.IntRange(0, 4).Draw(t, "written") == 0 {
		return Shard{}
	}
	return Shard{rapid.Uint16().Draw(t, "drive"), drive.Address{
		Extent: rapid.Uint32Min(1).Draw(t, "extent"), Generation: rapid.Uint32().Draw(t, "generation"), Sector: rapid.Uint32().Draw(t, "sector"),
	}}
}

func TestBrokenEnvelopesAreRefused(t *testing.T) {
	good, packed := EncodeValue(goldenBlobs(), nil), EncodeValue(goldenPacked(), nil)
	cases := map[string][]byte{
		"nothing":                   {},
		"no count":                  {1},
		"a later version":           append([]byte{3}, good[1:]...),
		"packed, and nothing is":    append([]byte{2}, good[1:]...),
		"a packed blob of nothing":  bytes.Replace(packed, []byte{0xb8, 0x17}, []byte{0}, 1),
		"packed beyond the shard":   bytes.Replace(packed, []byte{0x04, 0x80, 0x20}, []byte{0x04, 0xff, 0xff, 0x3f}, 1),
		"packed in no shard":        bytes.Replace(packed, []byte{0xbb, 0x02, 0x01}, []byte{0xbb, 0xff, 0x01}, 1),
		"more blobs than bytes":     {1, 200, 1},
		"a number in long form":     {1, 0x80, 0},
		"a kilobyte and one inline": append([]byte{1, 1, 0x81, 8, 0}, make([]byte, 1025)...),
		"bytes that do not sum up":  bytes.Replace(good, []byte{0xe0, 0xa7, 0x12, 1}, []byte{0xe1, 0xa7, 0x12, 1}, 1),
		"a stripe of no data":       bytes.Replace(good, []byte{0xbb, 2, 1}, []byte{0xbb, 0, 3}, 1),
		"stripes without end":       bytes.Replace(good, []byte{0xbb, 2, 1}, []byte{0xbb, 2, 200}, 1),
	}
	for n := 1; n < len(good); n++ {
		cases["cut at "+hex.EncodeToString([]byte{byte(n)})] = good[:n]
	}
	for n := 1; n < len(packed); n++ {
		cases["packed, cut at "+hex.EncodeToString([]byte{byte(n)})] = packed[:n]
	}
	for name, v := range cases {
		if _, _, err := DecodeValue(v); !errors.Is(err, ErrCorruptIndexItem) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What decodes is the only encoding of what it decodes to.
func FuzzDecodeValue(f *testing.F) {
	f.Add(EncodeValue(goldenBlobs(), []byte("payload")))
	f.Add(EncodeValue(goldenPacked(), []byte("payload")))
	f.Add(EncodeValue(nil, nil))
	f.Add([]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, v []byte) {
		blobs, payload, err := DecodeValue(v)
		if err != nil {
			return
		}
		if again := EncodeValue(blobs, payload); !bytes.Equal(again, v) {
			t.Errorf("%x was encoded again as %x", v, again)
		}
	})
}
