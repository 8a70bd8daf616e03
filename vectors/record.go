package vectors

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/vectors/distance"
)

// The records are the payloads of envelopes. All begin with a version byte, 1,
// and are little endian; a string or list is its length as a uvarint and its
// content; ids are 8 bytes.
const recordVersion = 1

// Bounds of what a decoder takes.
const (
	recordTextMax = 8 << 10
	recordListMax = 1 << 26
)

// writer appends the fields of a record.
type writer struct{ b []byte }

func newWriter() *writer { return &writer{b: []byte{recordVersion}} }

func (w *writer) byte(v byte)      { w.b = append(w.b, v) }
func (w *writer) u32(v uint32)     { w.b = binary.LittleEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64)     { w.b = binary.LittleEndian.AppendUint64(w.b, v) }
func (w *writer) count(n int)      { w.b = binary.AppendUvarint(w.b, uint64(n)) }
func (w *writer) text(s string)    { w.count(len(s)); w.b = append(w.b, s...) }
func (w *writer) float(f float64)  { w.u64(math.Float64bits(f)) }
func (w *writer) time(t time.Time) { w.u64(uint64(t.UnixNano())) }

func (w *writer) numbers(v []float32) {
	w.count(len(v))
	for _, x := range v {
		w.u32(math.Float32bits(x))
	}
}

// fields reads a record from its front; after the first error it yields zeros.
type fields struct {
	b   []byte
	err error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	}
	f.b = nil
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.fail("ends early")
		return nil
	}
	p := f.b[:n:n]
	f.b = f.b[n:]
	return p
}

func (f *fields) byte() byte {
	if p := f.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (f *fields) u32() uint32 {
	if p := f.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}

func (f *fields) u64() uint64 {
	if p := f.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

// count is a number of things of which each takes least bytes.
func (f *fields) count(least int) int {
	v, n := binary.Uvarint(f.b)
	if n <= 0 || v > recordListMax || v > uint64((len(f.b)-n)/least) {
		f.fail("a length is cut short or too large")
		return 0
	}
	f.b = f.b[n:]
	return int(v)
}

func (f *fields) text() string {
	n := f.count(1)
	if n > recordTextMax {
		f.fail("text of %d bytes, at most %d", n, recordTextMax)
	}
	return string(f.take(n))
}

func (f *fields) float() float64  { return math.Float64frombits(f.u64()) }
func (f *fields) time() time.Time { return time.Unix(0, int64(f.u64())).UTC() }

func (f *fields) numbers() []float32 {
	v := make([]float32, f.count(4))
	for i := range v {
		v[i] = math.Float32frombits(f.u32())
	}
	return v
}

func (f *fields) ids() []uint64 {
	v := make([]uint64, f.count(8))
	for i := range v {
		v[i] = f.u64()
	}
	return v
}

// open begins a record; what names it in errors.
func open(payload []byte, what string) *fields {
	f := &fields{b: payload}
	if v := f.byte(); f.err == nil && v != recordVersion {
		f.fail("%s record of version %d, this release knows %d", what, v, recordVersion)
	}
	return f
}

func (f *fields) end(what string) error {
	if len(f.b) > 0 {
		f.fail("%d bytes too many", len(f.b))
	}
	if f.err != nil {
		return fmt.Errorf("decode %s record: %w", what, f.err)
	}
	return nil
}

// indexRecord is what the name of an index leads to.
//
//	incarnation 8, created 8 (ns since 1970), dimension 4, metric 1, name,
//	list of non-filterable keys, 1 byte: embedder? then kind, url, model, revision, dimension 4
//	in version 2, where there are any: list of keys that are searched by words; in version 3, where one has
//	a language, that follows its key after a zero byte; in version 4, where there is a target of recall: that list,
//	which may be empty, and the target 8
type indexRecord struct {
	spec    Spec
	inc     incarnation
	created time.Time
}

func (r *indexRecord) encode() []byte {
	w := newWriter()
	w.b = append(w.b, r.inc[:]...)
	w.time(r.created)
	w.u32(uint32(r.spec.Dimension))
	w.byte(byte(r.spec.Metric))
	w.text(r.spec.Name)
	w.count(len(r.spec.NonFilterable))
	for _, k := range r.spec.NonFilterable {
		w.text(k)
	}
	if e := r.spec.Embedder; e == nil {
		w.byte(0)
	} else {
		w.byte(1)
		w.text(e.Kind)
		w.text(e.URL)
		w.text(e.Model)
		w.text(e.Revision)
		w.u32(uint32(e.Dimension))
	}
	switch {
	case r.spec.RecallTarget != 0:
		w.b[0] = indexRecordTarget
	case !slices.Equal(fieldsOf(r.spec.Texts), r.spec.Texts):
		w.b[0] = indexRecordLanguages
	case len(r.spec.Texts) > 0:
		w.b[0] = indexRecordVersion
	default:
		return w.b
	}
	w.count(len(r.spec.Texts))
	for _, k := range r.spec.Texts {
		w.text(k)
	}
	if r.spec.RecallTarget != 0 {
		w.float(r.spec.RecallTarget)
	}
	return w.b
}

// Versions of the records of indexes with text, of those with text in some language, and of those with a target of recall.
const (
	indexRecordVersion   = 2
	indexRecordLanguages = 3
	indexRecordTarget    = 4
)

func decodeIndexRecord(b []byte) (r indexRecord, err error) {
	f, texts := &fields{}, len(b) > 0 && b[0] >= indexRecordVersion && b[0] <= indexRecordTarget
	if texts {
		f.b = b[1:]
	} else {
		f = open(b, "index")
	}
	copy(r.inc[:], f.take(len(r.inc)))
	r.created = f.time()
	r.spec.Dimension = int(f.u32())
	r.spec.Metric = distance.Metric(f.byte())
	r.spec.Name = f.text()
	for range f.count(1) {
		r.spec.NonFilterable = append(r.spec.NonFilterable, f.text())
	}
	if f.byte() == 1 {
		r.spec.Embedder = &EmbedderSpec{Kind: f.text(), URL: f.text(), Model: f.text(), Revision: f.text(), Dimension: int(f.u32())}
	}
	if texts {
		for range f.count(1) {
			r.spec.Texts = append(r.spec.Texts, f.text())
		}
		if b[0] == indexRecordTarget {
			r.spec.RecallTarget = f.float()
			if f.err == nil && validateTarget(r.spec.RecallTarget, "") != nil {
				f.fail("recall of %v", r.spec.RecallTarget)
			}
		} else if len(r.spec.Texts) == 0 {
			f.fail("no text")
		}
	}
	if f.err == nil && (r.spec.Dimension < 1 || r.spec.Dimension > DimensionMax || !r.spec.Metric.Known()) {
		f.fail("dimension %d, %v", r.spec.Dimension, r.spec.Metric)
	}
	return r, f.end("index")
}

// mapping says which vector a key means: id 8, source version 16 (zero: none).
type mapping struct {
	id     uint64
	source objects.VersionID
}

func (m mapping) encode() []byte {
	w := newWriter()
	w.u64(m.id)
	w.b = append(w.b, m.source[:]...)
	return w.b
}

func decodeMapping(b []byte) (m mapping, err error) {
	f := open(b, "mapping")
	m.id = f.u64()
	copy(m.source[:], f.take(len(m.source)))
	return m, f.end("mapping")
}

// tailRecord is one push or delete: rows 4, list of superseded ids. Its envelope holds
// the blob of the frame where there are rows.
type tailRecord struct {
	rows       int
	superseded []uint64
}

func (t *tailRecord) encode() []byte {
	w := newWriter()
	w.u32(uint32(t.rows))
	w.count(len(t.superseded))
	for _, id := range t.superseded {
		w.u64(id)
	}
	return w.b
}

func decodeTailRecord(b []byte) (t tailRecord, err error) {
	f := open(b, "tail")
	t.rows = int(f.u32())
	t.superseded = f.ids()
	return t, f.end("tail")
}

// segmentRecord: bytes of header and directory 4, rows 4; in version 2, where the segment has a lexicon,
// bytes of that one's head 4. Its envelope holds the blob, and that of the lexicon.
type segmentRecord struct{ head, rows, lexicon int }

func (s segmentRecord) encode() []byte {
	w := newWriter()
	w.u32(uint32(s.head))
	w.u32(uint32(s.rows))
	if s.lexicon > 0 {
		w.b[0] = segmentRecordVersion
		w.u32(uint32(s.lexicon))
	}
	return w.b
}

const segmentRecordVersion = 2

func (s segmentRecord) blobs() int {
	if s.lexicon > 0 {
		return 2
	}
	return 1
}

func decodeSegmentRecord(b []byte) (s segmentRecord, err error) {
	if len(b) > 0 && b[0] == segmentRecordVersion {
		f := &fields{b: b[1:]}
		s.head, s.rows, s.lexicon = int(f.u32()), int(f.u32()), int(f.u32())
		if f.err == nil && s.lexicon == 0 {
			f.fail("no lexicon")
		}
		return s, f.end("segment")
	}
	f := open(b, "segment")
	s.head, s.rows = int(f.u32()), int(f.u32())
	return s, f.end("segment")
}

// neighbourhoodRecord: floor 8, centroid as a list of float32. Blocks of the
// neighbourhood count in segments from the floor on; older ones were rewritten.
type neighbourhoodRecord struct {
	floor    uint64
	centroid []float32
}

func (n *neighbourhoodRecord) encode() []byte {
	w := newWriter()
	w.u64(n.floor)
	w.numbers(n.centroid)
	return w.b
}

func decodeNeighbourhoodRecord(b []byte) (n neighbourhoodRecord, err error) {
	f := open(b, "neighbourhood")
	n.floor = f.u64()
	n.centroid = f.numbers()
	return n, f.end("neighbourhood")
}

// upkeepRecord: next segment 8, next neighbourhood 4, probes 4, recall 8 (float64),
// rows when probes were chosen 8, rows when all centroids were last made 8; in version 2, where the index was
// polished, rows when that was last done 8; in version 3, where probes were chosen by what was asked, that too, which may be
// zero, and probes of queries with a filter 4.
type upkeepRecord struct {
	nextSegment       uint64
	nextNeighbourhood uint32
	probes            int
	recall            float64
	calibratedRows    uint64
	builtRows         uint64
	polishedRows      uint64
	filtered          int // probes of queries with a filter; 0: as of others
}

func (u *upkeepRecord) encode() []byte {
	w := newWriter()
	w.u64(u.nextSegment)
	w.u32(u.nextNeighbourhood)
	w.u32(uint32(u.probes))
	w.float(u.recall)
	w.u64(u.calibratedRows)
	w.u64(u.builtRows)
	if u.polishedRows > 0 || u.filtered > 0 {
		w.b[0] = upkeepRecordPolished
		w.u64(u.polishedRows)
	}
	if u.filtered > 0 {
		w.b[0] = upkeepRecordAsked
		w.u32(uint32(u.filtered))
	}
	return w.b
}

// Versions of the records of indexes that were polished, and of those whose probes were chosen by what was asked.
const (
	upkeepRecordPolished = 2
	upkeepRecordAsked    = 3
)

func decodeUpkeepRecord(b []byte) (u upkeepRecord, err error) {
	polished := len(b) > 0 && (b[0] == upkeepRecordPolished || b[0] == upkeepRecordAsked)
	f := &fields{}
	if polished {
		f.b = b[1:]
	} else {
		f = open(b, "upkeep")
	}
	u.nextSegment = f.u64()
	u.nextNeighbourhood = f.u32()
	u.probes = int(f.u32())
	u.recall = f.float()
	u.calibratedRows = f.u64()
	u.builtRows = f.u64()
	if polished {
		u.polishedRows = f.u64()
		if b[0] == upkeepRecordAsked {
			u.filtered = int(f.u32())
		}
	}
	return u, f.end("upkeep")
}

// rowFileRecord: rows 4, first id 8, last id 8, list of runs (gap after the last
// run as a uvarint, count as a uvarint), detail. Its envelope holds the blobs. Early
// releases could write a row twice: then a run begins with the last id of the one before, which is
// a gap of 2^64-1.
type rowFileRecord struct {
	file RowFile // without its blobs
	runs []run
}

// run is consecutive ids of consecutive rows.
type run struct {
	first uint64
	count int
}

func runsOf(ids []uint64) (runs []run) {
	for _, id := range ids {
		if n := len(runs); n > 0 && runs[n-1].first+uint64(runs[n-1].count) == id {
			runs[n-1].count++
		} else {
			runs = append(runs, run{id, 1})
		}
	}
	return runs
}

// place is the row in which an id lies.
func (r *rowFileRecord) place(id uint64) (int, bool) {
	at := 0
	for _, run := range r.runs {
		if id < run.first {
			return 0, false
		}
		if id-run.first < uint64(run.count) {
			return at + int(id-run.first), true
		}
		at += run.count
	}
	return 0, false
}

func (r *rowFileRecord) encode() []byte {
	w := newWriter()
	w.u32(uint32(r.file.Rows))
	w.u64(r.file.FirstID)
	w.u64(r.file.LastID)
	w.count(len(r.runs))
	last := r.file.FirstID
	for _, run := range r.runs {
		w.b = binary.AppendUvarint(w.b, run.first-last)
		w.count(run.count)
		last = run.first + uint64(run.count)
	}
	w.text(string(r.file.Detail))
	return w.b
}

func decodeRowFileRecord(b []byte) (r rowFileRecord, err error) {
	f := open(b, "row file")
	r.file.Rows = int(f.u32())
	r.file.FirstID, r.file.LastID = f.u64(), f.u64()
	r.runs = make([]run, f.count(2))
	last, rows := r.file.FirstID, 0
	for i := range r.runs {
		gap, count := f.uvarint(), f.uvarint()
		if twice := gap == math.MaxUint64 && i > 0; !twice && gap > math.MaxUint64-last || count == 0 || count > recordListMax || last+gap > math.MaxUint64-count {
			f.fail("run %d is empty or too long", i)
			break
		}
		r.runs[i] = run{last + gap, int(count)}
		last, rows = last+gap+count, rows+int(count)
	}
	r.file.Detail = []byte(f.text())
	if f.err == nil && rows != r.file.Rows {
		f.fail("runs of %d rows, the file has %d", rows, r.file.Rows)
	}
	return r, f.end("row file")
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.fail("a number is cut short")
		return 0
	}
	f.b = f.b[n:]
	return v
}

// idsRecord: the next id that is not given away, 8.
func encodeIDs(next uint64) []byte {
	w := newWriter()
	w.u64(next)
	return w.b
}

func decodeIDs(b []byte) (uint64, error) {
	f := open(b, "ids")
	next := f.u64()
	return next, f.end("ids")
}

// encodeIDList is the content of the blob of superseded ids: the ids, 8 bytes each.
func encodeIDList(ids []uint64) []byte {
	b := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint64(b, id)
	}
	return b
}

func decodeIDList(b []byte) []uint64 {
	ids := make([]uint64, len(b)/8)
	for i := range ids {
		ids[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return ids
}
