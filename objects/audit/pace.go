package audit

import "time"

// Schedule says when bytes are due.
type Schedule struct {
	Every time.Duration // in which every byte is read once
	Least int64         // bytes a second, however little there is to read
	Most  int64         // bytes a second, however late it is
}

// slack is the part of the time in which a pass shall be done, so that one that
// was held up is still in time.
const slack = 0.75

// Rate is how many bytes a second to read now, of a drive that holds total bytes.
// A pass that was away for a while catches up.
func (s Schedule) Rate(c *Cursor, now time.Time, total int64) int64 {
	left := max(total-c.Bytes, 0)
	due := c.Began.Add(time.Duration(slack * float64(s.Every)))
	seconds := max(due.Sub(now).Seconds(), 1)
	return min(max(int64(float64(left)/seconds), s.Least), s.Most)
}

// Next is when the pass after the last one begins.
func (s Schedule) Next(c *Cursor) time.Time {
	if c.LastBegan.IsZero() {
		return time.Time{}
	}
	return c.LastBegan.Add(time.Duration(slack * float64(s.Every)))
}
