package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/drive"
)

func checkCommand(c *client) *cobra.Command {
	scratch := ""
	cmd := &cobra.Command{
		Use: "check DIR…", Short: "Verify every byte of drives that are not in use, and compare them with the index", Args: cobra.MinimumNArgs(1),
		Long: `Verify every byte of drives: headers, root records, extents and all records, read from the device.
With all drives of a store but the m that it can spare, the index is brought up from its checkpoint
and the journal, in a scratch folder, and compared with the drives both ways: what it names and they
lack, and what lies there and nobody names, which the store's sweep gives back. The versions of the
root records are compared too. Strays are files in a drive's folder that are not the store's: it
never touches them, and they are no damage. Nothing is written to the drives but an empty lock file. A drive that
a server has open is refused: "tarn audit --now" checks it while it serves.

The exit status is 0 where all is sound, 1 where there is damage, 5 where a drive is in use.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := checkDrives(cmd.Context(), host.Real(newLog(os.Stderr, "error")), args, scratch)
			if err != nil {
				return err
			}
			return reportChecked(cmd, c, &report)
		},
	}
	cmd.Flags().StringVar(&scratch, "scratch", "", "folder for the index's view while it is compared; default: a temporary one")
	return cmd
}

func checkDrives(ctx context.Context, h *host.Host, args []string, scratch string) (report objects.CheckReport, err error) {
	o := objects.CheckOptions{Host: h}
	var total int64
	for _, arg := range args {
		full, err := filepath.Abs(arg)
		if err != nil {
			return report, &usageError{err.Error()}
		}
		o.Drives = append(o.Drives, full)
		total += extentBytes(full)
	}
	if o.Scratch, err = os.MkdirTemp(scratch, "tarn-check-"); err != nil {
		return report, fmt.Errorf("make a scratch folder: %w", err)
	}
	defer os.RemoveAll(o.Scratch)
	bar := progress(total, "checking", true)
	defer bar.Close()
	o.Progress = func(_ uint16, n int64) { _ = bar.Add64(n) }
	report, err = objects.Check(ctx, o)
	var used *objects.DriveInUseError
	if errors.As(err, &used) {
		return report, &inUseError{used.Path}
	}
	return report, err
}

// extentBytes is about what there is to be read of a drive.
func extentBytes(path string) (n int64) {
	names, _ := filepath.Glob(filepath.Join(path, "extents", "*"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// inUseError: another process has the drive.
type inUseError struct{ path string }

func (e *inUseError) Error() string {
	return fmt.Sprintf("%s is in use: a drive is checked while no server has it; `tarn audit --now --watch` checks it while it serves", e.path)
}

func (e *inUseError) Unwrap() error { return drive.ErrLocked }

func reportChecked(cmd *cobra.Command, c *client, r *objects.CheckReport) error {
	t := &table{columns: []string{"Drive", "Path", "State", "Root", "Bytes", "Shards", "Lacking", "Superfluous", "Strays", "Damage"}}
	damaged := 0
	for i := range r.Drives {
		d := &r.Drives[i]
		state := "sound"
		switch {
		case len(d.Problems) > 0:
			state = "damaged"
		case d.Outdated:
			state = "outdated"
		}
		if !d.Sound() {
			damaged++
		}
		t.add(d.Number, d.Path, state, fmt.Sprintf("%d.%d", d.Root>>32, d.Root<<32>>32), byteCount(d.Found.Bytes), d.Found.Shards, d.Lacking,
			d.Found.Orphans, more(d.Strays), more(d.Problems))
	}
	if err := t.print(cmd.OutOrStdout(), c.output); err != nil {
		return err
	}
	errs := append([]error(nil), compared(cmd, c, r))
	if damaged > 0 {
		errs = append(errs, fmt.Errorf("%d of %d drives are damaged or outdated; the store rebuilds what other drives still have when it serves", damaged, len(r.Drives)))
	}
	if len(r.Missing) > 0 {
		errs = append(errs, fmt.Errorf("the store's drives %v are not among those given, or cannot be read", r.Missing))
	}
	return errors.Join(errs...)
}

// compared tells of the index beside the drives.
func compared(cmd *cobra.Command, c *client, r *objects.CheckReport) error {
	if r.Refused != nil {
		return fmt.Errorf("index and drives were not compared: %w", r.Refused)
	}
	i := &r.Index
	t := &table{columns: []string{"Index entry", "Values", "Undecodable", "Dangling", "Stripes", "Degraded", "Lost", "Damage"}}
	t.add(i.Last, i.Values, i.Undecodable, i.Dangling, i.Stripes, i.Degraded, i.Lost, more(i.Problems))
	if err := t.print(cmd.OutOrStdout(), c.output); err != nil {
		return err
	}
	if i.Lost+i.Undecodable+i.Dangling > 0 {
		return fmt.Errorf("%d stripes cannot be read from these drives; %d values and %d packed objects are not known", i.Lost, i.Undecodable, i.Dangling)
	}
	return nil
}

// more is the first of several problems, and how many follow.
func more(problems []string) string {
	switch len(problems) {
	case 0:
		return ""
	case 1:
		return problems[0]
	}
	return fmt.Sprintf("%s; and %d more", problems[0], len(problems)-1)
}
