package objects

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tarnlake/tarn/objects/drive"
)

// Format makes a new store of folders that are all missing or empty. It is for
// folders that somebody named: those under AutoFormat are formatted by Open.
func Format(ctx context.Context, o Options) error {
	o.AutoFormat = true
	f, err := survey(o)
	if err != nil {
		return err
	}
	defer f.close()
	for _, at := range f.all {
		if !errors.Is(at.err, drive.ErrNotFormatted) {
			return fmt.Errorf("format a new store: %s is not empty", at.path)
		}
	}
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	return s.Close()
}

// formatAll makes the drives of a new store, or of one whose making was cut short.
func (f *folders) formatAll(store [16]byte) (rootRecord, error) {
	if err := f.mayFormat(); err != nil {
		return rootRecord{}, err
	}
	o := f.o
	o.setDefaults()
	record := rootRecord{store: store, k: o.DataShards, m: o.ParityShards, next: 1}
	if record.k < 1 || record.k+record.m > min(ShardsMax, len(f.all)) {
		return record, fmt.Errorf("objects: %d+%d shards need as many drives, at most %d; %d are given", record.k, record.m, ShardsMax, len(f.all))
	}
	if record.store == [16]byte{} {
		if _, err := io.ReadFull(o.Host.Entropy, record.store[:]); err != nil {
			return record, fmt.Errorf("draw the store's id: %w", err)
		}
	}
	for _, at := range f.all {
		if at.drive != nil {
			record.next = max(record.next, at.header.Number+1)
		}
	}
	for _, at := range f.all {
		if at.drive == nil {
			if err := f.format(at, record.store, record.next); err != nil {
				return record, err
			}
			record.next++
		}
		record.drives = append(record.drives, rootDrive{number: at.header.Number, id: at.header.Drive, path: at.path, labels: at.labels})
	}
	return record, nil
}

// mayFormat demands that every folder is empty, or was formatted a moment ago.
func (f *folders) mayFormat() error {
	var problems []error
	for _, at := range f.all {
		if at.drive == nil && (!f.o.AutoFormat || !errors.Is(at.err, drive.ErrNotFormatted)) {
			problems = append(problems, at.err)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrNoStore, errors.Join(problems...))
}

func (f *folders) format(at *folder, store [16]byte, number uint16) error {
	hd := drive.Header{Store: store, Number: number, Created: f.o.Host.Clock.Now()}
	if _, err := io.ReadFull(f.o.Host.Entropy, hd.Drive[:]); err != nil {
		return fmt.Errorf("draw a drive's id: %w", err)
	}
	if err := drive.Format(f.o.Host, at.path, hd); err != nil {
		return err
	}
	f.openFolder(at)
	return at.err
}

// checkShape compares what the store is with what is asked for.
func (f *folders) checkShape(r *rootRecord) error {
	k, m := f.o.DataShards, f.o.ParityShards
	if m < 0 {
		m = 0
	} else if m == 0 {
		m = r.m
	}
	if k != 0 && k != r.k || m != r.m {
		return fmt.Errorf("objects: the store has %d+%d shards, and %d+%d are asked for", r.k, r.m, max(k, r.k), m)
	}
	f.o.DataShards, f.o.ParityShards = r.k, r.m
	if r.m == 0 {
		f.o.ParityShards = -1
	}
	return nil
}
