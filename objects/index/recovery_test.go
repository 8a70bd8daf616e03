package index_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

var background = context.Background()

func put(key, value string) index.Mutation {
	return index.Mutation{Kind: index.Put, Key: []byte(key), Value: []byte(value)}
}

func absent(key string) index.Condition {
	return index.Condition{Kind: index.KeyAbsent, Key: []byte(key)}
}

// variety is the nth of a row of transactions of which some fail, some are
// applied in part and some repeat.
func variety(n int) index.Txn {
	key, value := fmt.Sprintf("k%02d", n%17), fmt.Sprintf("%d %s", n, strings.Repeat("x", 500))
	skipped := put("skipped"+key, value)
	skipped.Guard = &index.Condition{Kind: index.KeyExists, Key: []byte("nothing")}
	switch n % 5 {
	case 0:
		return index.Txn{RequestID: index.RequestID{1, byte(n)}, Mutations: []index.Mutation{put(key, value), skipped}}
	case 1:
		return index.Txn{Conditions: []index.Condition{absent(key)}, Mutations: []index.Mutation{put(key, value)}}
	case 2:
		return index.Txn{RequestID: index.RequestID{1, byte(n - 2)}, Mutations: []index.Mutation{put(key, "repeated")}}
	case 3:
		return index.Txn{Mutations: []index.Mutation{{Kind: index.DeleteRange, Key: []byte("k03"), End: []byte("k06")}}}
	default:
		return index.Txn{Mutations: []index.Mutation{put(key, value), {Kind: index.Delete, Key: []byte(fmt.Sprintf("k%02d", n%5))}}}
	}
}

// commit accepts failed conditions.
func commit(i index.Index, txn index.Txn) error {
	_, err := i.Commit(background, txn)
	var failed *index.ConditionError
	if errors.As(err, &failed) {
		return nil
	}
	return err
}

func mustCommit(t testing.TB, i index.Index, txns ...index.Txn) {
	t.Helper()
	for _, txn := range txns {
		if err := commit(i, txn); err != nil {
			t.Fatalf("commit: %v", err)
		}
	}
}

func text(t testing.TB, i index.Index) string {
	t.Helper()
	var b strings.Builder
	for item, err := range i.Scan(background, nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		fmt.Fprintf(&b, "%s=%s@%d\n", item.Key, item.Value, item.Version)
	}
	return b.String()
}

// watched is what a watcher from the beginning delivers.
func watched(t testing.TB, i index.Index, from index.Position) string {
	t.Helper()
	end, err := i.Position(background)
	if err != nil {
		t.Fatal(err)
	}
	w, err := i.Watch(background, from)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var b strings.Builder
	for at := from; !at.Covers(end); {
		e, err := w.Next(background)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%d %x", e.Version, e.RequestID)
		for _, m := range e.Mutations {
			fmt.Fprintf(&b, " %d %s=%s", m.Kind, m.Key, m.Value)
		}
		b.WriteByte('\n')
		at = e.Position
	}
	return b.String()
}

func closed(t testing.TB, i index.Index) {
	t.Helper()
	if err := i.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// store is what outlives an index: its log, its checkpoints, its disk.
type store struct {
	host  *host.Host
	log   *indextest.Log
	saved *indextest.Checkpoints
	all   *indextest.Log // every entry that stands, never trimmed
}

func newStore(seed int64) *store {
	s := &store{host: hosttest.New(seed), log: &indextest.Log{}, saved: &indextest.Checkpoints{}, all: &indextest.Log{}}
	s.log.Fail = func(entries [][]byte) (int, error) {
		_, err := s.all.Append(background, entries)
		return len(entries), err
	}
	return s
}

func (s *store) options() index.Options {
	return index.Options{
		Host: s.host, Log: s.log, Dir: "a/index", Spares: []string{"b/index"}, Checkpoints: s.saved,
		CacheBytes: 1 << 20, CheckpointBytes: 1 << 40, WatchKeptBytes: 1,
	}
}

func (s *store) open(t testing.TB) *index.Local {
	t.Helper()
	return indextest.Open(t, s.options())
}

// reference is what the entries that stand make of an index that nothing ever befell.
func (s *store) reference(t testing.TB) string {
	t.Helper()
	h := hosttest.New(1)
	i := indextest.Open(t, index.Options{Host: h, Log: s.all, Dir: "index", CacheBytes: 1 << 20})
	defer closed(t, i)
	return text(t, i)
}

func (s *store) wantWhole(t testing.TB, i index.Index) {
	t.Helper()
	if got, want := text(t, i), s.reference(t); got != want {
		t.Fatalf("the index holds\n%swant\n%s", got, want)
	}
}

func TestEveryPowerCutLeavesTheView(t *testing.T) {
	var s *store
	acknowledged := 0
	workload := func(h *host.Host) {
		s, acknowledged = newStore(1), 0
		s.host = h
		i, err := index.Open(background, s.options())
		if err != nil {
			return
		}
		defer i.Close()
		for n := range 60 {
			if err := commit(i, variety(n)); err != nil {
				return
			}
			acknowledged++
			if n%25 == 24 && i.Checkpoint(background) != nil {
				return
			}
		}
	}
	check := func(h *host.Host) {
		s.host = h
		i := s.open(t)
		defer closed(t, i)
		s.wantWhole(t, i)
		if stands := int(s.all.Last()); stands < acknowledged {
			t.Fatalf("%d acknowledged, %d stand", acknowledged, stands)
		}
	}
	if os.Getenv("TARN_SOAK") == "1" {
		hosttest.EveryCrash(t, 1, workload, check)
		return
	}
	hosttest.SomeCrashes(t, 1, 60, workload, check)
}

// files of the view, below dir.
func files(t testing.TB, fs vfs.FS, dir string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range names {
		p := path.Join(dir, name)
		info, err := fs.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			out = append(out, files(t, fs, p)...)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// TestDamagedViewIsRebuilt damages each file of the view in each way between
// two runs, with the log whole and with the log trimmed to a checkpoint.
func TestDamagedViewIsRebuilt(t *testing.T) {
	damages := map[string]func(d *hosttest.Disk, name string, size int64){
		"removed":        func(d *hosttest.Disk, name string, _ int64) { _ = d.Remove(name) },
		"first byte":     func(d *hosttest.Disk, name string, size int64) { d.Corrupt(name, 0, min(1, size)) },
		"in the middle":  func(d *hosttest.Disk, name string, size int64) { d.Corrupt(name, size/2, min(8, size-size/2)) },
		"last byte":      func(d *hosttest.Disk, name string, size int64) { d.Corrupt(name, max(size-1, 0), min(1, size)) },
		"every byte":     func(d *hosttest.Disk, name string, size int64) { d.Corrupt(name, 0, size) },
		"folder removed": func(d *hosttest.Disk, _ string, _ int64) { _ = d.RemoveAll("a/index") },
		"drive emptied":  func(d *hosttest.Disk, _ string, _ int64) { d.Wipe("a") },
	}
	for _, trimmed := range []bool{false, true} {
		s := newStore(1)
		i := s.open(t)
		for n := range 100 {
			mustCommit(t, i, variety(n))
		}
		if trimmed {
			if err := i.Checkpoint(background); err != nil {
				t.Fatal(err)
			}
			if s.log.First() == 1 {
				t.Fatal("the log was not trimmed")
			}
		}
		for n := range 20 {
			mustCommit(t, i, variety(100+n))
		}
		closed(t, i)
		whole := hosttest.DiskOf(s.host)
		for _, name := range files(t, whole, "a/index") {
			for what, damage := range damages {
				disk := whole.CrashClone(1)
				info, err := disk.Stat(name)
				if err != nil {
					continue // never synced: a power cut takes it
				}
				damage(disk, name, info.Size())
				s.host = &host.Host{Clock: s.host.Clock, Entropy: s.host.Entropy, FS: disk, Log: s.host.Log}
				t.Run(fmt.Sprintf("trimmed=%v/%s/%s", trimmed, path.Base(name), what), func(t *testing.T) {
					i := s.open(t)
					defer closed(t, i)
					s.wantWhole(t, i)
				})
			}
		}
	}
}

// TestViewMovesWhenItsDriveFails: commits, reads and watchers go on while the
// drive below the view fails, again and again.
func TestViewMovesWhenItsDriveFails(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	defer closed(t, i)
	disk := hosttest.DiskOf(s.host)
	w, err := i.Watch(background, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for round := range 6 {
		for n := range 50 {
			mustCommit(t, i, variety(round*50+n))
		}
		failing, well := "a", "b"
		if round%2 == 1 {
			failing, well = well, failing
		}
		disk.Fail(well, nil)
		disk.Fail(failing, errors.New("drive pulled out"))
		_ = i.Checkpoint(background) // touches the drive, so that the failure shows
		for n := range 50 {
			mustCommit(t, i, variety(round*50+n+7))
		}
		s.wantWhole(t, i)
	}
	for n := range 600 {
		if _, err := w.Next(background); err != nil {
			t.Fatalf("entry %d: %v", n+1, err)
		}
	}
}

func TestHistoriesAreLinearizableWhileTheViewMoves(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	defer closed(t, i)
	disk := hosttest.DiskOf(s.host)
	indextest.Histories(t, i, func() {
		for n := range 8 {
			failing, well := "a", "b"
			if n%2 == 1 {
				failing, well = well, failing
			}
			disk.Fail(well, nil)
			disk.Fail(failing, errors.New("drive pulled out"))
			_ = i.Checkpoint(background)
			_, _ = i.Get(background, []byte("a")) // waits until the view has moved
		}
	})
	s.wantWhole(t, i)
}

func TestWithoutAnyDriveForTheViewNothingIsLost(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	defer closed(t, i)
	mustCommit(t, i, variety(0))
	disk := hosttest.DiskOf(s.host)
	pulled := errors.New("drive pulled out")
	disk.Fail("", pulled)
	_ = i.Checkpoint(background)
	err := commit(i, index.Txn{RequestID: index.RequestID{5}, Mutations: []index.Mutation{put("late", "1")}})
	if err != nil && !errors.Is(err, index.ErrUnknown) && !errors.Is(err, index.ErrReadOnly) {
		t.Fatalf("commit without a view: %v", err)
	}
	if _, err := i.Get(background, []byte("late")); !errors.Is(err, index.ErrView) {
		t.Fatalf("get without a view: %v, want ErrView", err)
	}
	disk.Fail("", nil)
	mustCommit(t, i, index.Txn{RequestID: index.RequestID{5}, Mutations: []index.Mutation{put("late", "1")}})
	s.wantWhole(t, i)
}

func TestViewOfAnotherStoreIsNotUsed(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	mustCommit(t, i, variety(0))
	closed(t, i)
	other := newStore(2)
	other.host = s.host
	o := other.options()
	o.Identity = [16]byte{2}
	j := indextest.Open(t, o)
	defer closed(t, j)
	if got := text(t, j); got != "" {
		t.Fatalf("the index holds %s of another store", got)
	}
}

func TestViewAheadOfItsLogIsNotUsed(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	mustCommit(t, i, variety(0), variety(4))
	closed(t, i)
	s.log, s.all = newStore(1).log, &indextest.Log{}
	j := s.open(t)
	defer closed(t, j)
	if got := text(t, j); got != "" {
		t.Fatalf("the index holds %s, which its log does not", got)
	}
}

// TestAppendOfUnknownFateIsSettled: whatever part of a failed append stands, the
// answers and the state agree with the log.
func TestAppendOfUnknownFateIsSettled(t *testing.T) {
	broken := errors.New("drives failed under the append")
	for stands := range 2 {
		s := newStore(1)
		keep := s.log.Fail
		i := s.open(t)
		mustCommit(t, i, variety(0))
		s.log.Fail = func(entries [][]byte) (int, error) {
			_, _ = keep(entries[:stands])
			return stands, broken
		}
		_, err := i.Commit(background, index.Txn{Mutations: []index.Mutation{put("late", "1")}})
		if stands == 1 && err != nil {
			t.Fatalf("an entry that stands: %v", err)
		}
		if stands == 0 && (!errors.Is(err, index.ErrReadOnly) || !errors.Is(err, broken)) {
			t.Fatalf("an entry that does not stand: %v, want ErrReadOnly and the cause", err)
		}
		s.log.Fail = keep
		mustCommit(t, i, variety(4))
		s.wantWhole(t, i)
		closed(t, i)
	}
}

// TestAppendOfUnknownFateIsSettledThoughTheViewFailed: the drive below the view goes
// together with those of the log. Whatever stands is found when the view is
// made anew, and nobody is told that it was not written.
func TestAppendOfUnknownFateIsSettledThoughTheViewFailed(t *testing.T) {
	broken := errors.New("drives failed under the append")
	for stands := range 2 {
		s := newStore(1)
		keep := s.log.Fail
		i := s.open(t)
		mustCommit(t, i, variety(0))
		s.log.Fail = func(entries [][]byte) (int, error) {
			s.log.Fail = keep
			_, _ = keep(entries[:stands])
			hosttest.DiskOf(s.host).Fail("a", broken)
			_ = i.Flush() // meets the failure
			return stands, broken
		}
		_, err := i.Commit(background, index.Txn{Mutations: []index.Mutation{put("late", "1")}})
		if stands == 1 && err != nil {
			t.Fatalf("an entry that stands: %v", err)
		}
		if stands == 0 && (!errors.Is(err, index.ErrReadOnly) || errors.Is(err, index.ErrUnknown)) {
			t.Fatalf("an entry that does not stand: %v, want ErrReadOnly", err)
		}
		if !strings.HasPrefix(i.ViewDir(), "b") {
			t.Fatalf("the view lies in %q: it did not fail", i.ViewDir())
		}
		mustCommit(t, i, variety(4))
		s.wantWhole(t, i)
		closed(t, i)
	}
}

// TestRetryAfterUnknownOutcomeTells: while nothing can tell what stands, the
// answer is ErrUnknown; the same request id tells later, whichever way it was.
func TestRetryAfterUnknownOutcomeTells(t *testing.T) {
	broken := errors.New("drives failed")
	for stands := range 2 {
		s := newStore(1)
		keep := s.log.Fail
		i := s.open(t)
		s.log.Fail = func(entries [][]byte) (int, error) {
			_, _ = keep(entries[:stands])
			return stands, broken
		}
		s.log.FailReplay = func() error { return fmt.Errorf("%w: two drives left", index.ErrReadOnly) }
		txn := index.Txn{
			RequestID:  index.RequestID{5},
			Conditions: []index.Condition{absent("a")},
			Mutations:  []index.Mutation{put("a", "1")},
		}
		if _, err := i.Commit(background, txn); !errors.Is(err, index.ErrUnknown) || !errors.Is(err, broken) || errors.Is(err, index.ErrReadOnly) {
			t.Fatalf("got %v, want ErrUnknown and the cause, and not ErrReadOnly", err)
		}
		if _, err := i.Commit(background, txn); !errors.Is(err, index.ErrReadOnly) || errors.Is(err, index.ErrUnknown) {
			t.Fatalf("got %v, want ErrReadOnly: nothing more was written", err)
		}
		s.log.Fail, s.log.FailReplay = keep, nil
		r, err := i.Commit(background, txn)
		if err != nil || r.Repeated != (stands == 1) || r.Version != uint64(1) {
			t.Fatalf("retry where %d stand: %+v, %v", stands, r, err)
		}
		s.wantWhole(t, i)
		closed(t, i)
	}
}

func TestReadOnlyLogRefusesAndComesBack(t *testing.T) {
	s := newStore(1)
	keep := s.log.Fail
	i := s.open(t)
	defer closed(t, i)
	mustCommit(t, i, variety(0))
	s.log.Fail = func([][]byte) (int, error) { return 0, fmt.Errorf("two drives left: %w", index.ErrReadOnly) }
	if err := commit(i, variety(4)); !errors.Is(err, index.ErrReadOnly) {
		t.Fatalf("got %v, want ErrReadOnly", err)
	}
	s.wantWhole(t, i)
	s.log.Fail = keep
	mustCommit(t, i, variety(4))
	s.wantWhole(t, i)
}

func TestCancelledCommitsSayWhetherTheyWereWritten(t *testing.T) {
	s := newStore(1)
	keep := s.log.Fail
	i := s.open(t)
	defer closed(t, i)
	within, goOn := make(chan struct{}), make(chan struct{})
	s.log.Fail = func(entries [][]byte) (int, error) {
		within <- struct{}{}
		<-goOn
		return keep(entries)
	}
	ctx, cancel := context.WithCancel(background)
	errs := make(chan error)
	go func() {
		_, err := i.Commit(ctx, index.Txn{Mutations: []index.Mutation{put("under way", "1")}})
		errs <- err
	}()
	<-within
	late, cancelLate := context.WithCancel(background)
	cancelLate()
	_, err := i.Commit(late, index.Txn{Mutations: []index.Mutation{put("queued", "1")}})
	if !errors.Is(err, context.Canceled) || errors.Is(err, index.ErrUnknown) {
		t.Fatalf("a queued commit: %v, want context.Canceled alone", err)
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) || !errors.Is(err, index.ErrUnknown) {
		t.Fatalf("a commit under way: %v, want context.Canceled and ErrUnknown", err)
	}
	close(goOn)
	go func() { <-within }()
	mustCommit(t, i, variety(4))
	if _, err := i.Get(background, []byte("under way")); err != nil {
		t.Fatalf("under way: %v", err)
	}
	if _, err := i.Get(background, []byte("queued")); !errors.Is(err, index.ErrNotFound) {
		t.Fatalf("queued: %v, want ErrNotFound", err)
	}
}

func TestCloseAnswersCommitsUnderWay(t *testing.T) {
	s := newStore(1)
	i := s.open(t)
	var wait sync.WaitGroup
	var answered [16]int
	for c := range answered {
		wait.Go(func() {
			for n := 0; ; n++ {
				_, err := i.Commit(background, index.Txn{Mutations: []index.Mutation{put(fmt.Sprintf("%d-%d", c, n), "")}})
				if errors.Is(err, index.ErrClosed) {
					return
				}
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				answered[c]++
			}
		})
	}
	w, err := i.Watch(background, "")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := w.Next(background); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, i)
	wait.Wait()
	total := 0
	for _, n := range answered {
		total += n
	}
	if stands := int(s.all.Last()); total != stands {
		t.Fatalf("%d answered, %d stand", total, stands)
	}
}
