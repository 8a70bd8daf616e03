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

// appendAll syncs the payloads on every drive at once. It returns when each has
// answered or is late. The payloads must not change afterwards either.
func (j *Journal) appendAll(ctx context.Context, drives []Drive, id drive.Identity, payloads ...[]byte) []appended {
	out, done := make([]appended, len(drives)), make(chan struct{}, len(drives))
	for i, d := range drives {
		go func() {
			at, err := call(ctx, j, d, func(ctx context.Context) ([]drive.Address, error) {
				records := make([]drive.Record, len(payloads))
				for k, p := range payloads {
					records[k] = drive.Record{Identity: id, Payload: p}
				}
				return d.Append(ctx, drive.Journal, records)
			})
			if err == nil && len(at) != len(payloads) {
				err = fmt.Errorf("drive %d: %d addresses for %d records", d.Number(), len(at), len(payloads))
			}
			out[i] = appended{at, err}
			done <- struct{}{}
		}()
	}
	for range drives {
		<-done
	}
	return out
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
