package objects

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKeysLieWhereTheLayoutSays(t *testing.T) {
	id := VersionID{0xab, 15: 0xcd}
	const hex = "ab0000000000000000000000000000cd"
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{BucketKey("photos"), "m/bucket/photos"},
		{ObjectKey("photos", "a/b.png"), "b/photos/o/a/b.png"},
		{uploadKey("photos", "a\x00b", id), "b/photos/u/a\x00\xffb\x00\x01" + hex},
		{segmentsPrefix("photos", KindPart, id), "b/photos/p/" + hex + "/"},
		{segmentKey("photos", KindPart, id, 7), "b/photos/p/" + hex + "/00007"},
		{segmentKey("photos", KindPiece, id, 12), "b/photos/x/" + hex + "/00012"},
		{lineageKey("photos", id), "b/photos/l/" + hex},
		{sourceDeadKey("photos", id), "b/photos/d/" + hex},
		{SourceDeadPrefix("photos"), "b/photos/d/"},
	} {
		if string(c.got) != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// Keys with zero bytes are the hard ones: the escape must keep the order.
func TestUploadKeysSortByObjectKeyThenUpload(t *testing.T) {
	key := rapid.StringOfN(rapid.SampledFrom([]rune("\x00\x01a\u00ffz")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		k1, k2 := key.Draw(t, "k1"), key.Draw(t, "k2")
		id1, id2 := VersionID{rapid.Byte().Draw(t, "id1")}, VersionID{rapid.Byte().Draw(t, "id2")}
		want := strings.Compare(k1, k2)
		if want == 0 {
			want = bytes.Compare(id1[:], id2[:])
		}
		a, b := uploadKey("bkt", k1, id1), uploadKey("bkt", k2, id2)
		if got := bytes.Compare(a, b); got != want {
			t.Fatalf("order of %q and %q is %d, want %d", a, b, got, want)
		}
		k, id, ok := parseUploadKey(a[len(KindPrefix("bkt", KindUpload)):])
		if !ok || k != k1 || id != id1 {
			t.Fatalf("%q parsed as %q, %s, %v", a, k, id, ok)
		}
		if p := escapedKeyPrefix("bkt", k2); bytes.HasPrefix(a, p) != strings.HasPrefix(k1, k2) {
			t.Fatalf("prefix %q of %q is escaped wrongly", k2, k1)
		}
	})
}

func TestPrefixEndBoundsExactlyThePrefix(t *testing.T) {
	for _, c := range []struct{ prefix, end string }{{"a", "b"}, {"a\xff", "b"}, {"a\xff\xff", "b"}, {"\xff", ""}, {"", ""}} {
		if got := PrefixEnd([]byte(c.prefix)); string(got) != c.end {
			t.Errorf("end of %q is %q, want %q", c.prefix, got, c.end)
		}
	}
}

func TestSourceDeadKeysParse(t *testing.T) {
	id := VersionID{1, 2, 3}
	if b, v, ok := ParseSourceDead(sourceDeadKey("photos", id)); !ok || b != "photos" || v != id {
		t.Errorf("got %q, %s, %v", b, v, ok)
	}
	for _, k := range []string{"", "b/", "b/photos/d/", "b/photos/d/xyz", "b/photos/l/" + id.String(), "m/bucket/d/" + id.String(), "b/photos/d/" + id.String() + "0"} {
		if _, _, ok := ParseSourceDead([]byte(k)); ok {
			t.Errorf("%q parses", k)
		}
	}
}

func FuzzKeys(f *testing.F) {
	id := VersionID{1, 2}
	f.Add(uploadKey("bkt", "a\x00b", id))
	f.Add(sourceDeadKey("bkt", id))
	f.Add(segmentKey("bkt", KindPart, id, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bucket, v, ok := ParseSourceDead(b); ok && !bytes.Equal(bytes.ToLower(b), bytes.ToLower(sourceDeadKey(bucket, v))) {
			t.Errorf("%q parsed as %q, %s", b, bucket, v)
		}
		if key, id, ok := parseUploadKey(b); ok && len(key) > len(b) {
			t.Errorf("%q parsed as %q, %s", b, key, id)
		}
		prefix := len(segmentsPrefix("bkt", KindPart, id))
		if n, err := parseSegmentNumber(b, prefix); err == nil && !bytes.HasSuffix(b, segmentKey("bkt", KindPart, id, n)[prefix:]) {
			t.Errorf("%q parsed as %d", b, n)
		}
	})
}
