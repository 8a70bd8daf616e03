package objects

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/tarnlake/tarn/objects/index"
)

// A stripe list that is too long for its entry is spread over pieces, found by
// one look-up, and goes with the object.
func TestLongStripeListsLieInPieces(t *testing.T) {
	ctx := context.Background()
	s := newTestStore(t)
	if _, err := s.CreateBucket(ctx, "lake"); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 100_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	blob := inStripes(t, s, want)
	st, err := s.Stage(ctx, PutRequest{Bucket: "lake", Key: "big", Body: bytes.NewReader(want), Bytes: int64(len(want))})
	if err != nil {
		t.Fatal(err)
	}
	st.seal(blob, 500)
	if len(st.pieces) < 3 || len(st.value) > 500 {
		t.Fatalf("%d pieces, entry of %d bytes", len(st.pieces), len(st.value))
	}
	for _, p := range st.pieces {
		if len(p.Value) > 500 {
			t.Errorf("a piece has %d bytes", len(p.Value))
		}
	}
	tx := s.Begin()
	if err := tx.PutObject(ctx, st, Conditions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, tx); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(ctx, "lake", "big")
	if err != nil {
		t.Fatal(err)
	}
	if o.PartBytes != nil {
		t.Error("pieces show as parts")
	}
	for range 50 {
		off := r.IntN(len(want))
		n := r.IntN(len(want) - off)
		got, err := io.ReadAll(o.NewReader(ctx, int64(off), int64(n)))
		if err != nil || !bytes.Equal(got, want[off:off+n]) {
			t.Fatalf("%d bytes at %d: %d, %v", n, off, len(got), err)
		}
	}
	if _, err := s.Put(ctx, PutRequest{Bucket: "lake", Key: "big", Bytes: -1}); err != nil {
		t.Fatal(err)
	}
	p := KindPrefix("lake", KindPiece)
	for item := range s.Index().Scan(ctx, p, PrefixEnd(p), index.ScanOptions{KeysOnly: true}) {
		t.Errorf("left behind: %q", item.Key)
	}
}

// inStripes is a blob of the same bytes with many stripes, whatever the size
// from which the store cuts.
func inStripes(t *testing.T, s *Store, want []byte) Blob {
	out := Blob{Bytes: int64(len(want))}
	for len(want) > 0 {
		n := min(len(want), 2000)
		b, err := s.WriteBlob(context.Background(), bytes.NewReader(want[:n]), int64(n))
		if err != nil {
			t.Fatal(err)
		}
		out.Stripes = append(out.Stripes, b.Stripes...)
		want = want[n:]
	}
	return out
}

// 5 TiB of 10,000 parts, at an offset in each: the right segment, at once.
func TestFindLeadsToTheSegmentOfAnyByte(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s segments
	var begins []int64
	var numbers []int
	total, number := int64(0), 0
	for range 500 {
		number += 1 + r.IntN(2)
		size := int64(r.IntN(3)) * 100
		s.add(number, size)
		if size > 0 {
			begins, numbers = append(begins, total), append(numbers, number)
		}
		total += size
	}
	for i, begin := range begins {
		for _, off := range []int64{begin, begin + 99} {
			if n, b, _, ok := s.find(off); !ok || n != numbers[i] || b != begin {
				t.Fatal(fmt.Errorf("byte %d: segment %d from %d, %v; want %d from %d", off, n, b, ok, numbers[i], begin))
			}
		}
	}
	if _, _, _, ok := s.find(total); ok {
		t.Error("there is a segment behind the end")
	}
}
