package drive

import "fmt"

const classes = int(Joint) + 1

// bufferBytes is what a writer's buffer holds at first: memory of this size lies on a page of its own.
const bufferBytes = 64 << 10

// writer is the one goroutine that appends to the extents of one class. Those of
// the other classes sync theirs at the same time.
type writer struct {
	drive  *Drive
	class  Class
	active *extent
	latest uint32 // number of the extent begun last in this session
	next   uint64 // sequence of the next record
	acked  uint64 // highest acknowledged sequence
	buffer []byte // of small records on their way
	items  []item // likewise
}

func (d *Drive) startWriters(session uint64) {
	for class := Journal; class <= Joint; class++ {
		w := &writer{drive: d, class: class, next: session<<sessionShift | 1, buffer: make([]byte, 0, bufferBytes)}
		d.writing.Go(w.run)
	}
	d.spares.start(d)
}

func (w *writer) run() {
	q := w.drive.queues[w.class]
	for batch := q.take(); len(batch) > 0; batch = q.take() {
		w.commit(batch)
	}
	w.seal()
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
func (w *writer) commit(requests []*request) {
	items, seal := w.flatten(requests)
	var err error
	for len(items) > 0 && err == nil {
		n := 0
		if n, err = w.commitSome(items); err == nil {
			items = items[n:]
		}
	}
	if seal {
		w.seal()
	}
	for _, r := range requests {
		if r.left > 0 {
			r.finish(err)
		} else {
			r.finish(nil)
		}
	}
	clear(w.items) // they hold their callers' payloads
}

func (w *writer) flatten(requests []*request) (items []item, seal bool) {
	items = w.items[:0]
	for _, r := range requests {
		seal = seal || len(r.records) == 0
		for i := range r.records {
			items = append(items, item{r, i})
		}
	}
	w.items = items
	return items, seal
}

// commitSome makes durable as many of the items as fit the active extent.
func (w *writer) commitSome(items []item) (int, error) {
	if err := w.drive.failed(); err != nil {
		return 0, err
	}
	e, err := w.roomFor(items[0].bytes())
	if err != nil {
		return 0, w.report(err)
	}
	n, end := fitting(items, e.used, w.drive.limit(e))
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

func fitting(items []item, used, limit int64) (n int, end int64) {
	end = used
	for n < len(items) && end+items[n].bytes() <= limit {
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
		h := head{class: e.class, sequence: w.next, acknowledged: w.acked, identity: it.record().Identity}
		w.next++
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

func (w *writer) acknowledge(e *extent, items []item, end int64) {
	bytes := end - e.used
	w.acked = w.next - 1
	e.records += uint64(len(items))
	for _, it := range items {
		it.request.left--
	}
	d := w.drive
	d.mu.Lock()
	e.used, e.proven, d.full, d.failures = end, w.acked, nil, 0
	d.mu.Unlock()
	if e.fixed {
		d.spares.consumed(bytes)
	}
	if d.options.Events.Committed != nil {
		d.options.Events.Committed(e.class, len(items), bytes)
	}
}
