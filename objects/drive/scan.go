package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Found is one thing that a Scan met.
type Found struct {
	Address  Address
	Identity Identity
	Sequence uint64
	Payload  []byte // valid until the next step
	// Err: there were acknowledged records here, and they do not verify or cannot be
	// read. Identity and Sequence are set where the header still tells them.
	Err error
	// Session of the drive in which the record was written. Of an extent that tells nothing of itself, Address.Sector is 0, and
	// what it held was written in sessions before this one; 0: nobody knows when.
	Session uint64
}

// Scan yields every record of a class in the order of writing, verified. It goes on
// after rot, which it yields as a Found with an error; torn remains of what was never
// acknowledged are passed over. Records appended after the call may be missing. An
// error ends it.
func (d *Drive) Scan(ctx context.Context, class Class) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		var buffer []byte
		for _, e := range d.snapshot(class) {
			if !d.scanExtent(ctx, &e, &buffer, yield) {
				return
			}
		}
	}
}

// snapshot copies what a scan needs of the class's extents, oldest first.
func (d *Drive) snapshot(class Class) []extent {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var out []extent
	for _, e := range d.extents {
		if e.class == class || e.unread != nil {
			out = append(out, extent{number: e.number, generation: e.generation, class: e.class, base: e.base, order: e.order, used: e.used, proven: e.proven, unread: e.unread, until: e.until})
		}
	}
	slices.SortFunc(out, func(a, b extent) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.number, b.number))
	})
	return out
}

// scanExtent reports whether the scan goes on.
func (d *Drive) scanExtent(ctx context.Context, e *extent, buffer *[]byte, yield func(Found, error) bool) bool {
	if e.unread != nil {
		return yield(Found{Address: e.address(0), Err: e.unread, Session: e.until}, nil)
	}
	h, err := d.files.acquire(e.number)
	if err != nil {
		return d.unopened(e, err, yield)
	}
	defer d.files.release(h)
	w := &walker{file: h.file, drive: d.header.Drive, extent: e, off: firstRecord, end: e.used, buffer: (*buffer)[:0]}
	defer func() { *buffer = w.buffer }()
	last := max(e.base, 1) - 1
	for s, ok := w.next(); ok; s, ok = w.next() {
		if err := ctx.Err(); err != nil {
			yield(Found{}, err)
			return false
		}
		if s.err != nil && d.gone(e) {
			return true // removed since the scan began, and perhaps used again
		}
		f, counts := d.found(e, s, &last)
		if counts && !yield(f, nil) {
			return false
		}
	}
	return true
}

func (d *Drive) unopened(e *extent, err error, yield func(Found, error) bool) bool {
	_, gone := d.lookup(e.address(firstRecord))
	switch {
	case errors.Is(gone, ErrGone):
		return true // removed since the scan began
	case errors.Is(gone, ErrClosed):
		yield(Found{}, ErrClosed)
		return false
	}
	return yield(Found{Address: e.address(0), Err: fmt.Errorf("open extent %d: %w", e.number, err)}, nil)
}

// gone: the extent is not what it was when the scan began.
func (d *Drive) gone(e *extent) bool {
	_, err := d.lookup(e.address(firstRecord))
	return errors.Is(err, ErrGone)
}

// found judges a step: a bad one counts only where something acknowledged was lost.
func (d *Drive) found(e *extent, s step, last *uint64) (f Found, counts bool) {
	f = Found{Address: e.address(s.off), Err: s.err}
	lost := *last + 1 // the first sequence that may lie here
	if s.known {
		f.Identity, f.Sequence, f.Session = s.head.identity, s.head.sequence, s.head.sequence>>sessionShift
		lost, *last = s.head.sequence, s.head.sequence
	}
	if s.err == nil {
		f.Payload = s.payload
		return f, true
	}
	f.Err = fmt.Errorf("scan %s at %s: %w", d.dir, f.Address, s.err)
	if lost > e.proven {
		return f, false
	}
	d.tellCorrupt(f.Address, f.Err)
	return f, true
}
