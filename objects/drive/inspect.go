package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tarnlake/tarn/host"
)

// Inspection is one thing that lies in a file of a drive.
type Inspection struct {
	Offset       int64     `json:"offset"`
	Kind         string    `json:"kind"`  // header, root, extent, record, stretch, seal, rest
	State        string    `json:"state"` // sound, rot, torn, unsealed, zeros
	Class        string    `json:"class,omitempty"`
	Extent       uint32    `json:"extent,omitempty"`
	Generation   uint32    `json:"generation,omitempty"`
	Sequence     uint64    `json:"sequence,omitempty"`
	Acknowledged uint64    `json:"acknowledged,omitempty"` // highest sequence that was, when this was written
	Stripe       string    `json:"stripe,omitempty"`       // hex
	Shard        int       `json:"shard"`
	Bytes        int64     `json:"bytes,omitempty"` // of the payload
	Drive        string    `json:"drive,omitempty"`
	Store        string    `json:"store,omitempty"`
	Number       uint16    `json:"number,omitempty"`
	Version      uint64    `json:"version,omitempty"`
	Created      time.Time `json:"created,omitzero"`
	Detail       string    `json:"detail,omitempty"`

	Payload []byte `json:"-"` // of a record; valid until the visit returns
}

// ErrUnknownFile: Inspect does not know the format of a file of this name.
var ErrUnknownFile = errors.New("drive: not a file of a drive: header, root, or NNNNNNNN.extent in extents")

// inspectors by the file's name.
var inspectors = []struct {
	knows   func(name string) bool
	inspect func(ctx context.Context, h *host.Host, path string, visit func(Inspection)) error
}{
	{func(name string) bool { return name == headerName }, inspectHeader},
	{func(name string) bool { return name == rootName }, inspectRoot},
	{func(name string) bool { _, ok := extentNumber(name); return ok }, inspectExtent},
}

// Inspect tells what lies in a header, a root record or an extent, and of a broken
// one as much as it can. It takes no lock and writes nothing; of a drive that is in
// use what is being written may show as torn.
func Inspect(ctx context.Context, h *host.Host, path string, visit func(Inspection)) error {
	name := h.FS.PathBase(path)
	for _, i := range inspectors {
		if i.knows(name) {
			if err := i.inspect(ctx, h, path, visit); err != nil {
				return fmt.Errorf("inspect %s: %w", path, err)
			}
			return nil
		}
	}
	return fmt.Errorf("inspect %s: %w", path, ErrUnknownFile)
}

func stateOf(err error) string {
	if err != nil {
		return "rot"
	}
	return "sound"
}

func detail(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

func inspectHeader(_ context.Context, h *host.Host, path string, visit func(Inspection)) error {
	b, err := readFile(h.FS, path, headerAllBytes)
	if err != nil {
		return err
	}
	for _, at := range []int{0, headerCopyAt} {
		hd, err := decodeHeader(b[min(at, len(b)):])
		i := Inspection{Offset: int64(at), Kind: "header", State: stateOf(err), Detail: detail(err)}
		if err == nil {
			i.Drive, i.Store, i.Number, i.Created, i.Version = hd.Drive.String(), fmt.Sprintf("%x", hd.Store), hd.Number, hd.Created, uint64(hd.Format)
		}
		visit(i)
	}
	return nil
}

func inspectRoot(_ context.Context, h *host.Host, path string, visit func(Inspection)) error {
	hd, err := Identify(h, h.FS.PathDir(path))
	if err != nil {
		return fmt.Errorf("whose it is: %w", err)
	}
	r, err := readRoot(h.FS, h.FS.PathDir(path), hd.Drive)
	visit(Inspection{Kind: "root", State: stateOf(err), Detail: detail(err), Version: r.Version, Bytes: int64(len(r.Data)), Drive: hd.Drive.String(), Payload: r.Data})
	return nil
}

func inspectExtent(ctx context.Context, h *host.Host, path string, visit func(Inspection)) error {
	number, _ := extentNumber(h.FS.PathBase(path))
	d, err := Open(h, h.FS.PathDir(h.FS.PathDir(path)), Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer d.Close()
	e, sealed, err := d.auditable(number)
	if errors.Is(err, ErrGone) {
		visit(Inspection{Kind: "extent", Extent: number, State: "zeros", Detail: "no records: free, or a stub that keeps its number taken"})
		return nil
	}
	if err != nil {
		return err
	}
	if e.unread != nil {
		visit(Inspection{Kind: "extent", Extent: number, State: "rot", Detail: e.unread.Error()})
		return nil
	}
	f, err := h.FS.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return inspectRecords(ctx, d, e, sealed, f, visit)
}

func inspectRecords(ctx context.Context, d *Drive, e *extent, sealed bool, f host.File, visit func(Inspection)) error {
	a := &auditing{d: d, e: e, file: f}
	head := a.checkFrame()
	visit(Inspection{
		Kind: "extent", State: stateOf(head), Detail: detail(head), Class: e.class.String(), Extent: e.number, Generation: e.generation,
		Drive: d.header.Drive.String(), Sequence: e.base, Bytes: e.used,
	})
	last := max(e.base, 1) - 1
	w := &walker{file: f, drive: d.header.Drive, extent: e, off: firstRecord, end: e.used}
	for s, ok := w.next(); ok; s, ok = w.next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, counts := d.found(e, s, &last)
		i := Inspection{Offset: s.off, Kind: "stretch", State: stateOf(s.err), Detail: detail(s.err), Class: e.class.String(), Extent: e.number, Generation: e.generation}
		if s.err != nil && !counts {
			i.State = "torn"
		}
		if s.known {
			i.Kind, i.Sequence, i.Acknowledged = "record", s.head.sequence, s.head.acknowledged
			i.Stripe, i.Shard, i.Bytes, i.Payload = fmt.Sprintf("%x", found.Identity.Stripe), int(found.Identity.Shard), int64(s.head.payloadBytes), found.Payload
		}
		visit(i)
	}
	visit(inspectSeal(d, e, sealed, f))
	return nil
}

// inspectSeal tells how the extent ends.
func inspectSeal(d *Drive, e *extent, sealed bool, f host.File) Inspection {
	at := e.used
	if e.fixed {
		at = e.limit()
	}
	b := make([]byte, SectorBytes)
	n, err := f.ReadAt(b, at)
	if err != nil && err != io.EOF {
		return Inspection{Offset: at, Kind: "seal", State: "rot", Detail: err.Error()}
	}
	if s, ok := decodeSeal(b[:n], e, d.header.Drive, at); ok {
		return Inspection{Offset: at, Kind: "seal", State: "sound", Acknowledged: s.proven, Detail: fmt.Sprintf("%d records", s.records)}
	}
	i := Inspection{Offset: at, Kind: "seal", State: "unsealed", Detail: "the extent was being written, or a crash came before its end"}
	if slices.ContainsFunc(b[:n], func(c byte) bool { return c != 0 }) {
		i.Kind, i.State, i.Detail = "rest", "torn", "bytes behind the last record that was acknowledged: remains of a write, or the writer is at work"
	}
	return i
}
