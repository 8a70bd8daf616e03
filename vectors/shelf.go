package vectors

import (
	"container/list"
	"sync"
)

// shelf holds what questions about metadata and text need beside the blocks: opened sections of
// lexicons, and the rows that filters chose. What was not used lately leaves first; what was made by two
// at once is made twice.
type shelf struct {
	bytesMax int64
	mu       struct {
		sync.Mutex
		items  map[shelfName]*list.Element
		recent list.List // of *shelved; the front was used last
		bytes  int64
	}
}

// shelfName: what belongs to a segment, by the kind of thing and its name.
type shelfName struct {
	inc     incarnation
	segment uint64
	kind    shelfKind
	name    string
}

type shelfKind byte

const (
	shelfIDs shelfKind = iota
	shelfValues
	shelfText
	shelfMade   // a lexicon that no one has kept yet
	shelfChosen // rows that a filter chose; the name is the filter
)

type shelved struct {
	name    shelfName
	content any
	bytes   int64
}

func newShelf(bytesMax int64) *shelf {
	s := &shelf{bytesMax: bytesMax}
	s.mu.items = map[shelfName]*list.Element{}
	return s
}

func (s *shelf) get(name shelfName) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.mu.items[name]
	if at == nil {
		return nil
	}
	s.mu.recent.MoveToFront(at)
	return at.Value.(*shelved).content
}

func (s *shelf) put(name shelfName, content any, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.mu.items[name]; at != nil {
		s.remove(at)
	}
	it := &shelved{name, content, int64(bytes+len(name.name)) + 160}
	s.mu.items[name] = s.mu.recent.PushFront(it)
	s.mu.bytes += it.bytes
	for s.mu.bytes > s.bytesMax && s.mu.recent.Len() > 1 {
		s.remove(s.mu.recent.Back())
	}
}

// remove needs mu.
func (s *shelf) remove(at *list.Element) {
	it := s.mu.recent.Remove(at).(*shelved)
	delete(s.mu.items, it.name)
	s.mu.bytes -= it.bytes
}

// evict drops all that belongs to an index.
func (s *shelf) evict(inc incarnation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, at := range s.mu.items {
		if name.inc == inc {
			s.remove(at)
		}
	}
}
