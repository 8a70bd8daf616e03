package host_test

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tarnlake/tarn/host"
)

func realFile(t *testing.T) host.File {
	fs := host.Real(nil).FS
	name := filepath.Join(t.TempDir(), "file")
	f, err := fs.Create(name, host.Category)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = fs.OpenReadWrite(name, host.Category); err != nil {
		t.Fatal(err)
	}
	return f
}

// Whatever the offsets, lengths and places in memory are, a file that is written past
// memory has what was written, and is read alike in both ways.
func TestWritesPastMemoryAreSeenByAllReads(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain := realFile(t)
		f := host.Direct(plain)
		past := host.DirectReader(f)
		var want []byte
		for range rapid.IntRange(1, 12).Draw(rt, "writes") {
			off := 512 * rapid.IntRange(0, 64).Draw(rt, "sector")
			n := 512 * rapid.IntRange(1, 40).Draw(rt, "sectors")
			if rapid.IntRange(0, 3).Draw(rt, "odd") == 0 {
				off, n = off+rapid.IntRange(0, 511).Draw(rt, "in"), max(n-rapid.IntRange(0, 511).Draw(rt, "less"), 1)
			}
			p := unaligned(n, rapid.IntRange(0, 1).Draw(rt, "shift"))
			fill(p, byte(off+n))
			cut := rapid.IntRange(0, n).Draw(rt, "cut")
			if got, err := host.WriteAllAt(f, int64(off), p[:cut], p[cut:]); got != n || err != nil {
				rt.Fatalf("wrote %d of %d bytes: %v", got, n, err)
			}
			want = slices.Concat(want, make([]byte, max(off+n-len(want), 0)))
			copy(want[off:], p)
			same(rt, f, want, 0, len(want))
		}
		if err := f.SyncData(); err != nil {
			rt.Fatal(err)
		}
		if past == nil {
			t.Log("the file system has no way past memory")
		} else {
			for range 4 {
				off := rapid.IntRange(0, len(want)).Draw(rt, "off")
				same(rt, past, want, off, rapid.IntRange(0, len(want)-off).Draw(rt, "n"))
			}
			if n, err := past.ReadAt(unaligned(1024, 0), int64(len(want))/512*512); err != io.EOF || n != len(want)%512 {
				rt.Fatalf("behind the end: %d, %v", n, err)
			}
			_ = past.Close()
		}
		if err := f.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// unaligned memory begins shift bytes behind a page.
func unaligned(n, shift int) []byte { return make([]byte, n+64<<10)[shift : shift+n] }

func fill(p []byte, seed byte) {
	for i := range p {
		p[i] = seed + byte(i*7)
	}
}

func same(rt *rapid.T, r io.ReaderAt, want []byte, off, n int) {
	rt.Helper()
	got := unaligned(n, off%3)
	if m, err := r.ReadAt(got, int64(off)); m != n || err != nil && err != io.EOF {
		rt.Fatalf("read %d of %d bytes at %d: %v", m, n, off, err)
	}
	if !bytes.Equal(got, want[off:off+n]) {
		rt.Fatalf("other bytes at %d", off)
	}
}

func TestMemoryKnowsWhatWasReadThroughIt(t *testing.T) {
	f := host.Direct(realFile(t))
	defer f.Close()
	const n = 1 << 20
	p := make([]byte, n)
	if _, err := f.WriteAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.SyncData(); err != nil {
		t.Fatal(err)
	}
	past := host.DirectReader(f)
	if past == nil {
		t.Log("the file system has no way past memory")
		return
	}
	defer past.Close()
	if _, err := past.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if host.InMemory(f, 0, n) {
		t.Error("what was written and read past memory is in it")
	}
	if _, err := f.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if !host.InMemory(f, 0, n) {
		t.Log("the operating system does not tell what it has in memory")
	}
}

// The number of a file that was closed may be that of another one.
func TestAClosedFileWritesAndReadsNothing(t *testing.T) {
	f := host.Direct(realFile(t))
	past := host.DirectReader(f)
	if past != nil {
		if err := past.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := past.ReadAt(make([]byte, 512), 0); err == nil {
			t.Error("a reader that was closed reads")
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(unaligned(512, 0), 0); err == nil {
		t.Error("a file that was closed is written")
	}
	if err := f.Close(); err == nil {
		t.Error("a file was closed twice")
	}
}
