package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
)

// driveFormatCommand makes a store of named folders. It needs no server: serve never formats
// folders that somebody named, for an unmounted disk looks like an empty one.
func driveFormatCommand() *cobra.Command {
	var data, parity int
	cmd := &cobra.Command{
		Use: "format PATH PATH…", Short: "Make a new store of empty folders, before `tarn serve --drives`",
		Example: "  tarn drive format /mnt/a /mnt/b /mnt/c /mnt/d /mnt/e /mnt/f\n  tarn serve --drives /mnt/a,/mnt/b,/mnt/c,/mnt/d,/mnt/e,/mnt/f",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < data+parity {
				return &usageError{fmt.Sprintf("%d folders given, but %d+%d needs at least %d", len(args), data, parity, data+parity)}
			}
			folders, labels, err := splitLabels(args)
			if err != nil {
				return &usageError{err.Error()}
			}
			for i, a := range folders {
				full, err := filepath.Abs(a)
				if err != nil {
					return &usageError{err.Error()}
				}
				folders[i] = full
			}
			err = objects.Format(cmd.Context(), objects.Options{Host: host.Real(newLog(os.Stderr, "warn")), Drives: folders, Labels: labels, DataShards: data, ParityShards: parity})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "a new store of %d drives, %d+%d\n", len(folders), data, parity)
			return err
		},
	}
	cmd.Flags().IntVar(&data, "data-shards", shardsDefault.data, "k: shards of a stripe that hold data")
	cmd.Flags().IntVar(&parity, "parity-shards", shardsDefault.parity, "m: shards of a stripe that may be lost")
	return cmd
}
