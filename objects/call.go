package objects

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// errLate: a drive did not answer in time. What it was given it may still use.
var errLate = errors.New("objects: the drive did not answer in time")

// call is one operation of a drive under way.
type call struct {
	s     *Store
	m     *member
	state atomic.Int32
}

const (
	callWaited = iota // for its answer
	callEnded
	callLate // nobody waits any more; the drive is slow until it comes back
)

func (s *Store) begin(m *member) *call {
	return &call{s: s, m: m}
}

// ended is called where the operation ran. It returns false when that was too late.
func (c *call) ended() bool {
	if c.state.CompareAndSwap(callWaited, callEnded) {
		return true
	}
	c.s.returned(c.m)
	return false
}

// giveUp declares the drive slow. It returns false where the answer was just given.
func (c *call) giveUp() bool {
	if !c.state.CompareAndSwap(callWaited, callLate) {
		return false
	}
	m := c.m
	m.mu.Lock()
	m.mu.late++
	if m.mu.state == DriveWell {
		m.mu.state, m.mu.reason = DriveSlow, "did not answer in time"
	}
	m.mu.Unlock()
	c.s.o.Events.driveDown(m.number, errLate)
	return true
}

// returned makes a drive well again when the last of its overdue calls came back.
func (s *Store) returned(m *member) {
	m.mu.Lock()
	m.mu.late--
	back := m.mu.late == 0 && m.mu.state == DriveSlow
	if back {
		m.mu.state, m.mu.reason = DriveWell, ""
	}
	m.mu.Unlock()
	if back {
		s.o.Events.driveBack(m.number)
		s.repairs.doubt()
	}
}

// timed runs f, which talks to a drive, and waits for it no longer than limit.
func (s *Store) timed(m *member, limit time.Duration, f func() error) error {
	c := s.begin(m)
	answer, late := make(chan error, 1), make(chan struct{})
	stop := s.host.Clock.AfterFunc(limit, func() { close(late) })
	go func() {
		err := f()
		if c.ended() {
			answer <- err
		}
	}()
	select {
	case err := <-answer:
		stop()
		return err
	case <-late:
	}
	if !c.giveUp() {
		return <-answer
	}
	return fmt.Errorf("drive %d: %w (%v)", m.number, errLate, limit)
}
