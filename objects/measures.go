package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/index"
)

// What audits, repairs and drives showed lies in the index, below these keys. All
// values are envelopes without blobs.
//
//	m/audit/<drive %05d>             the cursor of a drive's audit
//	m/durability/day/<number %08d>   the counts of one day
//	m/durability/loss/<stripe>       an open entry of the ledger of losses
const (
	auditPrefix = "m/audit/"
	dayPrefix   = "m/durability/day/"
	lossPrefix  = "m/durability/loss/"
)

// daysKept bounds the history.
const daysKept = 3 * 366

func dayKey(number int64) []byte { return fmt.Appendf(nil, "%s%08d", dayPrefix, number) }

// measures gather what is measured, and write it once in a while.
type measures struct {
	s  *Store
	mu sync.Mutex // never held across I/O

	day    durability.Day // what is not written yet
	looked time.Time      // at the drives
	states map[uint16]bool
	device map[uint16]string
}

func (m *measures) init(s *Store) {
	m.s = s
	m.states, m.device = map[uint16]bool{}, map[uint16]string{}
}

// count changes the counts of today.
func (m *measures) count(change func(*durability.Day)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.day)
}

// look notes how long drives were there, and which were lost, since the last look.
// A drive that is away for less than the time between two looks is not missed.
func (m *measures) look() {
	now := m.s.host.Clock.Now()
	here, device := map[uint16]bool{}, map[uint16]string{}
	for _, d := range m.s.drives.list() {
		state, _ := d.state()
		here[d.number], device[d.number] = d.Drive != nil && state <= DriveSlow && state != DriveFailed, d.device
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if elapsed := now.Sub(m.looked); !m.looked.IsZero() && elapsed > 0 {
		m.compare(here, uint64(min(elapsed, 2*m.s.o.AuditPause)/time.Second))
	}
	m.looked, m.states, m.device = now, here, device
}

func (m *measures) compare(here map[uint16]bool, seconds uint64) {
	all, lost := map[string]int{}, map[string]int{}
	m.day.ServingSeconds += seconds
	for number, was := range m.states {
		if !was {
			continue
		}
		device := m.device[number]
		all[device]++
		m.day.DriveSeconds += seconds
		if !here[number] {
			m.day.DriveFailures++
			lost[device]++
		}
	}
	for device, n := range all {
		m.day.DeviceSeconds += seconds
		if device != "" && n > 1 && lost[device] == n {
			m.day.DeviceFailures++
		}
	}
}

// measureLoop keeps the measures.
func (s *Store) measureLoop() {
	s.measures.look()
	for s.host.Clock.Sleep(s.life, s.o.AuditPause) == nil {
		s.measures.look()
		if err := s.measures.save(s.life); err != nil && s.life.Err() == nil {
			s.host.Log.Debug("measures not kept", "error", err)
		}
	}
}

// save adds what was counted to the day's entry. What cannot be written now is
// kept for the next time.
func (m *measures) save(ctx context.Context) error {
	m.mu.Lock()
	add := m.day
	m.day = durability.Day{}
	m.mu.Unlock()
	if add == (durability.Day{}) {
		return nil
	}
	err := m.add(ctx, add)
	if err != nil {
		m.count(func(d *durability.Day) { d.Add(&add) })
		return fmt.Errorf("keep the day's counts: %w", err)
	}
	return nil
}

func (m *measures) add(ctx context.Context, add durability.Day) error {
	number := durability.NumberOf(m.s.host.Clock.Now())
	key := dayKey(number)
	day := durability.Day{Number: number}
	guard := index.Condition{Kind: index.KeyAbsent, Key: key}
	item, err := m.s.idx.Get(ctx, key)
	switch {
	case err == nil:
		if day, err = decodeDay(item.Value); err != nil {
			return err
		}
		guard = index.Condition{Kind: index.KeyVersion, Key: key, Version: item.Version}
	case !errors.Is(err, index.ErrNotFound):
		return err
	}
	day.Add(&add)
	txn := index.Txn{Conditions: []index.Condition{guard}, Mutations: []index.Mutation{
		{Kind: index.Put, Key: key, Value: EncodeValue(nil, day.Encode())},
		{Kind: index.DeleteRange, Key: []byte(dayPrefix), End: dayKey(max(number-daysKept, 0))},
	}}
	if _, err := io.ReadFull(m.s.host.Entropy, txn.RequestID[:]); err != nil {
		return err
	}
	_, err = m.s.idx.Commit(ctx, txn)
	return err
}

func decodeDay(value []byte) (durability.Day, error) {
	_, payload, err := DecodeValue(value)
	if err != nil {
		return durability.Day{}, err
	}
	return durability.DecodeDay(payload)
}

// over adds up the days since a moment, what is not written yet among them.
func (m *measures) over(ctx context.Context, since time.Time) (durability.Day, error) {
	m.mu.Lock()
	sum := m.day
	m.mu.Unlock()
	lo := dayKey(durability.NumberOf(since))
	for item, err := range m.s.idx.Scan(ctx, lo, PrefixEnd([]byte(dayPrefix)), index.ScanOptions{}) {
		if err != nil {
			return sum, fmt.Errorf("read the days: %w", err)
		}
		day, err := decodeDay(item.Value)
		if err != nil {
			return sum, fmt.Errorf("value of key %q: %w", item.Key, err)
		}
		sum.Add(&day)
	}
	return sum, nil
}
