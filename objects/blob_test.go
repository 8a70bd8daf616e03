package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// body is n bytes that depend on n and seed.
func body(n int, seed uint64) []byte {
	b := make([]byte, n)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n), byte(n >> 8), byte(n >> 16)})
	_, _ = source.Read(b)
	return b
}

func mustWrite(t testing.TB, s *Store, b []byte) Blob {
	t.Helper()
	blob, err := s.WriteBlob(context.Background(), bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// readsBack compares the blob with b in one piece, as a stream, and in a range.
func readsBack(t testing.TB, s *Store, blob Blob, b []byte) {
	t.Helper()
	r := s.OpenBlob(blob)
	p := make([]byte, len(b))
	if _, err := r.ReadAt(context.Background(), p, 0); err != nil || !bytes.Equal(p, b) {
		t.Fatalf("blob of %d bytes does not read back: %v", len(b), err)
	}
	stream := r.NewReader(context.Background(), 0, -1)
	defer stream.Close()
	if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, b) {
		t.Fatalf("blob of %d bytes does not stream back: %d bytes, %v", len(b), len(got), err)
	}
}

var blobSizes = []int{0, 1, 1024, 1025, 4096, 65536, 131072, 131073, 1 << 20, 4<<20 - 1, 4 << 20, 4<<20 + 1, 9<<20 + 77}

func TestBlobsOfEverySizeReadBack(t *testing.T) {
	s := newTestStore(t)
	for _, n := range blobSizes {
		b := body(n, 1)
		known := mustWrite(t, s, b)
		readsBack(t, s, known, b)
		unknown, err := s.WriteBlob(context.Background(), iotest.HalfReader(bytes.NewReader(b)), -1)
		if err != nil {
			t.Fatal(err)
		}
		readsBack(t, s, unknown, b)
		if len(known.Stripes) != len(unknown.Stripes) || known.Bytes != unknown.Bytes {
			t.Errorf("%d bytes make %d stripes where the size is known, else %d", n, len(known.Stripes), len(unknown.Stripes))
		}
	}
}

func TestBlobsLieAsTheirSizeDemands(t *testing.T) {
	s := newTestStore(t)
	for _, c := range []struct{ bytes, stripes, k, shards int }{
		{1024, 0, 0, 0}, {1025, 1, 1, 3}, {131072, 1, 1, 3}, {131073, 1, 4, 6}, {4 << 20, 1, 4, 6}, {4<<20 + 1, 2, 4, 6},
	} {
		b := mustWrite(t, s, body(c.bytes, 2))
		if len(b.Stripes) != c.stripes {
			t.Fatalf("%d bytes in %d stripes", c.bytes, len(b.Stripes))
		}
		for _, st := range b.Stripes {
			on := map[uint16]bool{}
			for _, sh := range st.Shards {
				on[sh.Drive] = true
			}
			if int(st.K) != c.k || len(st.Shards) != c.shards || len(on) != c.shards || st.missing() > 0 {
				t.Errorf("%d bytes: %d+%d on %d drives, %d missing", c.bytes, st.K, st.M, len(on), st.missing())
			}
		}
	}
}

func TestAnyRangeReadsBackAfterAnyTwoDrivesAreGone(t *testing.T) {
	s, mem := newMemStore(t, Options{}, indextest.New(t), 6)
	bodies, blobs := [][]byte{}, []Blob{}
	for _, n := range []int{3000, 200000, 5<<20 + 5} {
		b := body(n, 3)
		bodies, blobs = append(bodies, b), append(blobs, mustWrite(t, s, b))
	}
	rapid.Check(t, func(t *rapid.T) {
		gone := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "gone")[:2]
		for _, i := range gone {
			mem[i].with(func() { mem[i].readErr = drive.ErrCorrupt })
			defer mem[i].with(func() { mem[i].readErr = nil })
		}
		i := rapid.IntRange(0, len(blobs)-1).Draw(t, "blob")
		off := rapid.IntRange(0, len(bodies[i])).Draw(t, "off")
		n := rapid.IntRange(0, len(bodies[i])-off).Draw(t, "n")
		p := make([]byte, n)
		if _, err := s.OpenBlob(blobs[i]).ReadAt(context.Background(), p, int64(off)); err != nil || !bytes.Equal(p, bodies[i][off:off+n]) {
			t.Fatalf("range [%d,%d): %v", off, off+n, err)
		}
		stream := s.OpenBlob(blobs[i]).NewReader(context.Background(), int64(off), int64(n))
		defer stream.Close()
		if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, bodies[i][off:off+n]) {
			t.Fatalf("stream of [%d,%d): %v", off, off+n, err)
		}
	})
}

func TestTooFewShardsAreSaidToBeUnavailable(t *testing.T) {
	s, mem := newMemStore(t, Options{}, indextest.New(t), 6)
	for _, n := range []int{5000, 1 << 20} {
		blob := mustWrite(t, s, body(n, 4))
		for i := range mem[:6] {
			mem[i].with(func() { mem[i].readErr = errors.New("broken") })
		}
		if _, err := s.OpenBlob(blob).ReadAt(context.Background(), make([]byte, n), 0); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d bytes: %v", n, err)
		}
		for i := range mem {
			mem[i].with(func() { mem[i].readErr = nil })
		}
	}
}

func TestWritesGoOnWhileOneShardIsSpareAndNoLonger(t *testing.T) {
	s, mem := newMemStore(t, Options{}, indextest.New(t), 6)
	broken := errors.New("broken")
	mem[0].with(func() { mem[0].err = broken })
	for _, n := range []int{5000, 1 << 20} {
		b := body(n, 5)
		blob := mustWrite(t, s, b)
		if want := map[bool]int{true: 1, false: 0}[n == 1<<20]; blob.Stripes[0].missing() != want {
			t.Errorf("%d bytes: %d shards are missing, not %d", n, blob.Stripes[0].missing(), want)
		}
		readsBack(t, s, blob, b)
	}
	mem[1].with(func() { mem[1].err = broken })
	for _, n := range []int{10, 5000, 1 << 20} {
		if _, err := s.WriteBlob(context.Background(), bytes.NewReader(body(n, 5)), int64(n)); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%d bytes with four of six drives: %v", n, err)
		}
	}
}

func TestFullDrivesAreSaidToBeFull(t *testing.T) {
	s, mem := newMemStore(t, Options{}, indextest.New(t), 6)
	for _, d := range mem {
		d.with(func() { d.err = drive.ErrFull })
	}
	if _, err := s.WriteBlob(context.Background(), bytes.NewReader(body(5000, 1)), -1); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
}

func TestBodiesThatEndEarlyOrFailLeaveTheirError(t *testing.T) {
	s := newTestStore(t)
	for _, n := range []int{10, 5000, 1 << 20, 5 << 20} {
		if _, err := s.WriteBlob(context.Background(), bytes.NewReader(body(n, 1)), int64(n)+1); !errors.Is(err, ErrIncompleteBody) {
			t.Errorf("%d of %d bytes: %v", n, n+1, err)
		}
		for _, broken := range []error{io.ErrUnexpectedEOF, io.ErrClosedPipe} {
			r := io.MultiReader(bytes.NewReader(body(n, 1)), iotest.ErrReader(broken))
			if _, err := s.WriteBlob(context.Background(), r, -1); !errors.Is(err, broken) {
				t.Errorf("%d bytes, then %v: %v", n, broken, err)
			}
		}
	}
}

// The clock stands still, so nothing is late before the test says so.
func TestADriveThatHangsIsSkippedUntilItAnswers(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	b := body(2<<20, 6)
	before := mustWrite(t, s, b)
	hang := make(chan struct{})
	mem[2].with(func() { mem[2].hang = hang })
	written := make(chan Blob)
	go func() { written <- mustWrite(t, s, b) }()
	for i, d := range mem {
		if i != 2 {
			await(t, func() bool { return d.count(&d.appends) == 2 })
		}
	}
	await(t, func() bool { return hosttest.ClockOf(h).Waiting() == 1 })
	hosttest.ClockOf(h).Advance(s.o.DriveTimeout)
	during := <-written
	if during.Stripes[0].missing() != 1 || s.statusOf(s.drives.find(3)).State != DriveSlow {
		t.Errorf("%d shards are missing", during.Stripes[0].missing())
	}
	readsBack(t, s, before, b) // no waiting: the drive is known to be slow
	again := mustWrite(t, s, b)
	readsBack(t, s, again, b)
	mem[2].with(func() { mem[2].hang = nil })
	close(hang)
	await(t, func() bool { return s.statusOf(s.drives.find(3)).State == DriveWell })
	readsBack(t, s, during, b)
}

func TestAReadDoesNotWaitForADriveThatHangs(t *testing.T) {
	for _, n := range []int{5000, 2 << 20} {
		h := hosttest.New(1)
		clock := hosttest.ClockOf(h)
		s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
		b := body(n, 7)
		blob := mustWrite(t, s, b)
		f := fetch{s: s, st: &blob.Stripes[0]}
		f.cut(0, n)
		d := mem[blob.Stripes[0].Shards[f.parts[0].shard].Drive-1]
		hang := make(chan struct{})
		d.with(func() { d.hang = hang })
		done := make(chan struct{})
		go func() { defer close(done); readsBack(t, s, blob, b) }()
		for calls := range 2 { // readsBack reads twice
			await(t, func() bool { return d.count(&d.hanging) == calls+1 && clock.Waiting() == calls+1 })
			clock.Advance(s.o.HedgeDelay)
		}
		<-done
		clock.Advance(s.o.DriveTimeout)
		await(t, func() bool { return s.statusOf(s.drives.find(d.number)).State == DriveSlow })
		d.with(func() { d.hang = nil })
		close(hang)
		await(t, func() bool { return s.statusOf(s.drives.find(d.number)).State == DriveWell })
	}
}

// await waits for what happens in other goroutines; the bound is for bugs.
func await(t testing.TB, happened func() bool) {
	t.Helper()
	for range 20000 {
		if happened() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("what is awaited does not happen")
}
