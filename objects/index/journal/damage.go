package journal

import "context"

// Damaged is to be called when a drive was found not to hold what it should of the
// journal. The entries that are kept are put on m+1 drives again, and what lies
// elsewhere is given back.
func (j *Journal) Damaged(ctx context.Context, drive uint16) error {
	j.mu.Lock()
	j.mu.damaged[drive]++
	j.mu.Unlock()
	return j.Reconfigure(ctx)
}
