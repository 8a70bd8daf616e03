package objects

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/durability"
)

// errJournalRot: a drive does not hold what it should of the journal.
var errJournalRot = errors.New("objects: a copy of the journal is rotten")

// mendJournal reads every copy of the journal. Where one is rotten, what is kept is put on m+1 drives again. Shards
// that are all whole are worth nothing with a journal that two more lost drives would take away.
func (s *Store) mendJournal(ctx context.Context) error {
	_, numbers, _ := s.journal.Epoch()
	for _, n := range numbers {
		m := s.drives.find(n)
		if m == nil || !m.well() {
			continue // the journal left it, or does when it can
		}
		err := s.readJournalOf(ctx, m)
		if errors.Is(err, errJournalRot) {
			s.measures.count(func(d *durability.Day) { d.Latent++ })
			s.problem(Problem{Drive: n, What: err.Error()})
			err = s.journal.Damaged(ctx, n)
			if err == nil {
				return nil // all is in new places
			}
		}
		if err != nil {
			return fmt.Errorf("mend the journal: %w", err)
		}
	}
	return nil
}

// readJournalOf verifies what a drive holds of the journal, from the device.
func (s *Store) readJournalOf(ctx context.Context, m *member) error {
	for _, e := range m.Extents() {
		if e.Class != drive.Journal {
			continue
		}
		err := s.timed(m, s.o.DriveTimeout, func() error {
			for a, err := range m.Audit(ctx, e.Number, 0) {
				if err != nil {
					return err
				}
				if a.Err != nil && !a.Trimmed {
					return fmt.Errorf("%w: drive %d, extent %d: %w", errJournalRot, m.number, e.Number, a.Err)
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, drive.ErrGone) {
			return err
		}
	}
	return nil
}
