package objects

import "sync"

// groupedBytes go to one set of drives before small records get another one.
const groupedBytes = 8 << 20

// smallGroup is the m+1 drives that small records are written to at this moment.
// The number of syncs is what they cost: spread over all drives, many writers'
// records share few of them; gathered on m+1 drives, all share the same ones.
// After a while others have their turn, so that all drives fill alike.
type smallGroup struct {
	mu     sync.Mutex
	drives []uint16 // in distinct domains; empty before the first
	left   int64    // bytes until the next ones
}

// targets are the drives for one more record of so many bytes: fewer than m+1
// where fewer are well.
func (g *smallGroup) targets(s *Store, bytes int64) []uint16 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left -= bytes; g.left > 0 && s.drives.allWell(g.drives) {
		return g.drives
	}
	var seed [16]byte
	if s.newID(&seed) != nil {
		return nil
	}
	g.drives = s.drives.layout(false).Choose(seed, s.o.ParityShards+1, s.o.ParityShards)
	g.left = groupedBytes
	return g.drives
}

// allWell: all of them take shards.
func (d *drives) allWell(numbers []uint16) bool {
	for _, n := range numbers {
		if m := d.find(n); m == nil || !m.takes(false) {
			return false
		}
	}
	return true
}
