package survival

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

const (
	drivesAll   = 6
	parity      = 2
	partMin     = 100
	stageKept   = time.Hour
	never       = 10 * time.Hour // longer than any trial
	patient     = 3 * never      // of the store with a drive
	hedged      = never / 100    // the least after which a read asks others
	bucket      = "lake"
	extentBytes = 320 << 10 // a shard of what is packed, and whole copies, fit
)

var folders = []string{"d1", "d2", "d3", "d4", "d5", "d6"}

// The stores of these trials live for milliseconds: their memory is hardly worth
// collecting.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// soaking runs the long form.
func soaking() bool { return os.Getenv("TARN_SOAK") == "1" }

// size of a trial; TARN_TRIAL=n takes a share of 1/n.
func size(quick, soak int64) int64 {
	if share, err := strconv.ParseInt(os.Getenv("TARN_TRIAL"), 10, 64); err == nil && share > 0 {
		return max(quick/share, 1)
	}
	if soaking() {
		return soak
	}
	return quick
}

// seedOf a trial: TARN_SEED, or another one each time in the long form.
func seedOf(t testing.TB) int64 {
	seed := int64(1)
	if given, err := strconv.ParseInt(os.Getenv("TARN_SEED"), 10, 64); err == nil {
		seed = given
	} else if soaking() {
		seed = time.Now().UnixNano() % 1_000_000_000
	}
	t.Logf("TARN_SEED=%d", seed)
	return seed
}

// clock is the machine's own, put forward by hand.
type clock struct {
	host.Clock
	ahead    atomic.Int64
	patience held
}

func newClock() *clock { return &clock{Clock: host.Real(nil).Clock} }

func (c *clock) Now() time.Time { return c.Clock.Now().Add(time.Duration(c.ahead.Load())) }

// AfterFunc forgets what is not due within the trial, for a timer would keep the
// whole store in memory long after its end.
func (c *clock) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	if d >= hedged && d <= patient {
		return c.patience.after(f)
	}
	if d >= never {
		return func() bool { return true }
	}
	return c.Clock.AfterFunc(d, f)
}

func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// hosts made so far: no two have the same entropy, for what a store draws of it
// must never come again.
var hosts atomic.Int64

// hostOn is a host on a disk. Its clock is the real one: nothing is ever late.
func hostOn(disk *hosttest.Disk, seed int64) *host.Host {
	return &host.Host{Clock: newClock(), Entropy: hosttest.NewEntropy(seed<<32 ^ hosts.Add(1)), FS: disk, Log: slog.New(slog.DiscardHandler)}
}

func options(h *host.Host, folders []string) objects.Options {
	return objects.Options{
		Host: h, Drives: folders, AutoFormat: true, PartBytesMin: partMin, PackBytesMin: 1, StageKept: stageKept,
		ExtentBytes: extentBytes, CacheBytes: 256 << 10, CheckpointBytes: 8 << 10,
		DriveTimeout: patient, HedgeDelay: never, RepairPause: 9 * never, SweepPause: 9 * never, AuditPause: 9 * never, PackPause: 9 * never,
	}
}

func open(h *host.Host, folders []string) (*objects.Store, error) {
	return objects.Open(context.Background(), options(h, folders))
}

// picture is all that can be seen of the bucket, byte for byte, but for ids and times.
func picture(s objectstest.Store) (string, error) {
	ctx := context.Background()
	var b strings.Builder
	page, err := s.List(ctx, objects.ListRequest{Bucket: bucket, Max: 1000})
	if err != nil {
		return "", fmt.Errorf("list: %w", err)
	}
	for _, o := range page.Objects {
		line, err := portrait(ctx, s, o.Key)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", o.Key, err)
		}
		b.WriteString(line)
	}
	uploads, err := s.ListUploads(ctx, objects.UploadsRequest{Bucket: bucket, Max: 1000})
	if err != nil {
		return "", fmt.Errorf("list uploads: %w", err)
	}
	var lines []string // of one moment: uploads of a key have no order among stores
	for _, u := range uploads.Uploads {
		parts, err := s.ListParts(ctx, bucket, u.Key, u.ID, 0, 1000)
		if err != nil {
			return "", fmt.Errorf("list parts: %w", err)
		}
		line := "upload " + u.Key
		for _, p := range parts.Parts {
			line += fmt.Sprintf(" %d:%s", p.Number, p.ETag)
		}
		lines = append(lines, line+"\n")
	}
	slices.Sort(lines)
	return b.String() + strings.Join(lines, ""), nil
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// portrait is an object, its bytes read as a stream.
func portrait(ctx context.Context, s objectstest.Store, key string) (string, error) {
	o, err := s.Open(ctx, bucket, key)
	if err != nil {
		return "", err
	}
	body, sum := o.NewReader(ctx, 0, -1), xxh3.New()
	defer body.Close()
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{body}, *buffer)
	return fmt.Sprintf("object %s %s %d %x %v %v\n", o.Key, o.ETag, n, sum.Sum64(), o.Metadata, o.PartBytes), err
}

// world is a store, its model, and what befell them.
type world struct {
	t     testing.TB
	seed  int64
	r     *rand.Rand
	disk  *hosttest.Disk
	host  *host.Host
	store *objects.Store
	model *objectstest.Model
	log   []string // of requests

	uploads []twin
	failing map[string]bool        // drives whose every operation fails
	locked  atomic.Pointer[string] // the folder of a drive that takes no change
	hung    atomic.Pointer[hang]   // a drive that does not answer
	began   atomic.Int64           // operations of the disk
	forking atomic.Int64           // forks under way
	points  *points                // where forks go; nil: nowhere
	forks   atomic.Int64
	packed  int64 // stripes of small blobs
	layout  layout

	mu struct {
		sync.Mutex
		before, after string          // what may be seen at this moment
		moment        int64           // counts the changes of that
		shared        bool            // stripes of small blobs live, as the last look at the index saw it
		damaged       map[string]bool // drives that may lack what was written to them, or have it wrong
	}
}

// twin is an upload as store and model call it.
type twin struct{ key, real, model string }

func newWorld(t testing.TB, seed int64, points *points) *world {
	w := &world{t: t, seed: seed, r: rand.New(rand.NewPCG(uint64(seed), 7)), disk: hosttest.NewDisk(),
		model: objectstest.NewModel(), failing: map[string]bool{}, layout: newLayout()}
	w.model.PartBytesMin = partMin
	w.mu.damaged = map[string]bool{}
	w.start()
	ctx := context.Background()
	_, err := w.store.CreateBucket(ctx, bucket)
	_, want := w.model.CreateBucket(ctx, bucket)
	if err != nil || want != nil {
		t.Fatal(err, want)
	}
	w.points = points
	return w
}

// start opens the store on the world's disk, as it is.
func (w *world) start() {
	w.host = hostOn(w.disk, w.seed+w.forks.Load())
	w.disk.SetFault(w.operation)
	o := options(w.host, w.layout.folders)
	if w.seed%2 == 0 {
		o.JointLeast = 1 // every small object shares a stripe from the start, if with nobody
	}
	s, err := objects.Open(context.Background(), o)
	if err != nil {
		w.fatal("open: %v", err)
	}
	w.store = s
}

func (w *world) fatal(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.log[max(0, len(w.log)-12):] {
		w.t.Log(line)
	}
	w.t.Fatalf("world %d, request %d: "+format, append([]any{w.seed, len(w.log)}, args...)...)
}

// operation is called before every operation of the disk.
func (w *world) operation(op hosttest.Op) error {
	if op.Kind.Changes() && w.points != nil {
		w.fork()
	}
	w.wait(op.Path)
	if at := w.locked.Load(); at != nil && op.Kind.Changes() && strings.HasPrefix(op.Path, *at) {
		return syscall.EROFS
	}
	return nil
}

// fork sends the disk as a power cut would leave it now.
func (w *world) fork() {
	w.forking.Add(1)
	defer w.forking.Add(-1)
	n := w.forks.Add(1)
	p := point{world: w.seed, number: n, seed: w.seed<<20 + n}
	w.mu.Lock()
	moment := w.mu.moment
	p.shared, p.folders = w.mu.shared, w.layout.folders
	p.before, p.after = w.mu.before, w.mu.after
	for d := range w.mu.damaged {
		p.damaged = append(p.damaged, d)
	}
	w.mu.Unlock()
	slices.Sort(p.damaged)
	p.disk = w.disk.CrashClone(p.seed)
	w.mu.Lock()
	passed := w.mu.moment != moment // the store's own work goes on between requests
	w.mu.Unlock()
	if !passed {
		w.points.send(p)
	}
}

func (w *world) allow(before, after string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.before, w.mu.after = before, after
	w.mu.moment++
}

func (w *world) seen(s objectstest.Store) string {
	w.t.Helper()
	p, err := picture(s)
	if err != nil {
		w.fatal("look at the store: %v", err)
	}
	return p
}

// do makes one request of both, and compares answers and states.
func (w *world) do(r request) {
	w.log = append(w.log, r.name)
	next := w.model.Clone()
	want := r.model(next)
	before, after := w.seen(w.model), w.seen(next)
	w.allow(before, after)
	err := r.real(w.store)
	switch {
	case err == nil && want == nil:
		w.model = next
		if r.done != nil {
			r.done()
		}
	case err != nil && want != nil:
	case err != nil && (len(w.failing) > 0 || w.readOnly(err, parity)):
		w.settle(err, next, before, after)
	default:
		w.fatal("%s: %v, model %v", r.name, err, want)
	}
	now := w.seen(w.model)
	w.allow(now, now)
	if w.r.IntN(4) == 0 || err != nil {
		if got := w.seen(w.store); got != now {
			w.fatal("%s: the store shows\n%s\nmodel\n%s", r.name, got, now)
		}
	}
}

// readOnly is a refusal that so many drives explain which came to harm: one that was
// emptied or has failed takes no writes until it is looked at again.
func (w *world) readOnly(err error, harmed int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.mu.damaged) >= harmed && errors.Is(err, objects.ErrReadOnly)
}

// settle finds out what a request did that failed because of drives.
func (w *world) settle(err error, next *objectstest.Model, before, after string) {
	got := w.seen(w.store)
	refused := errors.Is(err, objects.ErrReadOnly) || errors.Is(err, objects.ErrFull)
	switch {
	case got == before:
	case got == after && !refused:
		w.model = next
	default:
		w.fatal("%s failed (%v) and left\n%s\nbefore\n%s\nafter\n%s", w.log[len(w.log)-1], err, got, before, after)
	}
}
