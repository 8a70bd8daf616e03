package drive

import (
	"container/list"
	"errors"
	"io"
	"sync"

	"github.com/tarnlake/tarn/host"
)

// files keeps a bounded number of extents open for readers. One that is in use
// stays open until its last user lets it go.
type files struct {
	limit int
	open  func(number uint32) (host.File, error)

	mu     sync.Mutex // never held across I/O
	byName map[uint32]*handle
	recent *list.List // of *handle, most recently used first
	closed bool
}

type handle struct {
	number uint32
	file   host.File
	users  int
	gone   bool // no longer in the cache; the last user closes it
	at     *list.Element

	opening sync.Once
	direct  host.ReaderAtCloser // past the operating system's memory; nil: not needed yet, or no such way
}

// pastMemory gives a way to read that leaves no copy in the operating system's memory,
// or else the file.
func (h *handle) pastMemory() io.ReaderAt {
	h.opening.Do(func() { h.direct = host.DirectReader(h.file) })
	if h.direct == nil {
		return h.file
	}
	return h.direct
}

// close is called when nobody uses the handle any more.
func (h *handle) close() error {
	if h.direct == nil {
		return h.file.Close()
	}
	return errors.Join(h.direct.Close(), h.file.Close())
}

func newFiles(limit int, open func(uint32) (host.File, error)) *files {
	return &files{limit: limit, open: open, byName: map[uint32]*handle{}, recent: list.New()}
}

// acquire gives a handle that must be released.
func (c *files) acquire(number uint32) (*handle, error) {
	if h := c.cached(number); h != nil {
		return h, nil
	}
	f, err := c.open(number)
	if err != nil {
		return nil, err
	}
	h, out := c.insert(&handle{number: number, file: f, users: 1})
	for _, old := range out {
		_ = old.close() // opened for reading only
	}
	if h == nil {
		return nil, ErrClosed
	}
	return h, nil
}

func (c *files) cached(number uint32) *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.byName[number]
	if h != nil {
		h.users++
		c.recent.MoveToFront(h.at)
	}
	return h
}

// insert returns the handle to use, and those that are to be closed.
func (c *files) insert(h *handle) (*handle, []*handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, []*handle{h}
	}
	if other := c.byName[h.number]; other != nil { // another reader was faster
		other.users++
		return other, []*handle{h}
	}
	c.byName[h.number] = h
	h.at = c.recent.PushFront(h)
	var out []*handle
	for e := c.recent.Back(); e != nil && c.recent.Len() > c.limit; {
		old := e.Value.(*handle)
		e = e.Prev()
		if old.users == 0 {
			c.forget(old)
			out = append(out, old)
		}
	}
	return h, out
}

func (c *files) forget(h *handle) {
	h.gone = true
	delete(c.byName, h.number)
	c.recent.Remove(h.at)
}

func (c *files) release(h *handle) {
	c.mu.Lock()
	h.users--
	last := h.gone && h.users == 0
	c.mu.Unlock()
	if last {
		_ = h.close()
	}
}

// drop closes an extent's file as soon as nobody uses it.
func (c *files) drop(number uint32) error {
	c.mu.Lock()
	h := c.byName[number]
	if h == nil {
		c.mu.Unlock()
		return nil
	}
	c.forget(h)
	idle := h.users == 0
	c.mu.Unlock()
	if idle {
		return h.close()
	}
	return nil
}

func (c *files) close() error {
	c.mu.Lock()
	c.closed = true
	var numbers []uint32
	for n := range c.byName {
		numbers = append(numbers, n)
	}
	c.mu.Unlock()
	var err error
	for _, n := range numbers {
		err = errors.Join(err, c.drop(n))
	}
	return err
}
