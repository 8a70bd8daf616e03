package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

func (c *client) durability(ctx context.Context) (tarnv1connect.DurabilityServiceClient, error) {
	rpc, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return tarnv1connect.NewDurabilityServiceClient(rpc), nil
}

func auditCommand(c *client) *cobra.Command {
	var now, watch bool
	cmd := &cobra.Command{
		Use: "audit", Short: "Show how far every drive has been read and verified, or have it done now", Args: cobra.NoArgs,
		Long: "Show how far every drive has been read and verified.\n\nEvery byte of every drive is read within a set time, by itself; what is missing or wrong goes\nto repair. With --now all of it is read anew, as fast as users let it, and with --watch the\ncommand waits for the end. The exit status is 1 where damage was found.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := c.durability(cmd.Context())
			if err != nil {
				return err
			}
			a, err := d.Audit(cmd.Context(), &tarnv1.AuditRequest{Start: now})
			if err == nil && watch {
				a, err = watchAudit(cmd.Context(), d, a)
			}
			if err != nil {
				return err
			}
			if c.output != "table" {
				err = printMessage(cmd.OutOrStdout(), c.output, a)
			} else {
				err = printAudit(cmd.OutOrStdout(), a)
			}
			if err == nil && len(a.Problems) > 0 {
				return fmt.Errorf("%d problems were found; repair is told of what it can mend (tarn repair --watch)", len(a.Problems))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "read everything anew, as fast as users let it")
	cmd.Flags().BoolVar(&watch, "watch", false, "wait until no audit is under way, with a progress bar")
	return cmd
}

func watchAudit(ctx context.Context, d tarnv1connect.DurabilityServiceClient, a *tarnv1.AuditResponse) (*tarnv1.AuditResponse, error) {
	bar := progress(-1, "auditing", true)
	defer bar.Close()
	for {
		var done, total uint64
		running := false
		for _, drive := range a.Drives {
			total += drive.BytesTotal
			running = running || drive.Running
			if drive.Running {
				done += min(drive.Bytes, drive.BytesTotal)
			} else {
				done += drive.BytesTotal
			}
		}
		if !running {
			return a, nil
		}
		bar.ChangeMax64(int64(max(total, 1)))
		_ = bar.Set64(int64(done))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
		var err error
		if a, err = d.Audit(ctx, &tarnv1.AuditRequest{}); err != nil {
			return nil, err
		}
	}
}

func printAudit(w io.Writer, a *tarnv1.AuditResponse) error {
	fmt.Fprintf(w, "every byte is read within %s\n", span(a.Every))
	t := &table{columns: []string{"Drive", "State", "Read", "Of", "Passes", "Age p50", "Age max", "Nobody's"}}
	for _, d := range a.Drives {
		state, read := "waiting", d.BytesTotal
		if d.Running {
			state, read = "reading", d.Bytes
		} else if d.Passes == 0 {
			read = 0
		}
		t.add(d.Drive, state, byteCount(read), byteCount(d.BytesTotal), d.Passes, span(d.AgeHalf), span(d.AgeMax), d.Orphans)
	}
	if err := t.print(w, "table"); err != nil {
		return err
	}
	f := a.Found
	fmt.Fprintf(w, "since the server was started: %s read, %d shards verified, %d bad, %d records of nobody's (%s), %d stretches of other rot\n",
		byteCount(f.Bytes), f.Shards, f.Bad, f.Orphans, byteCount(f.OrphanBytes), f.Rot)
	for _, p := range a.Problems {
		fmt.Fprintf(w, "%s drive %d extent %d %s: %s\n", p.At.AsTime().Local().Format(time.DateTime), p.Drive, p.Extent, printable(p.Key), printable(p.What))
	}
	return nil
}

// span prints a duration for people.
func span(d *durationpb.Duration) string {
	v := d.AsDuration()
	switch {
	case v >= 48*time.Hour:
		return fmt.Sprintf("%.1f d", v.Hours()/24)
	case v >= time.Hour:
		return fmt.Sprintf("%.1f h", v.Hours())
	case v >= time.Minute:
		return fmt.Sprintf("%.0f min", v.Minutes())
	}
	return fmt.Sprintf("%.0f s", v.Seconds())
}

// watchRepair shows what repair is doing until it is idle.
func watchRepair(cmd *cobra.Command, c *client) error {
	d, err := c.durability(cmd.Context())
	if err != nil {
		return err
	}
	stream, err := d.WatchRepair(cmd.Context(), &tarnv1.WatchRepairRequest{})
	if err != nil {
		return err
	}
	defer stream.Close()
	bar := progress(-1, "repairing", true)
	defer bar.Close()
	var last *tarnv1.WatchRepairResponse
	for {
		r, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return printRepair(cmd.OutOrStdout(), c.output, last)
		}
		if err != nil {
			return err
		}
		last = r
		if r.BytesTotal > 0 {
			bar.ChangeMax64(int64(r.BytesTotal))
			_ = bar.Set64(int64(min(r.BytesWritten, r.BytesTotal)))
		}
	}
}

func printRepair(w io.Writer, output string, r *tarnv1.WatchRepairResponse) error {
	if r == nil {
		return errors.New("the server told nothing of repair")
	}
	var err error
	if output != "table" {
		err = printMessage(w, output, r)
	} else {
		t := &table{columns: []string{"Queued", "Scanned", "Damaged", "Healed", "Unrepairable", "Undecodable", "Written"}}
		t.add(r.Queued, r.Scanned, r.Damaged, r.Healed, r.Unrepairable, r.Undecodable, byteCount(r.BytesWritten))
		if err = t.print(w, "table"); err == nil && r.Left != nil {
			fmt.Fprintln(w, "left, by a look at everything after the repair: "+levels(r.Left))
		}
	}
	if err == nil && (r.Unrepairable > 0 || r.Undecodable > 0) {
		return fmt.Errorf("%d stripes have too few shards left, and %d values of the index do not decode", r.Unrepairable, r.Undecodable)
	}
	return err
}

// levels of redundancy in words.
func levels(r *tarnv1.Redundancy) string {
	text := ""
	for spare := len(r.BySpare) - 1; spare >= 0; spare-- {
		if n := r.BySpare[spare]; n > 0 || spare == len(r.BySpare)-1 {
			text += fmt.Sprintf("%d stripes stand the loss of %d more drives, ", n, spare)
		}
	}
	return text + fmt.Sprintf("%d cannot be read, %d values do not decode", r.Lost, r.Undecodable)
}
