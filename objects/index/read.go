package index

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// reader is a Pebble store or a snapshot of one.
type reader interface {
	Get(key []byte) ([]byte, io.Closer, error)
	NewIter(o *pebble.IterOptions) (*pebble.Iterator, error)
}

// Get reads the latest applied value.
func (m *Machine) Get(key []byte) (Item, error) {
	if err := m.enter(); err != nil {
		return Item{}, err
	}
	defer m.gate.leave()
	return m.get(m.db, key)
}

func (m *Machine) get(r reader, key []byte) (Item, error) {
	b, closer, err := r.Get(viewKey(key))
	if err != nil {
		return Item{}, m.readError(err)
	}
	defer closer.Close()
	if len(b) < versionBytes {
		return Item{}, m.readError(fmt.Errorf("value of %q has %d bytes", key, len(b)))
	}
	return Item{
		Key:     bytes.Clone(key),
		Value:   append(make([]byte, 0, len(b)-versionBytes), b[versionBytes:]...),
		Version: binary.LittleEndian.Uint64(b),
	}, nil
}

// Scan yields the applied items of [lo, hi) as of the moment when it is ranged over.
func (m *Machine) Scan(ctx context.Context, lo, hi []byte, o ScanOptions) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		if err := m.enter(); err != nil {
			yield(Item{}, err)
			return
		}
		defer m.gate.leave()
		m.scan(ctx, m.db, lo, hi, o, m.over, yield)
	}
}

// over tells why reads under way must end.
func (m *Machine) over() error {
	if err := m.Failure(); err != nil {
		return err
	}
	if m.ending.Load() {
		return ErrClosed
	}
	return nil
}

// scan steps through r until over gives a reason to end.
func (m *Machine) scan(ctx context.Context, r reader, lo, hi []byte, o ScanOptions, over func() error, yield func(Item, error) bool) {
	if emptyRange(lo, hi) {
		return
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: viewKey(lo), UpperBound: viewEnd(hi)})
	if err != nil {
		yield(Item{}, m.readError(err))
		return
	}
	err = m.walk(ctx, it, o, over, yield)
	if err = errors.Join(err, m.iteratorError(it)); err != nil && !errors.Is(err, errStopped) {
		yield(Item{}, err)
	}
}

// errStopped: the consumer broke out of the loop.
var errStopped = errors.New("scan stopped")

func (m *Machine) walk(ctx context.Context, it *pebble.Iterator, o ScanOptions, over func() error, yield func(Item, error) bool) error {
	first, next := it.First, it.Next
	if o.Reverse {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := over(); err != nil {
			return err
		}
		item, err := itemAt(it, o)
		if err != nil {
			return m.readError(err)
		}
		if !yield(item, nil) {
			return errStopped
		}
	}
	return nil
}

func itemAt(it *pebble.Iterator, o ScanOptions) (Item, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return Item{}, err
	}
	if len(value) < versionBytes {
		return Item{}, fmt.Errorf("value of %q has %d bytes", it.Key()[1:], len(value))
	}
	item := Item{Key: it.Key()[1:], Version: binary.LittleEndian.Uint64(value)}
	if !o.KeysOnly {
		item.Value = value[versionBytes:]
	}
	return item, nil
}

// iteratorError closes the iterator and tells what went wrong with it.
func (m *Machine) iteratorError(it *pebble.Iterator) error {
	if err := it.Close(); err != nil {
		return m.readError(err)
	}
	return nil
}
