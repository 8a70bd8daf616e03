package objects

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// sumOf is all checksums of b.
func sumOf(t interface{ Fatal(...any) }, b []byte) Checksums {
	var all Checksums
	for _, a := range checksumAlgorithms {
		*a.of(&all) = make([]byte, a.bytes)
	}
	d := newDigest(bytes.NewReader(b), int64(len(b)), PutBytesMax, all)
	if _, err := io.Copy(io.Discard, d); err != nil {
		t.Fatal(err)
	}
	return d.checksums()
}

// The check values of the CRC catalogue, and RFC 1321 and FIPS 180 for the rest.
func TestChecksumsAreThePublishedOnes(t *testing.T) {
	got := sumOf(t, []byte("123456789"))
	for name, want := range map[string]string{
		CRC32:     "cbf43926",
		CRC32C:    "e3069283",
		CRC64NVME: "ae8b14860a799888",
		SHA1:      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		SHA256:    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		if h := hex.EncodeToString(got.Get(name)); h != want {
			t.Errorf("%s of 123456789 is %s, want %s", name, h, want)
		}
	}
}

func TestCRCsOfPartsCombineToThatOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 6).Draw(t, "pieces")
		var parts []Checksums
		var sizes []int64
		for _, p := range pieces {
			parts, sizes = append(parts, sumOf(t, p)), append(sizes, int64(len(p)))
		}
		whole := sumOf(t, bytes.Join(pieces, nil))
		for name := range crcFields {
			if got := combineCRC(name, parts, sizes); !bytes.Equal(got, whole.Get(name)) {
				t.Fatalf("%s: %x, want %x", name, got, whole.Get(name))
			}
		}
	})
}

func TestDigestHoldsTheBodyToItsDeclaredSize(t *testing.T) {
	read := func(body io.Reader, size, most int64) error {
		_, err := io.Copy(io.Discard, newDigest(body, size, most, Checksums{}))
		return err
	}
	var invalid *InvalidError
	if err := read(strings.NewReader("abc"), 3, 10); err != nil {
		t.Error("exact body:", err)
	}
	if err := read(strings.NewReader("abc"), 4, 10); !errors.Is(err, ErrIncompleteBody) {
		t.Error("short body:", err)
	}
	if err := read(strings.NewReader("abc"), 2, 10); !errors.As(err, &invalid) {
		t.Error("long body:", err)
	}
	if err := read(strings.NewReader("abc"), -1, 2); !errors.Is(err, ErrTooLarge) {
		t.Error("body above the limit:", err)
	}
	if err := read(iotest.ErrReader(io.ErrUnexpectedEOF), -1, 2); !errors.Is(err, ErrIncompleteBody) {
		t.Error("broken body:", err)
	}
}

func TestDigestVerifiesEveryGivenValue(t *testing.T) {
	good := sumOf(t, []byte("hello"))
	for _, a := range checksumAlgorithms {
		var want Checksums
		want.Set(a.name, bytes.Clone(good.Get(a.name)))
		if err := want.agree(good); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
		want.Get(a.name)[0] ^= 1
		if err := want.agree(good); !errors.Is(err, ErrDigest) {
			t.Errorf("wrong %s: %v", a.name, err)
		}
		want.Set(a.name, []byte{1})
		if err := want.check(); err == nil {
			t.Errorf("%s of one byte passes", a.name)
		}
	}
}
