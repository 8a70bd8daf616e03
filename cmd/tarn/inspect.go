package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index/journal"
	"github.com/tarnlake/tarn/vectors/segment"
)

// inspected is a line of inspect, with the entries of a journal's record, or with what is in a segment of vectors.
type inspected struct {
	drive.Inspection
	Entries []string `json:"entries,omitempty"`
	Vectors []string `json:"vectors,omitempty"`
}

func inspectCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Print what lies in a drive's file: header, root, or an extent with its records", Args: exactly(1),
		Long: "Print what lies in a drive's file: its header, its root record, or an extent with its records,\nof a journal's extent with the entries, of vectors with header, neighbourhoods and tiers. Nothing is written, and no server is needed; of a drive in\nuse what is being written may show as torn. Torn is what was never acknowledged; rot is what was.\nThe exit status is 1 where there is rot.",
		RunE: func(cmd *cobra.Command, args []string) error {
			full, err := filepath.Abs(args[0])
			if err != nil {
				return &usageError{err.Error()}
			}
			rot := 0
			var all []inspected
			err = drive.Inspect(cmd.Context(), host.Real(newLog(os.Stderr, "error")), full, func(i drive.Inspection) {
				line := inspected{Inspection: i}
				if i.State == "rot" {
					rot++
				}
				if i.Kind == "record" && i.Class == drive.Journal.String() && i.State == "sound" {
					line.Entries = journal.Describe(i.Payload)
				}
				if i.Kind == "record" && i.State == "sound" {
					line.Vectors = segment.Describe(i.Payload)
				}
				line.Payload = nil
				all = append(all, line)
			})
			if err != nil {
				return err
			}
			if err := printInspected(cmd.OutOrStdout(), c.output, all); err != nil {
				return err
			}
			if rot > 0 {
				return fmt.Errorf("%d places are rotten", rot)
			}
			return nil
		},
	}
}

func printInspected(w io.Writer, output string, all []inspected) error {
	switch output {
	case "json":
		return printJSON(w, all)
	case "jsonl":
		for _, i := range all {
			line, err := plainJSON(i)
			if err != nil {
				return err
			}
			fmt.Fprintln(w, string(line))
		}
		return nil
	}
	for _, i := range all {
		fmt.Fprintf(w, "%12d  %-8s %-9s %s\n", i.Offset, i.Kind, i.State, i.words())
		for _, entry := range append(i.Entries, i.Vectors...) {
			fmt.Fprintf(w, "%34s%s\n", "", printable(entry))
		}
	}
	return nil
}

// words are the fields that are there.
func (i *inspected) words() string {
	var all []string
	add := func(format string, v any, there bool) {
		if there {
			all = append(all, fmt.Sprintf(format, v))
		}
	}
	add("%s", i.Class, i.Class != "")
	add("extent %d", i.Extent, i.Kind == "extent")
	add("generation %d", i.Generation, i.Kind == "extent" && i.Generation > 0)
	add("sequence %d", i.Sequence, i.Sequence > 0)
	add("acknowledged %d", i.Acknowledged, i.Acknowledged > 0)
	add("stripe %s", i.Stripe, i.Stripe != "")
	add("shard %d", i.Shard, i.Kind == "record")
	add("%d bytes", i.Bytes, i.Bytes > 0)
	add("store %s", i.Store, i.Store != "")
	add("drive %s", i.Drive, i.Drive != "")
	add("number %d", i.Number, i.Number > 0)
	add("version %d", i.Version, i.Version > 0)
	add("made %s", i.Created, !i.Created.IsZero())
	add("%s", printable(i.Detail), i.Detail != "")
	return strings.Join(all, ", ")
}
