package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
)

// checked is what check found of one drive.
type checked struct {
	path    string
	header  drive.Header
	root    drive.Root
	records int64
	bytes   int64
	rot     []string // acknowledged, and not what was written
}

func checkCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "check DIR…", Short: "Verify every byte of drives that are not in use", Args: cobra.MinimumNArgs(1),
		Long: "Verify every byte of drives: headers, root records, extents and all records, read from the device,\nand that the drives are of one store and know the same root record. Nothing is written. A drive\nthat a server has open is refused: `tarn audit --now` checks it while it serves, and compares it\nwith the index as well.\n\nThe exit status is 0 where all is sound, 1 where there is damage, 5 where a drive is in use.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []*checked
			for _, arg := range args {
				full, err := filepath.Abs(arg)
				if err != nil {
					return &usageError{err.Error()}
				}
				one, err := checkDrive(cmd.Context(), host.Real(newLog(os.Stderr, "error")), full)
				if err != nil {
					return err
				}
				all = append(all, one)
			}
			compareDrives(all)
			return reportChecked(cmd, c, all)
		},
	}
}

func checkDrive(ctx context.Context, h *host.Host, path string) (*checked, error) {
	one := &checked{path: path}
	lock, err := h.FS.Lock(h.FS.PathJoin(path, "lock"))
	if err != nil {
		if _, missing := drive.Identify(h, path); missing != nil {
			return nil, fmt.Errorf("check %s: %w", path, missing)
		}
		return nil, &inUseError{path}
	}
	defer lock.Close()
	d, err := drive.Open(h, path, drive.Options{ReadOnly: true})
	if err != nil {
		one.rot = append(one.rot, err.Error())
		return one, nil
	}
	defer d.Close()
	one.header, one.root = d.Header(), d.Root()
	if err := d.CheckFiles(); err != nil {
		one.rot = append(one.rot, err.Error())
	}
	infos := d.Extents()
	var total int64
	for _, e := range infos {
		total += e.Bytes
	}
	bar := progress(total, "checking "+filepath.Base(path), true)
	defer bar.Close()
	for _, e := range infos {
		var at int64
		for a, err := range d.Audit(ctx, e.Number, 0) {
			switch {
			case err != nil:
				return nil, err
			case a.Err != nil && !a.Trimmed:
				one.rot = append(one.rot, a.Err.Error())
			case a.Err == nil:
				one.records++
				one.bytes += int64(len(a.Payload))
			}
			_ = bar.Add64(max(a.Next-at, 0))
			at = a.Next
		}
	}
	return one, nil
}

// inUseError: another process has the drive.
type inUseError struct{ path string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("%s is in use: a drive is checked while no server has it; `tarn audit --now --watch` checks it while it serves", e.path)
}

// compareDrives looks for what shows only beside others.
func compareDrives(all []*checked) {
	numbers := map[uint16]string{}
	for _, one := range all {
		if one.header.Format == 0 {
			continue
		}
		if one.header.Store != all[0].header.Store {
			one.rot = append(one.rot, fmt.Sprintf("it belongs to store %x, and %s to %x", one.header.Store, all[0].path, all[0].header.Store))
		}
		if other := numbers[one.header.Number]; other != "" {
			one.rot = append(one.rot, fmt.Sprintf("it has number %d, and so has %s", one.header.Number, other))
		}
		numbers[one.header.Number] = one.path
	}
}

func reportChecked(cmd *cobra.Command, c *client, all []*checked) error {
	t := &table{columns: []string{"Drive", "Path", "State", "Records", "Bytes", "Root", "Damage"}}
	damaged := 0
	for _, one := range all {
		state, what := "sound", ""
		if len(one.rot) > 0 {
			damaged++
			state, what = "damaged", one.rot[0]
			if n := len(one.rot) - 1; n > 0 {
				what += fmt.Sprintf("; and %d more", n)
			}
		}
		t.add(one.header.Number, one.path, state, one.records, byteCount(one.bytes), one.root.Version, what)
	}
	if err := t.print(cmd.OutOrStdout(), c.output); err != nil {
		return err
	}
	if damaged > 0 {
		return fmt.Errorf("%d of %d drives are damaged; the store rebuilds what other drives still have when it serves", damaged, len(all))
	}
	return nil
}
