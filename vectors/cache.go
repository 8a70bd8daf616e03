package vectors

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/vectors/segment"
)

// cache holds opened blocks, or where not all fit, their fronts: what scans, ranks, filters and names
// rows. Full numbers and metadata of single rows are then read where they lie.
//
// Those that were not used lately leave first. A block that is
// wanted by several at once is read once.
//
// A query that misses reads fronts alone: with full numbers of a few rows that is far less than whole
// blocks are. Fronts that are used again are made whole in the background, while there is room.
type cache struct {
	store    Store
	bytesMax int64
	fronts   bool        // nothing else is ever kept
	lean     atomic.Bool // only the fronts of blocks are kept: whole ones did not fit
	wishes   chan part   // fronts to be made whole
	mu       struct {
		sync.Mutex
		blocks map[blockName]*cached
		recent *list.List // of *cached; the front came, or was found in use, last
		bytes  int64
	}
}

// wishesMax bounds the fronts that wait to be made whole; others wait until they are used once more.
const wishesMax = 1024

type blockName struct {
	inc           incarnation
	segment       uint64
	neighbourhood uint32
}

type cached struct {
	name  blockName
	at    *list.Element
	held  *held          // of the part for which it was read or found last
	done  chan struct{}  // closed when block or err is set
	block *segment.Block // guarded by the cache's lock
	first *segment.Block // that was read: for those who waited for it
	front int            // bytes of its front
	err   error
}

func newCache(s Store, bytesMax int64, fronts bool) *cache {
	c := &cache{store: s, bytesMax: bytesMax, fronts: fronts, wishes: make(chan part, wishesMax)}
	c.mu.blocks = map[blockName]*cached{}
	c.mu.recent = list.New()
	c.lean.Store(fronts)
	return c
}

// wholes is blocks for those who need all of each. What does not fit is read and not kept.
func (c *cache) wholes(ctx context.Context, parts []part) (blocks []*segment.Block, read int64, err error) {
	return c.get(ctx, parts, true)
}

// blocks opens the blocks of parts, or their fronts, several at once where they must be read.
// read counts the bytes that came from the store.
func (c *cache) blocks(ctx context.Context, parts []part) (blocks []*segment.Block, read int64, err error) {
	return c.get(ctx, parts, false)
}

func (c *cache) get(ctx context.Context, parts []part, whole bool) (blocks []*segment.Block, read int64, err error) {
	blocks = make([]*segment.Block, len(parts))
	var missing []int
	for i := range parts {
		if blocks[i] = c.peek(&parts[i]); blocks[i] == nil || whole && !blocks[i].HasVectors() {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return blocks, 0, nil
	}
	var bytes atomic.Int64
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for _, i := range missing {
		tasks.Go(func() error {
			b, n, err := c.block(ctx, &parts[i], whole)
			blocks[i] = b
			bytes.Add(int64(n))
			return err
		})
	}
	err = tasks.Wait()
	return blocks, bytes.Load(), err
}

// block is one of blocks, read where it must be.
func (c *cache) block(ctx context.Context, p *part, whole bool) (*segment.Block, int, error) {
	b, n, err := c.shared(ctx, p, whole)
	if err != nil || !whole || b.HasVectors() {
		return b, n, err
	}
	b, err = readBlock(ctx, c.store, p)
	if err == nil && !c.lean.Load() {
		c.grow(p, b)
	}
	return b, n + int(p.entry.Bytes), err
}

// makeWhole reads what is wished for until ctx ends.
func (c *cache) makeWhole(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-c.wishes:
			if front := p.held.block.Load(); front != nil && !front.HasVectors() && !c.lean.Load() {
				if b, err := readBlock(ctx, c.store, &p); err == nil { // else a query that needs it will tell
					c.grow(&p, b)
				}
			}
			p.held.wished.Store(false)
		}
	}
}

// wish asks for a front to be made whole.
func (c *cache) wish(p *part) {
	if c.lean.Load() || p.held.wished.Load() || !p.held.wished.CompareAndSwap(false, true) {
		return
	}
	select {
	case c.wishes <- *p:
	default:
		p.held.wished.Store(false)
	}
}

// grow puts a whole block in the place of its front.
func (c *cache) grow(p *part, b *segment.Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.mu.blocks[nameOf(p)]
	if it == nil || it.block == nil || it.block.HasVectors() {
		return
	}
	c.mu.bytes += int64(b.Bytes() - it.block.Bytes())
	it.block = b
	c.hold(it, p.held)
	c.fit(it)
}

func nameOf(p *part) blockName {
	return blockName{p.file.inc, p.file.seq, p.entry.Neighbourhood}
}

// peek is a block that is there already, or nil.
func (c *cache) peek(p *part) *segment.Block {
	if b := p.held.block.Load(); b != nil {
		if !p.held.used.Load() {
			p.held.used.Store(true)
		}
		if !b.HasVectors() {
			c.wish(p)
		}
		return b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	it := c.mu.blocks[nameOf(p)]
	if it == nil || it.block == nil {
		return nil
	}
	c.hold(it, p.held)
	return it.block
}

// hold makes a block found without a lock from now on. It needs mu.
func (c *cache) hold(it *cached, h *held) {
	if it.held != nil && it.held != h {
		it.held.block.Store(nil)
	}
	it.held = h
	h.used.Store(true)
	h.block.Store(it.block)
}

// shared is a block, or its front, that is read once for all who want it now. n counts what this caller read.
func (c *cache) shared(ctx context.Context, p *part, whole bool) (b *segment.Block, n int, err error) {
	for {
		it, mine := c.claim(p)
		if mine {
			return c.fill(ctx, it, p, whole)
		}
		select {
		case <-it.done:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		if it.err == nil {
			return it.first, 0, nil
		}
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		// Whoever read it failed, perhaps only because it was cancelled: try ourselves.
	}
}

// claim is the cache's item for a block; mine where the caller must fill it.
func (c *cache) claim(p *part) (it *cached, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if it := c.mu.blocks[nameOf(p)]; it != nil {
		return it, false
	}
	it = &cached{name: nameOf(p), done: make(chan struct{})}
	it.at = c.mu.recent.PushFront(it)
	c.mu.blocks[it.name] = it
	return it, true
}

func (c *cache) fill(ctx context.Context, it *cached, p *part, whole bool) (*segment.Block, int, error) {
	bytes := p.entry.Warm
	if whole && !c.lean.Load() {
		bytes = p.entry.Bytes
	}
	block, err := readFront(ctx, c.store, p, bytes)
	c.mu.Lock()
	defer c.mu.Unlock()
	it.block, it.first, it.err, it.front = block, block, err, int(p.entry.Warm)
	close(it.done)
	if err != nil {
		c.remove(it)
		return nil, 0, err
	}
	c.hold(it, p.held)
	c.mu.bytes += int64(block.Bytes())
	c.fit(it)
	return block, int(bytes), nil
}

// fit drops what is too much, but not the block that just came. It needs mu.
func (c *cache) fit(came *cached) {
	for c.mu.bytes > c.bytesMax && c.mu.recent.Len() > 1 {
		oldest := c.oldest()
		if oldest == nil || oldest == came {
			break
		}
		c.shrink(oldest)
	}
}

// shrink drops all of a block but its front, or, where no more than that is there, all of it.
// It needs mu.
func (c *cache) shrink(it *cached) {
	c.lean.Store(true)
	c.mu.bytes -= int64(it.block.Bytes())
	if it.front < it.block.Bytes() {
		if front, err := it.block.Front(it.front); err == nil {
			it.block = front
			it.held.block.Store(front)
			c.mu.bytes += int64(front.Bytes())
			c.mu.recent.MoveToFront(it.at)
			return
		}
	}
	c.remove(it)
}

// oldest is a block that was not used lately, and is not being read. Blocks in use get a second
// chance.
func (c *cache) oldest() *cached {
	for range 2 * c.mu.recent.Len() {
		at := c.mu.recent.Back()
		it := at.Value.(*cached)
		if it.block != nil && !it.held.used.Swap(false) {
			return it
		}
		c.mu.recent.MoveToFront(at)
	}
	return nil
}

func (c *cache) remove(it *cached) {
	if it.held != nil {
		it.held.block.Store(nil)
	}
	c.mu.recent.Remove(it.at)
	delete(c.mu.blocks, it.name)
}

// evict drops all blocks of an index.
func (c *cache) evict(inc incarnation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, it := range c.mu.blocks {
		if name.inc == inc && it.block != nil {
			c.mu.bytes -= int64(it.block.Bytes())
			c.remove(it)
		}
	}
	c.relax()
}

// adopt takes the blocks of a segment that was just written: a query that looks there next need not wait for a drive.
func (c *cache) adopt(s *segmentFile) {
	born := s.born
	s.born = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range born {
		p := part{s, s.entries[i], &s.held[i], s.firsts[i]}
		if c.lean.Load() {
			front, err := b.Front(int(p.entry.Warm))
			if err != nil {
				return // whoever needs it reads it
			}
			b = front
		}
		if c.mu.blocks[nameOf(&p)] == nil {
			c.keep(&p, b)
		}
	}
}

// keep puts in a block that nobody asked for yet. It needs mu.
func (c *cache) keep(p *part, b *segment.Block) {
	it := &cached{name: nameOf(p), done: make(chan struct{}), block: b, first: b, front: int(p.entry.Warm)}
	close(it.done)
	it.at = c.mu.recent.PushFront(it)
	c.mu.blocks[it.name] = it
	c.hold(it, p.held)
	c.mu.bytes += int64(b.Bytes())
	c.fit(it)
}

// leave drops the blocks that the next view of an index has no more: those of segments that were written anew.
// Who still works with the view before keeps what it holds.
func (c *cache) leave(before, next *view) {
	kept := map[*held]bool{}
	for _, h := range next.homes {
		for i := range h.parts {
			kept[h.parts[i].held] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range before.homes {
		for i := range h.parts {
			p := &h.parts[i]
			if it := c.mu.blocks[nameOf(p)]; !kept[p.held] && it != nil && it.block != nil && it.held == p.held {
				c.mu.bytes -= int64(it.block.Bytes())
				c.remove(it)
			}
		}
	}
	c.relax()
}

// relax lets whole blocks be kept again where there is much room. It needs mu.
func (c *cache) relax() {
	if !c.fronts && 2*c.mu.bytes < c.bytesMax {
		c.lean.Store(false)
	}
}

func readBlock(ctx context.Context, s Store, p *part) (*segment.Block, error) {
	return readFront(ctx, s, p, p.entry.Bytes)
}

// readFront reads the first bytes of a block.
func readFront(ctx context.Context, s Store, p *part, bytes uint32) (*segment.Block, error) {
	b := make([]byte, bytes)
	if err := s.ReadBlob(ctx, p.file.blob, b, p.entry.Offset); err != nil {
		return nil, fmt.Errorf("read neighbourhood %d in segment %d: %w", p.entry.Neighbourhood, p.file.seq, err)
	}
	block, err := segment.OpenPart(b, int(p.entry.Bytes))
	if err != nil {
		return nil, fmt.Errorf("open neighbourhood %d in segment %d: %w", p.entry.Neighbourhood, p.file.seq, err)
	}
	if block.Len() != int(p.entry.Rows) {
		return nil, fmt.Errorf("open neighbourhood %d in segment %d: %w: %d rows, the directory says %d", p.entry.Neighbourhood, p.file.seq, ErrCorrupt, block.Len(), p.entry.Rows)
	}
	if cells := segment.CellsIn(p.entry.Cells, block.Dimension()); block.Cells() != cells {
		return nil, fmt.Errorf("open neighbourhood %d in segment %d: %w: rows of %d cells, the directory has %d", p.entry.Neighbourhood, p.file.seq, ErrCorrupt, block.Cells(), cells)
	}
	return block, nil
}
