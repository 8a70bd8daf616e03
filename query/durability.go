package query

import (
	"context"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/durability"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

type durabilityService struct{ o Options }

func (s *durabilityService) Audit(ctx context.Context, req *tarnv1.AuditRequest) (*tarnv1.AuditResponse, error) {
	if req.Start {
		if err := rootOnly(ctx); err != nil {
			return nil, err
		}
		s.o.Store.AuditNow()
	}
	drives, found, problems := s.o.Store.Audits()
	out := &tarnv1.AuditResponse{Every: durationpb.New(s.o.Store.AuditEvery()), Found: &tarnv1.AuditFindings{
		Bytes: uint64(found.Bytes), Shards: uint64(found.Shards), Bad: uint64(found.Bad), Orphans: uint64(found.Orphans),
		OrphanBytes: uint64(found.OrphanBytes), Rot: uint64(found.Rot), JournalRecords: uint64(found.Journal),
	}}
	for _, d := range drives {
		out.Drives = append(out.Drives, &tarnv1.DriveAudit{
			Drive: uint32(d.Drive), Running: d.Running, Began: stamp(d.Began), Bytes: uint64(d.Bytes), BytesTotal: uint64(d.BytesTotal),
			Rate: uint64(d.Rate), Passes: d.Passes, LastEnded: stamp(d.LastEnded), Next: stamp(d.Next),
			AgeHalf: durationpb.New(d.AgeHalf), AgeMax: durationpb.New(d.AgeMax), Orphans: uint64(d.Orphans),
		})
	}
	if callerOf(ctx).Root { // keys are names that users chose
		for _, p := range problems {
			out.Problems = append(out.Problems, &tarnv1.AuditProblem{At: stamp(p.At), Drive: uint32(p.Drive), Extent: p.Extent, Key: printableKey(p.Key), What: p.What})
		}
	}
	return out, nil
}

// stamp leaves a time out that there is none of.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// printableKey makes a key of the index fit a message, which takes valid UTF-8 only.
func printableKey(key string) string { return string([]rune(key)) }

// watchEvery lies between two messages of WatchRepair.
const watchEvery = 250 * time.Millisecond

func (s *durabilityService) WatchRepair(ctx context.Context, req *tarnv1.WatchRepairRequest, stream tarnv1connect.DurabilityServiceWatchRepairServerStream) error {
	for {
		state := s.o.Store.Repairing()
		if err := stream.Send(repairOf(&state)); err != nil {
			return err
		}
		if !state.Running && !req.Follow {
			return nil
		}
		if err := s.o.Host.Clock.Sleep(ctx, watchEvery); err != nil {
			return err
		}
	}
}

func repairOf(state *objects.RepairState) *tarnv1.WatchRepairResponse {
	r := &state.Report
	return &tarnv1.WatchRepairResponse{
		Running: state.Running, Queued: uint64(state.Queued), Scanned: uint64(r.Scanned), Damaged: uint64(r.Damaged), Healed: uint64(r.Healed),
		Unrepairable: uint64(r.Unrepairable), Undecodable: uint64(r.Undecodable), BytesWritten: uint64(r.BytesWritten), BytesTotal: uint64(r.BytesTotal),
		Began: stamp(r.Began), Left: redundancyOf(r.Left),
	}
}

func redundancyOf(r *objects.Redundancy) *tarnv1.Redundancy {
	if r == nil {
		return nil
	}
	out := &tarnv1.Redundancy{Lost: uint64(r.Lost), Undecodable: uint64(r.Undecodable)}
	for _, n := range r.Spare {
		out.BySpare = append(out.BySpare, uint64(n))
	}
	return out
}

func (s *durabilityService) Durability(ctx context.Context, _ *tarnv1.DurabilityRequest) (*tarnv1.DurabilityResponse, error) {
	d, err := s.o.Store.Durability(ctx)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.DurabilityResponse{
		AuditAgeHalf: durationpb.New(d.AuditHalf), AuditAgeMax: durationpb.New(d.AuditMax), Stripes: redundancyOf(&d.Stripes),
		LostStripes: d.LostStripes, LostBytes: d.LostBytes, Estimate: estimateOf(&d.Estimate),
	}
	for i := range d.Periods {
		out.Periods = append(out.Periods, periodOf(&d.Periods[i]))
	}
	if callerOf(ctx).Root {
		for _, l := range d.Losses {
			out.Losses = append(out.Losses, &tarnv1.LossEntry{
				Stripe: hex.EncodeToString(l.Stripe[:]), Key: printableKey(string(l.Owner)), Bytes: l.Bytes, Since: stamp(l.Since),
				Good: uint32(l.Good), Needed: uint32(l.Needed), Cause: l.Cause,
			})
		}
	}
	return out, nil
}

func seconds(n uint64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }

func periodOf(p *objects.Period) *tarnv1.DurabilityPeriod {
	m := &p.Measured
	return &tarnv1.DurabilityPeriod{
		Name: p.Name, Measured: seconds(m.ServingSeconds), BytesVerified: m.BytesVerified, ShardsVerified: m.ShardsVerified,
		LatentErrors: m.Latent, ReadErrors: m.ReadErrors, DriveFailures: m.DriveFailures, DeviceFailures: m.DeviceFailures,
		Repaired: m.Repaired, RepairedBytes: m.RepairedBytes, RepairHalf: durationpb.New(m.RepairTime(0.5)), RepairMax: seconds(m.RepairMax),
		LostStripes: m.LostStripes, LostBytes: m.LostBytes, ReturnedBytes: m.ReturnedBytes, DeletedBytes: m.DeletedBytes,
	}
}

func estimateOf(e *durability.Estimate) *tarnv1.DurabilityEstimate {
	out := &tarnv1.DurabilityEstimate{
		Nines: e.Nines, LossInYear: e.LossInYear, BytesInYear: e.BytesInYear, NinesIndependent: e.IndependentNines,
		FailureDomain: e.Domain, Repair: durationpb.New(e.Repair), Detection: durationpb.New(e.Detection), Assumptions: e.Assumptions,
	}
	for _, r := range e.Rates {
		out.Rates = append(out.Rates, &tarnv1.DurabilityRate{Name: r.Name, Unit: r.Unit, Events: r.Events, UnitYears: r.UnitYears, Upper: r.Upper})
	}
	return out
}
