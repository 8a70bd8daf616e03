package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/tarnlake/tarn/host"
)

// Views lie in numbered folders, view-1, view-2 …, of one of the places. Any
// that is whole holds a prefix of the log, so that any will do; a new one is
// made beside the old, and the others are removed once it serves.
const viewPrefix = "view-"

// ErrView: the view can be kept in none of its folders. What is durable in the
// log stays so.
var ErrView = errors.New("index: no folder can hold the view")

// places are the folders that may hold views, best first.
type places struct {
	fs host.FS

	mu    sync.Mutex // never held across I/O
	dirs  []string
	given map[string]int // by place: the last number that a view was given
}

func (p *places) init(fs host.FS, dirs []string) {
	p.fs, p.given = fs, map[string]int{}
	p.set(dirs)
}

// views lists the view folders, the best place's newest first.
func (p *places) views() []string {
	var out []string
	for _, dir := range p.list() {
		numbers := p.numbers(dir)
		sort.Sort(sort.Reverse(sort.IntSlice(numbers)))
		for _, n := range numbers {
			out = append(out, p.path(dir, n))
		}
	}
	return out
}

func (p *places) path(dir string, number int) string {
	return p.fs.PathJoin(dir, viewPrefix+strconv.Itoa(number))
}

// numbers of the views in a place; none where it cannot be read.
func (p *places) numbers(dir string) []int {
	names, err := p.fs.List(dir)
	if err != nil {
		return nil
	}
	var numbers []int
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, viewPrefix)
		if n, err := strconv.Atoi(rest); ok && err == nil && n > 0 {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// fresh is a folder for a new view in a place. It is given once: two views may be made at the same time, one that
// follows a failed one, and one that follows what was to be moved.
func (p *places) fresh(dir string) string {
	there := p.numbers(dir)
	p.mu.Lock()
	defer p.mu.Unlock()
	number := p.given[dir] + 1
	for _, n := range there {
		number = max(number, n+1)
	}
	p.given[dir] = number
	return p.path(dir, number)
}

// removeOthers is a courtesy to the drives: what stays is removed next time.
func (p *places) removeOthers(keep string) error {
	var errs []error
	for _, dir := range p.views() {
		if dir != keep {
			errs = append(errs, p.fs.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

// findView opens a view that the log can bring up to date. The error is nil and
// the machine too where there is none.
func (l *Local) findView(ctx context.Context) *Machine {
	for _, dir := range l.places.views() {
		m, err := OpenMachine(l.machineOptions(dir))
		if err == nil {
			err = l.verifyView(ctx, m)
		}
		if err == nil {
			return m
		}
		l.opts.Host.Log.Warn("index view not usable", "dir", dir, "error", err)
	}
	return nil
}

func (l *Local) verifyView(ctx context.Context, m *Machine) error {
	last := l.opts.Log.Last()
	if m.Applied() > last {
		return errors.Join(fmt.Errorf("%w: it is at %d, the log ends at %d", errView, m.Applied(), last), m.discard())
	}
	if _, err := l.catchUp(ctx, m); err != nil {
		m.Abandon()
		return err
	}
	return nil
}

// rebuild makes a view anew, in the first place that takes one, and returns
// what the entries did that nobody was told of yet.
func (l *Local) rebuild(ctx context.Context) (*Machine, []Applied, error) {
	var errs []error
	for _, place := range l.places.list() {
		dir := l.places.fresh(place)
		m, done, err := l.rebuildIn(ctx, dir)
		if err == nil {
			l.opts.Events.ViewRebuilt(dir, m.Applied())
			return m, done, nil
		}
		errs = append(errs, err, l.opts.FS.RemoveAll(dir))
		if errors.Is(err, ErrImage) || ctx.Err() != nil {
			break // another folder would not help
		}
	}
	return nil, nil, fmt.Errorf("%w: %w", ErrView, errors.Join(errs...))
}

func (l *Local) rebuildIn(ctx context.Context, dir string) (*Machine, []Applied, error) {
	m, err := l.restore(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	done, err := l.catchUp(ctx, m)
	if err != nil {
		m.Abandon()
		return nil, nil, err
	}
	return m, done, nil
}

// restore takes the checkpoint, or nothing where the log reaches back to its
// first entry.
func (l *Local) restore(ctx context.Context, dir string) (*Machine, error) {
	o := l.machineOptions(dir)
	m, err := l.restoreCheckpoint(ctx, o)
	if err == nil {
		return m, nil
	}
	if l.opts.Log.First() > 1 {
		return nil, fmt.Errorf("rebuild view, whose log begins at %d: %w", l.opts.Log.First(), err)
	}
	if !errors.Is(err, ErrNotFound) {
		l.opts.Host.Log.Warn("index checkpoint not usable, replaying the whole log", "error", err)
	}
	return RestoreMachine(o, nil)
}

func (l *Local) restoreCheckpoint(ctx context.Context, o MachineOptions) (*Machine, error) {
	if l.opts.Checkpoints == nil {
		return nil, fmt.Errorf("load checkpoint: %w", ErrNotFound)
	}
	through, r, err := l.opts.Checkpoints.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	m, err := RestoreMachine(o, r)
	err = errors.Join(err, closeReader(r))
	if err != nil {
		return nil, fmt.Errorf("checkpoint through %d: %w", through, err)
	}
	if m.Applied() != through || through > l.opts.Log.Last() {
		err = fmt.Errorf("%w: it covers %d, its record says %d, the log ends at %d", ErrImage, m.Applied(), through, l.opts.Log.Last())
		m.Abandon()
		return nil, err
	}
	return m, nil
}

func closeReader(r io.Closer) error {
	if err := r.Close(); err != nil {
		return fmt.Errorf("close checkpoint: %w", err)
	}
	return nil
}

func (l *Local) machineOptions(dir string) MachineOptions {
	return MachineOptions{
		FS: l.opts.FS, Dir: dir, Shard: l.opts.Shard, Identity: l.opts.Identity,
		CacheBytes: l.opts.CacheBytes, Log: l.opts.Host.Log,
	}
}

// groupBytesMax bounds what is applied together.
const groupBytesMax = 4 << 20

// catchUp applies what the log holds beyond the view, and returns what those
// entries did that the feed has not published.
func (l *Local) catchUp(ctx context.Context, m *Machine) ([]Applied, error) {
	c := catcher{machine: m, told: l.told()}
	after := m.Applied()
	for e, err := range l.opts.Log.Replay(ctx, after) {
		if err != nil {
			return c.done, fmt.Errorf("replay log after %d: %w", after, err)
		}
		if err := c.add(e); err != nil {
			return c.done, err
		}
	}
	return c.done, c.flush()
}

// catcher applies replayed entries in groups.
type catcher struct {
	machine *Machine
	told    uint64
	group   []LogEntry
	bytes   int
	done    []Applied
}

func (c *catcher) add(e LogEntry) error {
	e.Data = append([]byte(nil), e.Data...)
	c.group = append(c.group, e)
	if c.bytes += len(e.Data); c.bytes < groupBytesMax {
		return nil
	}
	return c.flush()
}

func (c *catcher) flush() error {
	if len(c.group) == 0 {
		return nil
	}
	done, err := c.machine.Apply(c.group)
	if err != nil {
		return err
	}
	for i, e := range c.group {
		if e.Sequence > c.told {
			c.done = append(c.done, done[i])
		}
	}
	c.group, c.bytes = nil, 0
	return nil
}
