package objects

import "sync/atomic"

// Memory that large bodies may take in all, each way, beside the pool of stripes.
// With many of them at once each works with less at a time.
const (
	gatherBytesMax = 48 << 20 // of bodies being gathered
	aheadBytesMax  = 64 << 20 // of what is read ahead; as much again is being handed on
	shareBytesMin  = 256 << 10
)

// share divides memory among those who are at work.
type share struct {
	bytes int64
	users atomic.Int64
}

func (s *share) enter() { s.users.Add(1) }
func (s *share) leave() { s.users.Add(-1) }

// each is what one may take at this moment: at most most, and always enough to go on.
func (s *share) each(most int) int {
	part := s.bytes / max(s.users.Load(), 1)
	return int(min(max(part, shareBytesMin), int64(most)))
}
