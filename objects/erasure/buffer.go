package erasure

import (
	"context"
	"sync"
)

// Pool lends a bounded number of Buffers and keeps their memory.
type Pool struct {
	code       *Code
	shardBytes int
	tokens     chan struct{}
	mu         sync.Mutex
	free       [][]byte // at most cap(tokens)
}

// NewPool lends at most count buffers at once, each for a stripe of code whose
// shards have at most shardBytes.
func NewPool(code *Code, shardBytes, count int) *Pool {
	return &Pool{code: code, shardBytes: shardBytes, tokens: make(chan struct{}, max(count, 1))}
}

// Buffer is room for one stripe. It ends with Release or Abandon.
type Buffer struct {
	pool   *Pool
	memory []byte
}

// Get waits for a buffer, or until ctx ends.
func (p *Pool) Get(ctx context.Context) (*Buffer, error) {
	select {
	case p.tokens <- struct{}{}:
	default:
		select {
		case p.tokens <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &Buffer{pool: p, memory: p.take()}, nil
}

func (p *Pool) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, p.code.Shards()*p.shardBytes)
}

// Payload is room for n bytes, at most the data shards' together.
func (b *Buffer) Payload(n int) []byte { return b.memory[: n : b.pool.code.k*b.pool.shardBytes] }

// Shards cuts the buffer into the k+m shards of the payload of n bytes that was
// written to Payload(n), and pads the data with zeros. Parity is left to Encode.
func (b *Buffer) Shards(n int) [][]byte {
	c := b.pool.code
	size := c.ShardBytes(n)
	clear(b.memory[n : c.k*size])
	shards := make([][]byte, c.Shards())
	for i := range shards {
		shards[i] = b.memory[i*size : (i+1)*size : (i+1)*size]
	}
	return shards
}

// Release gives the buffer back, memory and all.
func (b *Buffer) Release() {
	b.pool.mu.Lock()
	b.pool.free = append(b.pool.free, b.memory)
	b.pool.mu.Unlock()
	b.end()
}

// Abandon gives up the memory, which somebody may still be reading, such as a
// drive that hangs. The pool makes new memory in its place.
func (b *Buffer) Abandon() { b.end() }

func (b *Buffer) end() {
	b.memory = nil
	<-b.pool.tokens
}
