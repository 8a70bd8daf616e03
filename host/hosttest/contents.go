package hosttest

import (
	"bytes"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

const (
	sectorBytes = 512
	pageBytes   = 8 * sectorBytes // so that a page's sectors fit the bits of a byte
)

type block [pageBytes]byte

var zeros block

// page is 4 KiB of a file. A block that disk points to never changes; live is
// changed in place only while it is not disk.
type page struct {
	live  *block // what programs read; nil: zeros
	disk  *block // what the platter holds; nil: zeros
	dirty uint8  // sectors written and not yet synced
	cut   uint8  // dirty sectors that a truncation zeroed; they survive together with it, or not
	lost  uint8  // sectors that differ on the platter though nothing will write them: their sync failed
}

// contents are the bytes of one file. Pages of zeros are absent.
type contents struct {
	mu        sync.RWMutex
	size      int64
	diskSize  int64
	sizeDirty bool
	cutTo     int64 // least size that an unsynced truncation gave; -1: none
	allocated int64 // end of what Preallocate reserved
	pages     map[int64]*page
	dirty     map[int64]struct{} // pages with dirty sectors
	deaf      bool               // writes are acknowledged and forgotten
}

func newContents() *contents {
	return &contents{cutTo: -1, pages: map[int64]*page{}, dirty: map[int64]struct{}{}}
}

func (c *contents) readAt(p []byte, off int64) (int, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := int(max(min(int64(len(p)), c.size-off), 0))
	for done := 0; done < n; {
		at := int((off + int64(done)) % pageBytes)
		part := p[done:min(n, done+pageBytes-at)]
		from := &zeros
		if pg := c.pages[(off+int64(done))/pageBytes]; pg != nil && pg.live != nil {
			from = pg.live
		}
		done += copy(part, from[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (c *contents) writeAt(p []byte, off int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if end := off + int64(len(p)); end > c.size {
		c.size, c.sizeDirty = end, true
	}
	if !c.deaf {
		c.put(p, off)
	}
}

func (c *contents) put(p []byte, off int64) {
	for len(p) > 0 {
		at := int(off % pageBytes)
		n := min(len(p), pageBytes-at)
		c.putPage(off/pageBytes, at, p[:n])
		p, off = p[n:], off+int64(n)
	}
}

func (c *contents) putPage(index int64, at int, p []byte) {
	pg := c.pages[index]
	if pg == nil {
		if bytes.Equal(p, zeros[:len(p)]) {
			return // as it was, on the platter too
		}
		pg = &page{}
		c.pages[index] = pg
	}
	pg.own()
	copy(pg.live[at:], p)
	for s := at / sectorBytes; s <= (at+len(p)-1)/sectorBytes; s++ {
		pg.dirty |= 1 << s
		pg.cut &^= 1 << s
	}
	c.dirty[index] = struct{}{}
}

// own makes live a block that may be changed.
func (pg *page) own() {
	if pg.live != nil && pg.live != pg.disk {
		return
	}
	fresh := &block{}
	if pg.live != nil {
		*fresh = *pg.live
	}
	pg.live = fresh
}

func (c *contents) truncate(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for index := range c.pages {
		at := max(size-index*pageBytes, 0)
		if at < pageBytes && c.size > index*pageBytes+at {
			c.putPage(index, int(at), zeros[at:])
			c.pages[index].cut |= 0xff << (at / sectorBytes)
		}
	}
	if size < c.size && (c.cutTo < 0 || size < c.cutTo) {
		c.cutTo = size
	}
	c.size, c.sizeDirty = size, true
	c.allocated = min(c.allocated, size)
}

func (c *contents) sync() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for index := range c.dirty {
		c.pages[index].settle()
	}
	clear(c.dirty)
	c.diskSize, c.sizeDirty, c.cutTo = c.size, false, -1
}

// settle brings the dirty sectors to the platter.
func (pg *page) settle() {
	pg.lost &^= pg.dirty
	if pg.lost == 0 {
		pg.disk = pg.live
	} else {
		pg.disk = pg.merge(pg.dirty)
	}
	pg.dirty, pg.cut = 0, 0
}

// merge is the platter's block with the given sectors as programs see them.
func (pg *page) merge(sectors uint8) *block {
	out := &block{}
	if pg.disk != nil {
		*out = *pg.disk
	}
	for s := range pageBytes / sectorBytes {
		if sectors&(1<<s) != 0 {
			copy(out[s*sectorBytes:(s+1)*sectorBytes], pg.live[s*sectorBytes:])
		}
	}
	return out
}

// failSync forgets that anything is dirty, as kernels do when a sync fails: the
// data is still read from the cache, and no later sync will write it.
func (c *contents) failSync() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for index := range c.dirty {
		pg := c.pages[index]
		pg.lost |= pg.dirty
		pg.dirty, pg.cut = 0, 0
	}
	clear(c.dirty)
	c.sizeDirty, c.cutTo = false, -1
}

// damage changes bytes on the platter and in the cache alike.
func (c *contents) damage(off, n int64, change func([]byte)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for index := off / pageBytes; index*pageBytes < off+n; index++ {
		from, to := max(off-index*pageBytes, 0), min(off+n-index*pageBytes, pageBytes)
		pg := c.pages[index]
		if pg == nil {
			pg = &page{}
			c.pages[index] = pg
		}
		same := pg.live == pg.disk
		pg.live = altered(pg.live, from, to, change)
		if same {
			pg.disk = pg.live
		} else {
			pg.disk = altered(pg.disk, from, to, change)
		}
	}
}

func altered(b *block, from, to int64, change func([]byte)) *block {
	out := &block{}
	if b != nil {
		*out = *b
	}
	change(out[from:to])
	return out
}

// crash is what a power cut leaves of the contents.
func (c *contents) crash(r *rand.Rand) *contents {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := newContents()
	for index, pg := range c.pages {
		if pg.disk != nil {
			out.pages[index] = &page{live: pg.disk, disk: pg.disk}
		}
	}
	kept, truncated := chance(r), c.cutTo >= 0 && r.IntN(2) == 0
	for _, index := range slices.Sorted(maps.Keys(c.dirty)) {
		pg := c.pages[index]
		survives := pg.dirty & bits(r, kept) &^ pg.cut
		if truncated {
			survives |= pg.cut
		}
		b := pg.merge(survives)
		out.pages[index] = &page{live: b, disk: b}
	}
	out.size = c.crashSize(r, truncated)
	out.trim()
	out.diskSize, out.allocated = out.size, min(c.allocated, max(out.size, c.diskSize))
	return out
}

// crashSize: an unsynced truncation is kept or lost as one; unsynced growth is kept,
// lost, or kept in part.
func (c *contents) crashSize(r *rand.Rand, truncated bool) int64 {
	from := c.diskSize
	if truncated {
		from = min(c.cutTo, from)
	}
	grown := c.size - from
	if !c.sizeDirty || grown <= 0 {
		return from
	}
	switch r.IntN(4) {
	case 0:
		return from
	case 1:
		return min(c.size, (from+r.Int64N(grown+1)+sectorBytes-1)/sectorBytes*sectorBytes)
	}
	return c.size
}

// trim drops what lies beyond the size.
func (c *contents) trim() {
	for index, pg := range c.pages {
		at := c.size - index*pageBytes
		switch {
		case at <= 0:
			delete(c.pages, index)
		case at < pageBytes:
			pg.live = altered(pg.live, at, pageBytes, func(b []byte) { clear(b) })
			pg.disk = pg.live
		}
	}
}

// chance is how likely each unsynced thing survives one crash: often all or none.
func chance(r *rand.Rand) float64 {
	return []float64{0, 0.1, 0.5, 0.9, 1}[r.IntN(5)]
}

func bits(r *rand.Rand, p float64) uint8 {
	var b uint8
	for i := range 8 {
		if r.Float64() < p {
			b |= 1 << i
		}
	}
	return b
}
