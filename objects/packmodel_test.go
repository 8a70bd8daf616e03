package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
)

// upkeepModel is a store whose bytes are moved about all the time, beside a map
// of what it must hold.
type upkeepModel struct {
	t      *testing.T
	ctx    context.Context
	h      *host.Host
	s      *Store
	rand   *rand.Rand
	want   map[string][]byte
	held   []heldReader
	stop   func()
	counts map[string]int
}

// heldReader is a reader of a version that may have been replaced meanwhile.
type heldReader struct {
	key     string
	version VersionID
	want    []byte // what it has not given yet
	r       io.ReadCloser
}

func (m *upkeepModel) open() {
	o := durableOptions(m.h)
	o.DriveTimeout, o.PartBytesMin = 9999*time.Hour, 1
	m.s = openDurable(m.t, o)
	m.stop = hurrying(m.h, time.Second)
}

func (m *upkeepModel) close() {
	for _, r := range m.held {
		_ = r.r.Close()
	}
	m.held = nil
	mustClose(m.t, m.s)
	m.stop()
}

func (m *upkeepModel) key() string { return fmt.Sprintf("k%02d", m.rand.IntN(40)) }

func (m *upkeepModel) body() []byte {
	sizes := []int{1, 1000, 1025, 4096, 20_000, 70_000, 131_072, 131_073, 300_000}
	return body(sizes[m.rand.IntN(len(sizes))], m.rand.Uint64())
}

func (m *upkeepModel) put() {
	key, b := m.key(), m.body()
	putBody(m.t, m.s, key, b)
	m.want[key] = b
}

func (m *upkeepModel) putMany() {
	for range 12 {
		m.put()
	}
}

// putTogether puts several objects at once, of which some share a stripe from the start.
func (m *upkeepModel) putTogether() {
	now := map[string][]byte{}
	for range 16 {
		now[m.key()] = body(1025+m.rand.IntN(6000), m.rand.Uint64())
	}
	keys := slices.Sorted(maps.Keys(now))
	together(m.t, m.s, len(keys), func(i int) { putBody(m.t, m.s, keys[i], now[keys[i]]) })
	maps.Copy(m.want, now)
	m.counts["put together"] += len(keys)
}

func (m *upkeepModel) remove() {
	key := m.key()
	if _, err := m.s.Delete(m.ctx, DeleteRequest{Bucket: "lake", Key: key}); err != nil {
		m.t.Fatal(err)
	}
	delete(m.want, key)
}

func (m *upkeepModel) copy() {
	from, to := m.key(), m.key()
	_, err := m.s.Copy(m.ctx, CopyRequest{SourceBucket: "lake", SourceKey: from, Bucket: "lake", Key: to})
	if b, ok := m.want[from]; ok && err == nil {
		m.want[to] = b
	} else if ok || !errors.Is(err, ErrNoObject) {
		m.t.Fatalf("copy %s: %v", from, err)
	}
}

func (m *upkeepModel) multipart() {
	key := m.key()
	u, err := m.s.CreateUpload(m.ctx, UploadRequest{Bucket: "lake", Key: key})
	if err != nil {
		m.t.Fatal(err)
	}
	var whole []byte
	var parts []CompletePart
	for n := 1; n <= 1+m.rand.IntN(3); n++ {
		b := m.body()
		p, err := m.s.UploadPart(m.ctx, PartRequest{Bucket: "lake", Key: key, UploadID: u.ID, Number: n, Body: bytes.NewReader(b), Bytes: -1})
		if err != nil {
			m.t.Fatal(err)
		}
		whole, parts = append(whole, b...), append(parts, CompletePart{Number: n, ETag: p.ETag})
	}
	if _, err := m.s.CompleteUpload(m.ctx, CompleteRequest{Bucket: "lake", Key: key, UploadID: u.ID, Parts: parts}); err != nil {
		m.t.Fatal(err)
	}
	m.want[key] = whole
}

// hold opens a reader, and reads a little of it or nothing.
func (m *upkeepModel) hold() {
	key := m.key()
	o, err := m.s.Open(m.ctx, "lake", key)
	if err != nil || len(m.held) == 5 {
		return
	}
	r := heldReader{key, o.Version, m.want[key], o.NewReader(m.ctx, 0, -1)}
	first := make([]byte, min(len(r.want), m.rand.IntN(3000)))
	if _, err := io.ReadFull(r.r, first); err != nil || !bytes.Equal(first, r.want[:len(first)]) {
		m.t.Fatalf("begin of %s: %v", key, err)
	}
	r.want = r.want[len(first):]
	m.held = append(m.held, r)
}

// release reads a held reader to its end. A version that is still there must come
// whole; one that was replaced whole, or with an error that says why not.
func (m *upkeepModel) release() {
	if len(m.held) == 0 {
		return
	}
	i := m.rand.IntN(len(m.held))
	r := m.held[i]
	m.held = slices.Delete(m.held, i, i+1)
	rest, err := io.ReadAll(r.r)
	_ = r.r.Close()
	o, headErr := m.s.Head(m.ctx, "lake", r.key)
	present := headErr == nil && o.Version == r.version
	switch {
	case !bytes.HasPrefix(r.want, rest):
		m.t.Fatalf("%s reads as something else", r.key)
	case err == nil && len(rest) == len(r.want):
	case err == nil || present || !elsewhere(err):
		m.t.Fatalf("%s (present: %v): %d of %d bytes: %v", r.key, present, len(rest), len(r.want), err)
	}
}

func (m *upkeepModel) pack() {
	r := mustPack(m.t, m.s)
	m.counts["blobs packed"] += int(r.Blobs)
}

// refresh has blobs read whose shards were moved, and puts their hints right; so does the
// store by itself.
func (m *upkeepModel) refresh() {
	m.reclaim()
	m.sweep()
	holds(m.t, m.s, m.want)
	n, err := m.s.refreshHints(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.counts["hints refreshed"] += n
}

func (m *upkeepModel) reclaim() {
	r, err := m.s.Reclaim(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.counts["extents emptied"] += r.Extents
	m.counts["sparse stripes"] += r.Sparse
}

func (m *upkeepModel) sweep() {
	r, err := m.s.Sweep(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.counts["extents swept"] += r.Extents
}

func (m *upkeepModel) restart() {
	m.close()
	m.open()
}

// lose empties one drive between two runs, and has the others fill it again.
func (m *upkeepModel) lose() {
	m.close()
	hosttest.DiskOf(m.h).Wipe(sixFolders[m.rand.IntN(6)])
	m.open()
	m.check()
	wholeAgain(m.t, m.s)
}

func (m *upkeepModel) check() {
	holds(m.t, m.s, m.want)
	page, err := m.s.List(m.ctx, ListRequest{Bucket: "lake", Max: 1000})
	if err != nil || len(page.Objects) != len(m.want) {
		m.t.Fatalf("%d objects are listed of %d: %v", len(page.Objects), len(m.want), err)
	}
}

func TestUpkeepNeverChangesWhatAReaderSees(t *testing.T) {
	seeds := 2
	if os.Getenv("TARN_SOAK") == "1" {
		seeds = 100
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			m := &upkeepModel{t: t, ctx: context.Background(), h: hosttest.New(int64(seed)), rand: rand.New(rand.NewPCG(seed, 1)), want: map[string][]byte{}, counts: map[string]int{}}
			m.open()
			defer func() { m.close() }()
			if _, err := m.s.CreateBucket(m.ctx, "lake"); err != nil {
				t.Fatal(err)
			}
			often := []func(){m.put, m.putMany, m.putTogether, m.putTogether, m.remove, m.remove, m.copy, m.multipart, m.hold, m.hold, m.release, m.pack, m.pack, m.reclaim, m.refresh, m.sweep}
			for step := range 150 {
				switch m.rand.IntN(40) {
				case 0:
					m.restart()
				case 1:
					m.lose()
				default:
					often[m.rand.IntN(len(often))]()
				}
				if step%10 == 0 {
					m.check()
				}
			}
			for len(m.held) > 0 {
				m.release()
			}
			m.check()
			nothingStaged(t, m.s)
			t.Log(m.counts)
		})
	}
}
