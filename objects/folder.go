package objects

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/drive"
)

// folder is one of Options.Drives as it was found.
type folder struct {
	path   string
	labels Labels // as they were given
	header drive.Header
	drive  *drive.Drive // nil where it could not be opened
	err    error        // why
	device string
	taken  bool // it belongs to a member

	unnamed bool // only the root record knows it

	opening <-chan struct{} // closed when an open that took too long has ended
}

// folders are all of them.
type folders struct {
	o   Options
	all []*folder
}

// survey opens every drive there is, all at once.
func survey(o Options) (*folders, error) {
	f := &folders{o: o}
	for i, path := range o.Drives {
		at := &folder{path: path}
		if i < len(o.Labels) {
			at.labels = o.Labels[i]
		}
		if f.at(path) != nil {
			return nil, fmt.Errorf("objects: folder %s is named twice", path)
		}
		if err := at.labels.check(); err != nil {
			return nil, fmt.Errorf("objects: labels of %s: %w", path, err)
		}
		f.all = append(f.all, at)
	}
	if err := f.openAll(f.all); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *folders) at(path string) *folder {
	i := slices.IndexFunc(f.all, func(at *folder) bool { return at.path == path })
	if i < 0 {
		return nil
	}
	return f.all[i]
}

// attempt is the opening of one folder, which may hang.
type attempt struct {
	ended chan struct{}
	mu    sync.Mutex
	found *folder // nil until it was opened, or could not be
	given bool    // up: nobody waits any more
}

func (f *folders) attempt(at folder, answers chan<- int, i int) *attempt {
	a := &attempt{ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		f.openFolder(&at)
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.given && at.drive != nil {
			_ = at.drive.Close() // nothing was written
		}
		a.found = &at
		answers <- i
	}()
	return a
}

// take gives what was found, or gives up.
func (a *attempt) take(at *folder) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found != nil {
		*at = *a.found
		return
	}
	a.given = true
	at.err, at.opening = fmt.Errorf("open drive in %s: %w", at.path, errLate), a.ended
}

// openAll opens folders at once. It lets go of those that hang when most others have
// answered, and as long again has passed: what is merely slow comes in that time.
func (f *folders) openAll(all []*folder) error {
	answers, late := make(chan int, len(all)), make(chan struct{})
	attempts := make([]*attempt, len(all))
	for i, at := range all {
		attempts[i] = f.attempt(*at, answers, i)
	}
	began := f.o.Host.Clock.Now()
wait:
	for n := range all {
		if n == len(all)/2+1 {
			grace := 2*f.o.Host.Clock.Now().Sub(began) + openGrace*f.timeout()
			defer f.o.Host.Clock.AfterFunc(grace, func() { close(late) })()
		}
		select {
		case <-answers:
		case <-late:
			break wait
		}
	}
	for i, at := range all {
		attempts[i].take(at)
	}
	for _, at := range all {
		if errors.Is(at.err, drive.ErrLocked) {
			return fmt.Errorf("open drive in %s: another process has it: %w", at.path, at.err)
		}
	}
	return nil
}

// openGrace is how many times DriveTimeout a drive may take longer to open than most.
const openGrace = 5

func (f *folders) timeout() time.Duration {
	if f.o.DriveTimeout == 0 {
		return driveTimeoutDefault
	}
	return f.o.DriveTimeout
}

func (f *folders) openFolder(at *folder) {
	at.header, at.err = drive.Identify(f.o.Host, at.path)
	if at.err == nil {
		at.drive, at.err = drive.Open(f.o.Host, at.path, drive.Options{
			ExtentBytes: f.o.ExtentBytes, ReadOnly: f.o.reading,
			Events: drive.Events{Committed: f.o.Events.Committed, Zeroed: f.o.Events.Zeroed},
		})
	}
	if at.err == nil {
		at.device = deviceOf(f.o.Host.FS, at.path)
	}
}

func (f *folders) close() {
	for _, at := range f.all {
		if at.drive != nil {
			_ = at.drive.Close() // nothing was written, or it is synced
			at.drive = nil
		}
	}
}

// openRecorded opens the drives that the root record knows at other places than
// those given: drives that were added while serving. It reports whether there were any.
func (f *folders) openRecorded(r *rootRecord) (more bool, err error) {
	var extra []*folder
	for _, d := range r.drives {
		known := slices.ContainsFunc(f.all, func(at *folder) bool { return at.path == d.path || at.drive != nil && at.header.Drive == d.id })
		if !known && d.path != "" {
			extra = append(extra, &folder{path: d.path, unnamed: true})
		}
	}
	f.all = append(f.all, extra...)
	return len(extra) > 0, f.openAll(extra)
}

// store is the id that most of the drives have; zero where there are none.
func (f *folders) store() (id [16]byte, err error) {
	count := map[[16]byte]int{}
	for _, at := range f.all {
		if at.drive != nil {
			count[at.header.Store]++
		}
	}
	most := 0
	for store, n := range count {
		if n > most {
			id, most = store, n
		}
	}
	for store, n := range count {
		if n == most && store != id {
			return id, errors.New("objects: the folders hold drives of several stores, as many of one as of another")
		}
	}
	for _, at := range f.all {
		if at.drive != nil && at.header.Store != id {
			_ = at.drive.Close()
			at.drive, at.err = nil, fmt.Errorf("%w: it belongs to store %x", drive.ErrForeign, at.header.Store)
		}
	}
	return id, nil
}

// root is the newest root record. There is none, version 0, where the store is
// new, or its making was cut short before anything was written.
func (f *folders) root(store [16]byte) (rootRecord, uint64, error) {
	var open []Drive
	used := false
	for _, at := range f.all {
		if at.drive != nil {
			open = append(open, at.drive)
			used = used || len(at.drive.Extents()) > 0 || at.drive.RootErr() != nil
		}
	}
	record, version, err := newestRoot(open)
	switch {
	case err != nil:
		return record, 0, fmt.Errorf("open store: %w", err)
	case version == 0 && used:
		return record, 0, errors.New("objects: none of the drives has a readable root record, though they hold data; bring the others back")
	case version > 0 && record.store != store:
		return record, 0, errors.New("objects: the root record is another store's")
	}
	return record, version, nil
}
