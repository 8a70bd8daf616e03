package vectors

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tarnlake/tarn/vectors/segment"
)

// cache holds opened blocks, or where not all fit, their fronts: what scans, ranks, filters and names
// rows. Full numbers and metadata of single rows are then read where they lie.
//
// Those that were not used lately leave first. A block that is
// wanted by several at once is read once.
type cache struct {
	store    Store
	bytesMax int64
	mu       struct {
		sync.Mutex
		blocks map[blockName]*cached
		recent *list.List // of *cached; the front came, or was found in use, last
		bytes  int64
		lean   bool // only the fronts of blocks are read: whole ones did not fit
	}
}

type blockName struct {
	inc           incarnation
	segment       uint64
	neighbourhood uint32
}

type cached struct {
	name  blockName
	at    *list.Element
	held  *held         // of the part for which it was read or found last
	done  chan struct{} // closed when block or err is set
	block *segment.Block
	front int // bytes of its front
	err   error
}

func newCache(s Store, bytesMax int64) *cache {
	c := &cache{store: s, bytesMax: bytesMax}
	c.mu.blocks = map[blockName]*cached{}
	c.mu.recent = list.New()
	return c
}

// wholes is blocks for those who need all of each. What does not fit is read and not kept.
func (c *cache) wholes(ctx context.Context, parts []part) (blocks []*segment.Block, read int64, err error) {
	blocks, read, err = c.blocks(ctx, parts)
	if err != nil {
		return nil, read, err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for i, b := range blocks {
		if !b.HasVectors() {
			read += int64(parts[i].entry.Bytes)
			tasks.Go(func() (err error) {
				blocks[i], err = readBlock(ctx, c.store, &parts[i])
				return err
			})
		}
	}
	return blocks, read, tasks.Wait()
}

// blocks opens the blocks of parts, or their fronts, several at once where they must be read.
// read counts the bytes that came from the store.
func (c *cache) blocks(ctx context.Context, parts []part) (blocks []*segment.Block, read int64, err error) {
	blocks = make([]*segment.Block, len(parts))
	var missing []int
	for i := range parts {
		if blocks[i] = c.peek(&parts[i]); blocks[i] == nil {
			missing = append(missing, i)
			read += int64(parts[i].entry.Bytes)
		}
	}
	if len(missing) == 0 {
		return blocks, 0, nil
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.SetLimit(readsAtOnce)
	for _, i := range missing {
		tasks.Go(func() (err error) {
			blocks[i], err = c.block(ctx, &parts[i])
			return err
		})
	}
	return blocks, read, tasks.Wait()
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

func (c *cache) block(ctx context.Context, p *part) (*segment.Block, error) {
	for {
		it, mine := c.claim(p)
		if mine {
			return c.fill(ctx, it, p)
		}
		select {
		case <-it.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if it.err == nil {
			return it.block, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
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

func (c *cache) fill(ctx context.Context, it *cached, p *part) (*segment.Block, error) {
	c.mu.Lock()
	bytes := p.entry.Bytes
	if c.mu.lean {
		bytes = p.entry.Warm
	}
	c.mu.Unlock()
	block, err := readFront(ctx, c.store, p, bytes)
	c.mu.Lock()
	defer c.mu.Unlock()
	it.block, it.err, it.front = block, err, int(p.entry.Warm)
	close(it.done)
	if err != nil {
		c.remove(it)
		return nil, err
	}
	c.hold(it, p.held)
	c.mu.bytes += int64(block.Bytes())
	for c.mu.bytes > c.bytesMax && c.mu.recent.Len() > 1 {
		oldest := c.oldest()
		if oldest == nil || oldest == it {
			break
		}
		c.shrink(oldest)
	}
	return block, nil
}

// shrink drops all of a block but its front, or, where no more than that is there, all of it.
// It needs mu.
func (c *cache) shrink(it *cached) {
	c.mu.lean = true
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
	if 2*c.mu.bytes < c.bytesMax {
		c.mu.lean = false
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
