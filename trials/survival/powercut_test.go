package survival

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
)

// point is the disk as a power cut at one operation leaves it.
type point struct {
	world, number int64
	seed          int64
	disk          *hosttest.Disk
	before, after string   // either may be seen
	damaged       []string // drives that may lack something already
	folders       []string // that the store is opened with
	shared        bool     // small blobs share stripes
	again         bool     // it comes of a cut while another point recovered
}

// points on their way from worlds to recoveries.
type points struct {
	c    chan point
	quit chan struct{} // nobody takes any more
}

func (p *points) send(one point) {
	select {
	case p.c <- one:
	case <-p.quit:
	}
}

// each takes points until quit and until none is left.
func (p *points) each(f func(point)) {
	for {
		select {
		case one := <-p.c:
			f(one)
			continue
		default:
		}
		select {
		case one := <-p.c:
			f(one)
		case <-p.quit:
			return
		}
	}
}

func (p *point) String() string {
	again := ""
	if p.again {
		again = ", in the recovery from it"
	}
	return fmt.Sprintf("world %d, power cut before operation %d%s, drives harmed %q", p.world, p.number, again, p.damaged)
}

// recovery opens points and looks.
type recovery struct {
	points, shared, cutAgain, worse, mended atomic.Int64
	failed                                  func(format string, args ...any)
}

// check is what a store must be after a power cut.
func (c *recovery) check(p point) {
	c.points.Add(1)
	if p.shared {
		c.shared.Add(1)
	}
	r := rand.New(rand.NewPCG(uint64(p.seed), 11))
	c.harm(&p, r)
	if !p.again && r.IntN(10) == 0 {
		c.cutRecovery(p, r)
	}
	kept := c.keep(&p)
	h := hostOn(p.disk, p.seed)
	s, err := open(h, p.folders)
	if err != nil {
		c.failed("%s: the store does not open: %v%s", &p, err, kept())
		return
	}
	defer func() { _ = s.Close() }()
	got, err := picture(s)
	if err != nil {
		c.failed("%s: %v%s", &p, err, kept())
		return
	}
	if got != p.before && got != p.after {
		c.failed("%s%s: half done, or lost:\n%s\nbefore\n%s\nafter\n%s", &p, kept(), got, p.before, p.after)
		return
	}
	c.goOn(&p, s, h, got, r)
}

// harm lets further drives come to harm with the power cut, up to m in all.
func (c *recovery) harm(p *point, r *rand.Rand) {
	if r.IntN(6) > 0 {
		return
	}
	left := parity - len(p.damaged)
	for _, i := range r.Perm(len(p.folders)) {
		d := p.folders[i]
		if left == 0 || slices.Contains(p.damaged, d) {
			continue
		}
		left--
		c.worse.Add(1)
		if _, err := p.disk.Stat(d); err != nil {
			continue
		}
		if r.IntN(2) == 0 {
			p.disk.Wipe(d)
			continue
		}
		for range 10 {
			rotten(p.disk, d, r)
		}
	}
}

// keep holds on to the disk as the power cut left it. Where TARN_EVIDENCE names a folder, a failure writes it there,
// for tarn inspect.
func (c *recovery) keep(p *point) (written func() string) {
	dir := os.Getenv("TARN_EVIDENCE")
	if dir == "" {
		return func() string { return "" }
	}
	disk := p.disk.CrashClone(p.seed + 3)
	return func() string {
		at, err := os.MkdirTemp(dir, fmt.Sprintf("world-%d-", p.world))
		for _, folder := range p.folders {
			if _, e := disk.Stat(folder); e == nil && err == nil {
				_, err = vfs.Clone(disk, vfs.Default, folder, filepath.Join(at, folder))
			}
		}
		return fmt.Sprintf(" (its drives are in %s, %v)", at, err)
	}
}

// cutRecovery cuts the power again at some operations of the recovery.
func (c *recovery) cutRecovery(p point, r *rand.Rand) {
	disk := p.disk.CrashClone(p.seed + 1)
	var mu sync.Mutex
	var forks []point
	var n atomic.Int64
	skip := int64(10 + r.IntN(60))
	disk.SetFault(func(op hosttest.Op) error {
		if i := n.Add(1); op.Kind.Changes() && i%skip == 0 {
			f := p
			f.again, f.seed = true, p.seed+i*7919
			f.disk = disk.CrashClone(f.seed)
			mu.Lock()
			forks = append(forks, f)
			mu.Unlock()
		}
		return nil
	})
	s, err := open(hostOn(disk, p.seed), p.folders)
	if err != nil {
		c.failed("%s: the store does not open: %v", &p, err)
		return
	}
	disk.SetFault(nil)
	_ = s.Close()
	c.cutAgain.Add(int64(len(forks)))
	for _, f := range forks {
		f.damaged = drivesHarmed // nothing further may happen to it
		c.check(f)
	}
}

var drivesHarmed = []string{"", ""}

// goOn uses the store after the recovery.
func (c *recovery) goOn(p *point, s *objects.Store, h *host.Host, got string, r *rand.Rand) {
	still := func(after string) {
		if now, err := picture(s); err != nil || now != got {
			c.failed("%s, after %s: %v\n%s\nbefore that\n%s", p, after, err, now, got)
		}
	}
	switch n := r.IntN(40); {
	case n == 0:
		c.mended.Add(1)
		if err := mended(s); err != nil {
			c.failed("%s: %v", p, err)
			return
		}
		h.Clock.(*clock).forward(2 * stageKept)
		if _, err := s.Sweep(context.Background()); err != nil {
			c.failed("%s: sweep: %v", p, err)
		}
		still("a repair and a sweep")
	case n < 4: // what was seen once stays
		next, err := open(hostOn(p.disk.CrashClone(p.seed+2), p.seed+2), p.folders)
		if err != nil {
			c.failed("%s: the store does not open a second time: %v", p, err)
			return
		}
		_ = s.Close()
		s = next
		defer func() { _ = next.Close() }()
		still("another power cut")
	case n < 7:
		body := bytes.Repeat([]byte("goes on "), 200)
		if _, err := s.Put(context.Background(), objects.PutRequest{Bucket: bucket, Key: "zz", Body: bytes.NewReader(body), Bytes: int64(len(body))}); err != nil {
			if len(p.damaged) == 0 || !strings.Contains(err.Error(), "read-only") {
				c.failed("%s: put: %v", p, err)
			}
			return
		}
		if _, err := s.Delete(context.Background(), objects.DeleteRequest{Bucket: bucket, Key: "zz"}); err != nil {
			c.failed("%s: delete: %v", p, err)
			return
		}
		still("a put and a delete")
	}
}

// lives of worlds side by side, counted.
type lives struct {
	worlds atomic.Int64 // begun

	mu       sync.Mutex
	requests int
	packed   int64
	arranged map[string]int
}

func (l *lives) add(w *world) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests += len(w.log)
	l.packed += w.packed
	for kind, n := range w.layout.done {
		l.arranged[kind] += n
	}
}

// A power cut at any moment, further drives lost with it, loses nothing that was
// answered, tears nothing, and leaves a store that goes on.
func TestNoPowerCutLosesOrTearsAnything(t *testing.T) {
	seed, target := seedOf(t), size(20_000, 1_000_000)
	points := &points{make(chan point, 8), make(chan struct{})}
	c := &recovery{failed: t.Errorf}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			points.each(func(p point) {
				if !t.Failed() {
					c.check(p)
				}
			})
		})
	}
	begun, lives := time.Now(), &lives{arranged: map[string]int{}}
	func() {
		defer workers.Wait()
		defer close(points.quit)
		t.Run("worlds", func(t *testing.T) {
			for n := range runtime.GOMAXPROCS(0) {
				t.Run(fmt.Sprint("lane ", n), func(lane *testing.T) {
					lane.Parallel()
					for c.points.Load() < target && !t.Failed() {
						w := newWorld(lane, seed+lives.worlds.Add(1)-1, points)
						for range 60 {
							if c.points.Load() < target && !t.Failed() {
								w.live()
							}
						}
						w.end()
						lives.add(w)
						if soaking() {
							lane.Logf("world %d ended at %d power cuts, %v", w.seed, c.points.Load(), time.Since(begun).Round(time.Second))
						}
					}
				})
			}
		})
	}()
	took := time.Since(begun)
	t.Logf("%d power cuts (%d of them in a recovery, %d with %d more drives lost or rotten) in %d requests of %d worlds; %d stripes packed, %d cuts with such alive, %d repairs; drives: %v; %.0f/s",
		c.points.Load(), c.cutAgain.Load(), c.worse.Load(), parity, lives.requests, lives.worlds.Load(), lives.packed, c.shared.Load(), c.mended.Load(), lives.arranged, float64(c.points.Load())/took.Seconds())
}
