package objects

import (
	"context"
	"fmt"
	"time"

	"github.com/tarnlake/tarn/objects/durability"
	"github.com/tarnlake/tarn/objects/placement"
)

// rebuildAssumed is how fast a drive is taken to be rebuilt until that was measured.
const rebuildAssumed = 100 << 20 // bytes a second

// Period is a stretch of time up to now.
type Period struct {
	Name     string
	Measured durability.Day // its sum; ServingSeconds tells how much of it was seen
}

// Durability is the answer to how safe the bytes were, and are.
type Durability struct {
	Periods     []Period // week, month, year
	AuditHalf   time.Duration
	AuditMax    time.Duration
	Stripes     Redundancy
	LostStripes uint64 // open entries of the ledger
	LostBytes   uint64
	Losses      []durability.Loss // the first of them
	Estimate    durability.Estimate
}

var periods = []struct {
	name string
	days int
}{{"week", 7}, {"month", 30}, {"year", 365}}

// lossesShown bounds Durability.Losses.
const lossesShown = 100

// Durability sums up what was measured and solves the model. It scans the index.
func (s *Store) Durability(ctx context.Context) (Durability, error) {
	var d Durability
	s.measures.look()
	now := s.host.Clock.Now()
	for _, p := range periods {
		sum, err := s.measures.over(ctx, now.AddDate(0, 0, -p.days))
		if err != nil {
			return d, fmt.Errorf("durability: %w", err)
		}
		d.Periods = append(d.Periods, Period{p.name, sum})
	}
	c, err := s.census(ctx)
	if err != nil {
		return d, fmt.Errorf("durability: %w", err)
	}
	d.Stripes = c.levels
	if d.Losses, d.LostStripes, d.LostBytes, err = s.Losses(ctx, lossesShown); err != nil {
		return d, fmt.Errorf("durability: %w", err)
	}
	used := s.auditAges(&d)
	shape := s.shape(&d, &c, used)
	d.Estimate = durability.NewEstimate(shape, &d.Periods[len(d.Periods)-1].Measured)
	return d, nil
}

// auditAges takes the worst of the drives, and gives the bytes on the fullest.
func (s *Store) auditAges(d *Durability) (used int64) {
	all, _, _ := s.Audits()
	for _, a := range all {
		d.AuditHalf, d.AuditMax = max(d.AuditHalf, a.AgeHalf), max(d.AuditMax, a.AgeMax)
		used = max(used, a.BytesTotal)
	}
	return used
}

func (s *Store) shape(d *Durability, c *census, used int64) durability.Shape {
	r := s.drives.layout(false).Assess(s.o.DataShards, s.o.ParityShards)
	device, node := r.Domains[placement.Device], r.Domains[placement.Node]
	return durability.Shape{
		K: r.Data, M: r.Parity, Drives: r.Well, Devices: device.Count, OnDevice: device.PerStripe,
		Nodes: node.Count, OnNode: node.PerStripe, SharedDevice: device.Count < r.Well,
		Shards: c.stripes * int64(r.Data+r.Parity), BytesToday: c.payload,
		AuditEvery: s.o.Audit, AuditHalf: d.AuditHalf, AuditOldest: d.AuditMax,
		DetectDrive: s.o.DriveTimeout + s.o.RepairPause, RepairDrive: max(time.Duration(used/rebuildAssumed)*time.Second, time.Minute),
	}
}

// RepairState is what repair is doing.
type RepairState struct {
	Running bool
	Queued  int          // stripes that are known to be damaged
	Report  RepairReport // of the repair under way, else of the last one
}

// Repairing tells what repair is doing. It asks no drive.
func (s *Store) Repairing() RepairState {
	running, report := s.repairs.progress()
	return RepairState{Running: running, Queued: s.repairs.queued(), Report: report}
}
