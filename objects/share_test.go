package objects

import (
	"bytes"
	"context"
	"io"
	"testing"
)

func TestManyAtOnceShareMemoryAndOneAloneHasItsFill(t *testing.T) {
	s := share{bytes: 48 << 20}
	for users, want := range map[int]int{1: 4 << 20, 12: 4 << 20, 48: 1 << 20, 128: 384 << 10, 100_000: shareBytesMin} {
		s.users.Store(int64(users))
		if got := s.each(4 << 20); got != want {
			t.Errorf("%d users: %d bytes each, want %d", users, got, want)
		}
	}
}

// TestABlobOfShortStripesReadsBack: as it is written and read where very many are at work.
func TestABlobOfShortStripesReadsBack(t *testing.T) {
	s := newTestStore(t)
	s.gathers.bytes, s.aheads.bytes = 1, 1
	want := body(3<<20+17, 5)
	b := mustWrite(t, s, want)
	if len(b.Stripes) != 13 {
		t.Errorf("%d stripes", len(b.Stripes))
	}
	for _, off := range []int64{0, 1, 256<<10 - 1, 1 << 20} {
		r := s.OpenBlob(b).NewReader(context.Background(), off, -1)
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want[off:]) {
			t.Errorf("from byte %d on: %d bytes, %v", off, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if s.gathers.users.Load() != 0 || s.aheads.users.Load() != 0 {
		t.Errorf("%d and %d are counted still", s.gathers.users.Load(), s.aheads.users.Load())
	}
}

// TestTheListOfAnyBlobFitsItsTransaction: under the greatest pressure stripes become
// longer with the blob.
func TestTheListOfAnyBlobFitsItsTransaction(t *testing.T) {
	s := newTestStore(t)
	s.gathers.bytes = 1
	w := &blobWriter{s: s}
	stripes := 0
	for written := int64(0); written < PutBytesMax; stripes++ {
		written += int64(w.stripeShare(written, s.o.DataShards*ShardBytesMax))
	}
	if stripes > 4*PutBytesMax/(4<<20) {
		t.Errorf("%d stripes", stripes)
	}
}
