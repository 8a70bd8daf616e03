package journal

import (
	"context"
	"fmt"

	"github.com/tarnlake/tarn/objects/drive"
)

// errand is one call to a drive.
type errand struct{ ended, abandoned bool } // both guarded by Journal.mu

// call runs f on a drive and waits for it at most DriveTimeout. f may go on
// after that: it must not share what its caller reads, and until it ends its drive
// counts as hung. Once begun it does not end with ctx: an append that was cut off
// would only cost an epoch.
func call[T any](ctx context.Context, j *Journal, d Drive, f func(ctx context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	answers, late, e := make(chan answer, 1), make(chan struct{}), &errand{}
	stop := j.o.Host.Clock.AfterFunc(j.o.DriveTimeout, func() { close(late) })
	j.tasks.Add(1)
	go func() {
		defer j.tasks.Done()
		defer cancel()
		v, err := f(ctx)
		j.ended(d, e)
		answers <- answer{v, err}
	}()
	select {
	case a := <-answers:
		stop()
		return a.value, a.err
	case <-late:
		cancel()
		j.abandon(d, e)
		var none T
		return none, fmt.Errorf("drive %d: %w: no answer in %v", d.Number(), ErrSlow, j.o.DriveTimeout)
	}
}

func (j *Journal) abandon(d Drive, e *errand) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !e.ended {
		e.abandoned = true
		j.mu.hung[d.Number()]++
	}
}

func (j *Journal) ended(d Drive, e *errand) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.ended = true
	if !e.abandoned {
		return
	}
	if j.mu.hung[d.Number()]--; j.mu.hung[d.Number()] == 0 {
		delete(j.mu.hung, d.Number())
	}
}

// drain waits until no call is under way, at most DriveTimeout.
func (j *Journal) drain() {
	done, late := make(chan struct{}), make(chan struct{})
	stop := j.o.Host.Clock.AfterFunc(j.o.DriveTimeout, func() { close(late) })
	defer stop()
	go func() {
		j.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-late:
	}
}

// appended is what became of one drive's part of an append.
type appended struct {
	at  []drive.Address
	err error
}

// queued is a drive that calls back when records are synced, so that no goroutine
// waits for it.
type queued interface {
	Begin(class drive.Class, records []drive.Record, then func([]drive.Address, error)) error
}

// appendAll syncs the payloads on every drive at once. It returns when each has
// answered or is late. The payloads must not change afterwards either.
func (j *Journal) appendAll(ctx context.Context, drives []Drive, id drive.Identity, payloads ...[]byte) []appended {
	records := make([]drive.Record, len(payloads))
	for k, p := range payloads {
		records[k] = drive.Record{Identity: id, Payload: p}
	}
	type answer struct {
		drive int
		appended
	}
	answers, late := make(chan answer, len(drives)), make(chan struct{})
	stop := j.o.Host.Clock.AfterFunc(j.o.DriveTimeout, func() { close(late) })
	defer stop()
	errands, out := make([]*errand, len(drives)), make([]appended, len(drives))
	for i, d := range drives {
		errands[i] = j.append(ctx, d, records, func(at []drive.Address, err error) { answers <- answer{i, appended{at, err}} })
	}
	waiting := len(drives)
	for waiting > 0 && late != nil {
		select {
		case a := <-answers:
			out[a.drive], errands[a.drive] = a.appended, nil
			waiting--
		case <-late:
			late = nil
		}
	}
	for i, e := range errands {
		if e != nil {
			j.abandon(drives[i], e)
			out[i].err = fmt.Errorf("drive %d: %w: no answer in %v", drives[i].Number(), ErrSlow, j.o.DriveTimeout)
		}
	}
	return out
}

// append has a drive append records. then is called once, when it ends.
func (j *Journal) append(ctx context.Context, d Drive, records []drive.Record, then func([]drive.Address, error)) *errand {
	e := &errand{}
	j.tasks.Add(1)
	end := func(at []drive.Address, err error) {
		if err == nil && len(at) != len(records) {
			err = fmt.Errorf("drive %d: %d addresses for %d records", d.Number(), len(at), len(records))
		}
		j.ended(d, e)
		then(at, err)
		j.tasks.Done()
	}
	if q, ok := d.(queued); ok && q.Begin(drive.Journal, records, end) == nil {
		return e
	}
	go func() {
		at, err := d.Append(context.WithoutCancel(ctx), drive.Journal, records)
		end(at, err)
	}()
	return e
}

// failure notes the drives that failed in an append. It returns the first error, or nil.
func (j *Journal) failure(drives []Drive, results []appended) error {
	var first error
	for i, r := range results {
		if r.err == nil {
			continue
		}
		n := drives[i].Number()
		j.write.excluded[n] = true
		j.o.Events.driveFailed(n, r.err)
		if first == nil {
			first = fmt.Errorf("append to drive %d: %w", n, r.err)
		}
	}
	return first
}

// place is the address of the k-th payload on every drive.
func place(results []appended, k int) []drive.Address {
	at := make([]drive.Address, len(results))
	for i, r := range results {
		at[i] = r.at[k]
	}
	return at
}
