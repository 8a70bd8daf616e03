package index

import (
	"errors"
	"fmt"
)

// conditionsMax bounds conditions, guards and mutations together.
const conditionsMax = 2 * MutationsMax

// ErrMalformed: a transaction that no index can take, whatever its state: an
// unknown kind, an empty key, or a field that the kind does not have.
var ErrMalformed = errors.New("index: malformed transaction")

func (t *Txn) check() error {
	if len(t.Mutations) > MutationsMax {
		return fmt.Errorf("%w: %d mutations, at most %d", ErrTooLarge, len(t.Mutations), MutationsMax)
	}
	var size tally
	for i := range t.Conditions {
		if err := size.condition(&t.Conditions[i]); err != nil {
			return fmt.Errorf("condition %d: %w", i, err)
		}
	}
	for i := range t.Mutations {
		if err := size.mutation(&t.Mutations[i]); err != nil {
			return fmt.Errorf("mutation %d: %w", i, err)
		}
	}
	return size.check()
}

// tally adds up what a transaction brings.
type tally struct {
	parts int // conditions, guards and mutations
	bytes int
}

func (s *tally) check() error {
	if s.parts > conditionsMax {
		return fmt.Errorf("%w: %d conditions, guards and mutations, at most %d", ErrTooLarge, s.parts, conditionsMax)
	}
	if s.bytes > EntryBytesMax {
		return fmt.Errorf("%w: %d bytes of keys and values, at most %d", ErrTooLarge, s.bytes, EntryBytesMax)
	}
	return nil
}

func (s *tally) keys(keys ...[]byte) error {
	s.parts++
	for _, k := range keys {
		if len(k) > KeyBytesMax {
			return fmt.Errorf("%w: key of %d bytes, at most %d", ErrTooLarge, len(k), KeyBytesMax)
		}
		s.bytes += len(k)
	}
	return nil
}

func (s *tally) condition(c *Condition) error {
	if c.Kind < KeyAbsent || c.Kind > RangeEmpty {
		return fmt.Errorf("%w: condition of kind %d", ErrMalformed, c.Kind)
	}
	if c.Version != 0 && c.Kind != KeyVersion {
		return fmt.Errorf("%w: version in a condition of kind %d", ErrMalformed, c.Kind)
	}
	if err := checkKeys(c.Key, c.End, c.Kind == RangeEmpty); err != nil {
		return err
	}
	return s.keys(c.Key, c.End)
}

func (s *tally) mutation(m *Mutation) error {
	if m.Kind < Put || m.Kind > DeleteRange {
		return fmt.Errorf("%w: mutation of kind %d", ErrMalformed, m.Kind)
	}
	if len(m.Value) > 0 && m.Kind != Put {
		return fmt.Errorf("%w: value in a mutation of kind %d", ErrMalformed, m.Kind)
	}
	if m.Moved && m.Kind != Put {
		return fmt.Errorf("%w: mutation of kind %d is moved", ErrMalformed, m.Kind)
	}
	if err := checkKeys(m.Key, m.End, m.Kind == DeleteRange); err != nil {
		return err
	}
	s.bytes += len(m.Value)
	if err := s.keys(m.Key, m.End); err != nil || m.Guard == nil {
		return err
	}
	if err := s.condition(m.Guard); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

func checkKeys(key, end []byte, ranged bool) error {
	if ranged {
		return nil
	}
	if len(key) == 0 {
		return fmt.Errorf("%w: empty key", ErrMalformed)
	}
	if len(end) > 0 {
		return fmt.Errorf("%w: end without a range", ErrMalformed)
	}
	return nil
}
