package durability

import (
	"fmt"
	"math"
	"time"
)

// Experience is what is counted besides the store's own measurements until they
// outweigh it.
type Experience struct {
	Failures   uint64
	UnitYears  float64
	Provenance string
}

// What others published stands in for what this store has not seen yet.
var (
	driveExperience  = Experience{2, 100, "annual failure rates of 1 to 2 % published for drives in large fleets"}
	latentExperience = Experience{4, 100, "latent errors on 3.45 % of drives within 32 months (Bairavasundaram et al., 2007), taken threefold"}
	nodeExperience   = Experience{0, 300, "a machine with all its drives destroyed once in some hundred years"}
)

// Shape is how the store lays its stripes.
type Shape struct {
	K, M         int
	Drives       int
	Devices      int // distinct ones under the drives
	OnDevice     int // shards of one stripe in the fullest device
	Nodes        int
	OnNode       int // shards of one stripe in the fullest node
	Shards       int64
	BytesToday   int64
	AuditEvery   time.Duration
	AuditHalf    time.Duration // age of the median byte; 0: not known
	AuditOldest  time.Duration
	DetectDrive  time.Duration // until a lost drive is noticed
	RepairDrive  time.Duration // to rebuild a whole drive, where none was yet: an assumption
	SharedDevice bool          // several drives of the store lie on one device
}

// Rate is one measured rate with its bounds, a year and unit.
type Rate struct {
	Name      string
	Unit      string // of which there are UnitYears
	Events    uint64 // measured
	UnitYears float64
	Point     float64 // measured; NaN where nothing could be
	Upper     float64 // the bound that the model takes, experience of others included
}

func (e Experience) rate(name, unit string, events uint64, unitYears float64) Rate {
	return Rate{
		Name: name, Unit: unit, Events: events, UnitYears: unitYears, Point: float64(events) / unitYears,
		Upper: UpperBound(events+e.Failures) / (unitYears + e.UnitYears),
	}
}

// Estimate is what the model says of the store as it is, from what was measured.
type Estimate struct {
	Rates []Rate
	Chain Rates // that the model was solved for

	LossInYear        float64 // of a given stripe, all causes
	IndependentInYear float64 // were drives alone to fail, each for itself
	BytesInYear       float64 // that are lost on average
	Nines             float64
	IndependentNines  float64

	Repair      time.Duration // that the model takes for a stripe's repair
	Detection   time.Duration // mean time until a latent error is noticed
	Domain      string        // plainly: what is one failure domain
	Assumptions []string
}

const year = 365.25 * 24 * time.Hour

func years(seconds uint64) float64 { return float64(seconds) / year.Seconds() }

func perYear(d time.Duration) float64 { return float64(year) / float64(max(d, time.Second)) }

// NewEstimate solves the model for a shape, with rates measured over days.
func NewEstimate(s Shape, measured *Day) Estimate {
	drives := driveExperience.rate("drive failures", "drive-year", measured.DriveFailures, years(measured.DriveSeconds))
	latent := latentExperience.rate("latent errors", "drive-year", measured.Latent+measured.ReadErrors, years(measured.DriveSeconds))
	devices := driveExperience.rate("device failures", "device-year", measured.DeviceFailures, years(measured.DeviceSeconds))
	nodes := nodeExperience.rate("machine losses", "machine-year", 0, years(measured.ServingSeconds))
	e := Estimate{Rates: []Rate{drives, latent, nodes}}
	shardsOnDrive := max(float64(s.Shards)/float64(max(s.Drives, 1)), 1)
	e.Detection = detection(&s)
	e.Repair = repairTime(&s, measured)
	e.Chain = Rates{
		K: s.K, M: s.M, Drive: drives.Upper, Latent: latent.Upper / shardsOnDrive,
		Detect: perYear(e.Detection), Repair: perYear(e.Repair), OnDevice: 1,
	}
	e.IndependentInYear = e.Chain.LossInYear()
	if s.SharedDevice {
		e.Rates = append(e.Rates, devices)
		e.Chain.Device, e.Chain.OnDevice = devices.Upper, max(s.OnDevice, 2)
	}
	if s.OnNode > s.M {
		e.Chain.Node = nodes.Upper * float64(max(s.Nodes, 1)) * chance(s.OnNode, s.K+s.M, s.Nodes)
	}
	e.LossInYear = e.Chain.LossInYear()
	e.Nines, e.IndependentNines = Nines(e.LossInYear), Nines(e.IndependentInYear)
	e.BytesInYear = e.LossInYear * float64(s.BytesToday)
	e.Domain = domain(&s)
	e.Assumptions = assumptions(&s, &e)
	return e
}

// chance that the node which is lost holds more shards than the parity covers.
func chance(onNode, shards, nodes int) float64 {
	return min(1, math.Ceil(float64(shards)/float64(max(onNode, 1)))/float64(max(nodes, 1)))
}

// detection: an error lies on average for half of the time between two audits of
// its place, and the measured ages may be worse than the plan.
func detection(s *Shape) time.Duration {
	d := s.AuditEvery / 2
	return max(d, s.AuditHalf, s.AuditOldest/2, time.Minute)
}

// repairTime is the longest repair that was measured; but of a whole drive, where
// that would take longer, for what was measured may have been small.
func repairTime(s *Shape, measured *Day) time.Duration {
	longest := time.Duration(measured.RepairMax) * time.Second
	return max(longest, s.RepairDrive) + s.DetectDrive
}

func domain(s *Shape) string {
	switch {
	case s.Devices == 1 && s.Drives > 1:
		return fmt.Sprintf("The %d drives are folders on one device: they are one failure domain. When it fails everything is lost at once; %d+%d protects against lost folders and rot, not against the loss of the device.", s.Drives, s.K, s.M)
	case s.SharedDevice && s.OnDevice > s.M:
		return fmt.Sprintf("The %d drives lie on %d devices, and one of them holds up to %d shards of a stripe: more than the %d that may be lost.", s.Drives, s.Devices, s.OnDevice, s.M)
	case s.Nodes <= 1:
		return fmt.Sprintf("The %d drives lie on %d devices of one machine: any %d drives may be lost, but not the machine.", s.Drives, s.Devices, s.M)
	}
	return fmt.Sprintf("The %d drives lie on %d devices of %d machines; no machine holds more than %d shards of a stripe.", s.Drives, s.Devices, s.Nodes, s.OnNode)
}

func assumptions(s *Shape, e *Estimate) []string {
	all := []string{
		fmt.Sprintf("Every rate is taken at its exact Poisson upper bound (%.0f %% confidence) of what was measured here, together with the experience of others until this store has its own: %s; %s.", 100*Confidence, driveExperience.Provenance, latentExperience.Provenance),
		fmt.Sprintf("Drives fail independently of each other at a constant rate, a latent error hits one shard, and a stripe is lost when more than %d of its %d shards are bad at the same time.", s.M, s.K+s.M),
		fmt.Sprintf("A latent error is noticed after %s on average (half of the time between two audits, or the measured age where that is more); what a read notices earlier is not counted in its favour.", rounded(e.Detection)),
		fmt.Sprintf("A stripe is whole again %s after damage to it was noticed: the longest repair measured, or the time to rebuild a whole drive at the assumed rate.", rounded(e.Repair)),
		"Each outage of a drive for longer than a minute counts as its failure, though its bytes may come back.",
	}
	if s.SharedDevice {
		all = append(all, fmt.Sprintf("Correlated: a device takes all shards on it with it, up to %d of a stripe.", s.OnDevice))
	}
	if e.Chain.Node > 0 {
		all = append(all, "Correlated: a machine takes all of its drives with it; "+nodeExperience.Provenance+".")
	}
	return append(all,
		"Not in the figure: mistakes of operators and users, stolen keys, faults of this software, and disasters beyond one machine. Copies elsewhere are the remedy.")
}

func rounded(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.0f seconds", d.Seconds())
}
