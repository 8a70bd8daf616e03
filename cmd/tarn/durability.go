package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

func durabilityCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "durability", Short: "Report how safe the bytes were and are: what was measured, what was lost, and the model", Args: cobra.NoArgs,
		Long: "Report how safe the bytes were and are.\n\nFirst what was measured this week, month and year, and the ledger of acknowledged bytes that\ncannot be read; then the probability of loss that a model makes of it, with its assumptions.\nThe exit status is 1 where the ledger has an open entry.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := c.durability(cmd.Context())
			if err != nil {
				return err
			}
			r, err := d.Durability(cmd.Context(), &tarnv1.DurabilityRequest{})
			if err != nil {
				return err
			}
			if c.output != "table" {
				err = printMessage(cmd.OutOrStdout(), c.output, r)
			} else {
				err = printDurability(cmd.OutOrStdout(), r)
			}
			if err == nil && r.LostStripes > 0 {
				return fmt.Errorf("%d acknowledged stripes, %s, cannot be read", r.LostStripes, byteCount(r.LostBytes))
			}
			return err
		},
	}
}

func printDurability(w io.Writer, r *tarnv1.DurabilityResponse) error {
	t := &table{columns: []string{"Measured", "Week", "Month", "Year"}}
	row := func(name string, value func(*tarnv1.DurabilityPeriod) any) {
		cells := []any{name}
		for _, p := range r.Periods {
			cells = append(cells, value(p))
		}
		t.add(cells...)
	}
	row("time the store was open", func(p *tarnv1.DurabilityPeriod) any { return span(p.Measured) })
	row("bytes verified", func(p *tarnv1.DurabilityPeriod) any { return byteCount(p.BytesVerified) })
	row("shards verified", func(p *tarnv1.DurabilityPeriod) any { return p.ShardsVerified })
	row("latent errors found", func(p *tarnv1.DurabilityPeriod) any { return p.LatentErrors })
	row("errors that readers met", func(p *tarnv1.DurabilityPeriod) any { return p.ReadErrors })
	row("drives lost", func(p *tarnv1.DurabilityPeriod) any { return p.DriveFailures })
	row("devices lost", func(p *tarnv1.DurabilityPeriod) any { return p.DeviceFailures })
	row("stripes repaired", func(p *tarnv1.DurabilityPeriod) any { return p.Repaired })
	row("repair time p50", func(p *tarnv1.DurabilityPeriod) any { return span(p.RepairHalf) })
	row("repair time max", func(p *tarnv1.DurabilityPeriod) any { return span(p.RepairMax) })
	row("acknowledged bytes lost", func(p *tarnv1.DurabilityPeriod) any { return byteCount(p.LostBytes) })
	row("… proved to be back", func(p *tarnv1.DurabilityPeriod) any { return byteCount(p.ReturnedBytes) })
	row("… deleted by users", func(p *tarnv1.DurabilityPeriod) any { return byteCount(p.DeletedBytes) })
	if err := t.print(w, "table"); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nnow: half of all bytes were verified within %s, all within %s; %s\n", span(r.AuditAgeHalf), span(r.AuditAgeMax), levels(r.Stripes))
	fmt.Fprintf(w, "ledger: %d acknowledged stripes, %s, cannot be read now\n", r.LostStripes, byteCount(r.LostBytes))
	for _, l := range r.Losses {
		fmt.Fprintf(w, "  %s of %s, %s since %s: %d of %d shards; %s\n", l.Stripe, printable(l.Key), byteCount(l.Bytes), l.Since.AsTime().Local().Format(time.DateTime), l.Good, l.Needed, l.Cause)
	}
	printEstimate(w, r.Estimate)
	return nil
}

func printEstimate(w io.Writer, e *tarnv1.DurabilityEstimate) {
	fmt.Fprintf(w, "\nmodel: %.1f nines a year (a given stripe is lost with a probability of %.2g; %s a year on average)\n", e.Nines, e.LossInYear, byteCount(e.BytesInYear))
	fmt.Fprintf(w, "       %.1f nines were drives alone to fail, each for itself\n", e.NinesIndependent)
	fmt.Fprintln(w, "       "+e.FailureDomain)
	for _, r := range e.Rates {
		fmt.Fprintf(w, "       %s: %d in %.3g %ss here; the model takes %.2g a %s\n", r.Name, r.Events, r.UnitYears, r.Unit, r.Upper, r.Unit)
	}
	fmt.Fprintln(w, "assumptions:")
	for _, a := range e.Assumptions {
		fmt.Fprintln(w, "  - "+a)
	}
}
