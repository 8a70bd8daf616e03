package vectors

import (
	"bytes"
	"sync"
)

// handoverBytesMax bounds what waits for the follower. What was pushed out is
// read back from the store.
const handoverBytesMax = 96 << 20

// handover passes decoded content from those who commit it to the follower of
// the same engine, so that it need not be read back. An item is found only by the
// very key and value that were committed.
type handover struct {
	mu    sync.Mutex
	items map[string]handed
	order []string // oldest first
	bytes int64
}

type handed struct {
	value   []byte
	content any
	bytes   int64
}

func newHandover() *handover { return &handover{items: map[string]handed{}} }

func (h *handover) give(key, value []byte, content any, size int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(string(key))
	h.items[string(key)] = handed{value, content, size}
	h.order = append(h.order, string(key))
	h.bytes += size
	for h.bytes > handoverBytesMax && len(h.order) > 1 {
		h.drop(h.order[0])
	}
}

// take removes what was given for key, and returns it if it was given for value.
func (h *handover) take(key, value []byte) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	it, ok := h.items[string(key)]
	if !ok {
		return nil
	}
	h.drop(string(key))
	if !bytes.Equal(it.value, value) {
		return nil
	}
	return it.content
}

func (h *handover) drop(key string) {
	it, ok := h.items[key]
	if !ok {
		return
	}
	delete(h.items, key)
	h.bytes -= it.bytes
	for i, k := range h.order {
		if k == key {
			h.order = append(h.order[:i], h.order[i+1:]...)
			break
		}
	}
}
