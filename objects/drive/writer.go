package drive

import "fmt"

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
