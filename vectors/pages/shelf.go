package pages

import (
	"container/list"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
)

// How long answers are kept after they were last asked for, and how many bytes of them.
const (
	Life     = 5 * time.Minute
	BytesMax = 64 << 20
)

// Shelf keeps answers of one kind.
type Shelf[Answer any] struct {
	clock host.Clock
	mu    struct { // never held across I/O
		sync.Mutex
		answers map[string]*list.Element
		recent  list.List // of *kept; the front was asked for last
		bytes   int
	}
}

type kept[Answer any] struct {
	id     string
	answer Answer
	bytes  int
	until  time.Time
}

// New makes an empty shelf.
func New[Answer any](clock host.Clock) *Shelf[Answer] {
	s := &Shelf[Answer]{clock: clock}
	s.mu.answers = map[string]*list.Element{}
	return s
}

// Keep keeps an answer in the place of any other of its id. It is false where it has more bytes
// than are kept of all.
func (s *Shelf[Answer]) Keep(id string, a Answer, bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.mu.answers[id]; at != nil {
		s.remove(at)
	}
	if bytes > BytesMax {
		return false
	}
	s.mu.answers[id] = s.mu.recent.PushFront(&kept[Answer]{id, a, bytes, s.clock.Now().Add(Life)})
	s.mu.bytes += bytes
	s.drop()
	return true
}

// drop forgets what is too old or too much. It needs mu.
func (s *Shelf[Answer]) drop() {
	now := s.clock.Now()
	for at := s.mu.recent.Back(); at != nil; at = s.mu.recent.Back() {
		if s.mu.bytes <= BytesMax && now.Before(at.Value.(*kept[Answer]).until) {
			return
		}
		s.remove(at)
	}
}

func (s *Shelf[Answer]) remove(at *list.Element) {
	k := s.mu.recent.Remove(at).(*kept[Answer])
	delete(s.mu.answers, k.id)
	s.mu.bytes -= k.bytes
}

// Find is the answer of an id, whose life begins anew.
func (s *Shelf[Answer]) Find(id string) (a Answer, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	at := s.mu.answers[id]
	if at == nil {
		return a, false
	}
	k := at.Value.(*kept[Answer])
	k.until = s.clock.Now().Add(Life)
	s.mu.recent.MoveToFront(at)
	return k.answer, true
}
