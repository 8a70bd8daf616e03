package drive

import (
	"errors"
	"fmt"

	"github.com/tarnlake/tarn/host"
)

// failuresMax failed groups one after another end the write side.
const failuresMax = 3

const classes = int(Stripe) + 1

// writer is the one goroutine that appends to the drive's extents.
type writer struct {
	drive    *Drive
	active   [classes]*extent
	latest   [classes]uint32 // number of the extent made last in this session
	next     [classes]uint64 // sequence of the next record
	acked    [classes]uint64 // highest acknowledged sequence
	failures int             // groups, since the last that went well
	buffer   []byte          // of small records on their way
}

func (d *Drive) startWriter(session uint64) {
	w := &writer{drive: d}
	for c := range w.next {
		w.next[c] = session<<sessionShift | 1
	}
	d.writing.Go(w.run)
}

func (w *writer) run() {
	for batch := w.drive.queue.take(); len(batch) > 0; batch = w.drive.queue.take() {
		for class := Journal; class <= Stripe; class++ {
			w.commit(class, ofClass(batch, class))
		}
	}
	for class := Journal; class <= Stripe; class++ {
		w.seal(class)
	}
}

func ofClass(batch []*request, class Class) []*request {
	var out []*request
	for _, r := range batch {
		if r.class == class {
			out = append(out, r)
		}
	}
	return out
}

// item is one record of a request.
type item struct {
	request *request
	index   int
}

func (it item) record() *Record { return &it.request.records[it.index] }

func (it item) bytes() int64 { return recordBytes(len(it.record().Payload)) }

// commit writes the records of the requests in their order, with one sync for
// each extent that they reach, and finishes all requests.
func (w *writer) commit(class Class, requests []*request) {
	items, seal := flatten(requests)
	var err error
	for len(items) > 0 && err == nil {
		n := 0
		if n, err = w.commitSome(class, items); err == nil {
			items = items[n:]
		}
	}
	if seal {
		w.seal(class)
	}
	for _, r := range requests {
		if r.left > 0 {
			r.finish(err)
		} else {
			r.finish(nil)
		}
	}
}

func flatten(requests []*request) (items []item, seal bool) {
	for _, r := range requests {
		seal = seal || len(r.records) == 0
		for i := range r.records {
			items = append(items, item{r, i})
		}
	}
	return items, seal
}

// commitSome makes durable as many of the items as fit the active extent.
func (w *writer) commitSome(class Class, items []item) (int, error) {
	if err := w.drive.failed(); err != nil {
		return 0, err
	}
	e, err := w.roomFor(class, items[0].bytes())
	if err != nil {
		return 0, w.report(err)
	}
	n, end := fitting(items, e.used, w.drive.options.ExtentBytes)
	if err := w.drive.prepare(e, end+SectorBytes); err != nil { // room for the seal too
		return 0, w.report(w.end(e, err, "prepare"))
	}
	if err := w.write(e, items[:n]); err != nil {
		return 0, w.report(w.abandon(e, err))
	}
	if err := e.file.SyncData(); err != nil {
		return 0, w.report(w.retire(e, fmt.Errorf("sync extent %d: %w", e.number, err)))
	}
	w.acknowledge(e, items[:n], end)
	return n, nil
}

func fitting(items []item, used, extentBytes int64) (n int, end int64) {
	end = used
	for n < len(items) && end+items[n].bytes() <= extentBytes-SectorBytes {
		end += items[n].bytes()
		n++
	}
	return n, end
}

// write puts the records behind the extent's end: small ones gathered into one
// write, large payloads from where they lie.
func (w *writer) write(e *extent, items []item) error {
	r := run{file: e.file, at: e.used, buffer: w.buffer[:0]}
	defer func() { w.buffer = r.buffer }()
	for _, it := range items {
		h := head{class: e.class, sequence: w.next[e.class], acknowledged: w.acked[e.class], identity: it.record().Identity}
		w.next[e.class]++
		it.request.addresses[it.index] = e.address(r.end())
		if err := r.add(e.place(w.drive.header.Drive, r.end()), h, it.record().Payload); err != nil {
			return fmt.Errorf("write extent %d: %w", e.number, err)
		}
	}
	if err := r.flush(); err != nil {
		return fmt.Errorf("write extent %d: %w", e.number, err)
	}
	return nil
}

// run is a stretch of an extent being written front to back.
type run struct {
	file   host.File
	at     int64 // offset at which buffer begins
	buffer []byte
}

func (r *run) end() int64 { return r.at + int64(len(r.buffer)) }

func (r *run) add(p place, h head, payload []byte) error {
	r.buffer = appendHead(r.buffer, p, h, payload)
	if len(payload) < pieceBytes {
		r.buffer = append(r.buffer, payload...)
		r.pad()
		return nil
	}
	if err := r.flush(); err != nil {
		return err
	}
	if _, err := r.file.WriteAt(payload, r.at); err != nil {
		return err
	}
	r.at += int64(len(payload))
	r.pad()
	return nil
}

// pad fills up the sector.
func (r *run) pad() {
	r.buffer = append(r.buffer, zeroSector[:sectorsOf(r.end())-r.end()]...)
}

var zeroSector [SectorBytes]byte

func (r *run) flush() error {
	if len(r.buffer) == 0 {
		return nil
	}
	if _, err := r.file.WriteAt(r.buffer, r.at); err != nil {
		return err
	}
	r.at, r.buffer = r.end(), r.buffer[:0]
	return nil
}

func (w *writer) acknowledge(e *extent, items []item, end int64) {
	bytes := end - e.used
	w.acked[e.class] = w.next[e.class] - 1
	e.records += uint64(len(items))
	for _, it := range items {
		it.request.left--
	}
	w.failures = 0
	d := w.drive
	d.mu.Lock()
	e.used, e.proven, d.full = end, w.acked[e.class], nil
	d.mu.Unlock()
	if d.options.Events.Committed != nil {
		d.options.Events.Committed(e.class, len(items), bytes)
	}
}

// report counts failures and turns them into what the callers branch on.
func (w *writer) report(err error) error {
	d := w.drive
	if isNoSpace(err) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.full = fmt.Errorf("%w: %w", ErrFull, err)
		return d.full
	}
	if w.failures++; w.failures < failuresMax {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = fmt.Errorf("%w %d times, at last: %w", ErrFailed, w.failures, err)
	return d.failure
}

func (d *Drive) failed() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.failure
}

// end handles a failure before any record was written: without space the extent stays as it is.
func (w *writer) end(e *extent, err error, attempted string) error {
	err = fmt.Errorf("%s extent %d: %w", attempted, e.number, err)
	if isNoSpace(err) {
		return err
	}
	return w.retire(e, err)
}

// abandon handles a failed write. Without space, and before any sync, the extent can
// be sealed at its last acknowledged end; otherwise it is retired.
func (w *writer) abandon(e *extent, err error) error {
	if isNoSpace(err) {
		w.sealExtent(e) // a stub if it is empty: remains of the write must not show behind later records
		return err
	}
	return w.retire(e, err)
}

// retire ends an extent of which nothing that was not acknowledged can be trusted.
// It is never written or synced again.
func (w *writer) retire(e *extent, err error) error {
	w.active[e.class] = nil
	d := w.drive
	d.mu.Lock()
	e.active, e.retired = false, err
	d.mu.Unlock()
	_ = e.file.Close() // nothing unsynced of it counts
	e.file = nil
	d.log.Warn("extent retired", "drive", d.dir, "extent", e.number, "error", err)
	if d.options.Events.Retired != nil {
		d.options.Events.Retired(e.number, err)
	}
	return err
}

// seal ends the active extent of a class where it has records.
func (w *writer) seal(class Class) {
	if e := w.active[class]; e != nil && (e.used > firstRecord || w.drive.isClosed()) {
		w.sealExtent(e)
	}
}

func (w *writer) sealExtent(e *extent) {
	d := w.drive
	if err := d.sealFile(e, seal{proven: e.proven, records: e.records}); err != nil {
		_ = w.retire(e, fmt.Errorf("seal extent %d: %w", e.number, err))
		return
	}
	w.active[e.class] = nil
	d.mu.Lock()
	defer d.mu.Unlock()
	e.active, e.file = false, nil
}

func (d *Drive) isClosed() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.closed
}

// sealFile cuts what was prepared ahead and ends the file with its seal. An extent
// without records becomes a stub: its header alone, which keeps its number taken.
func (d *Drive) sealFile(e *extent, s seal) error {
	end := e.used
	if e.used > firstRecord {
		if _, err := e.file.WriteAt(encodeSeal(s, e, d.header.Drive, e.used), e.used); err != nil {
			return err
		}
		end += SectorBytes
	}
	if err := truncate(e.file, end); err != nil {
		return err
	}
	return errors.Join(e.file.SyncData(), e.file.Close())
}
