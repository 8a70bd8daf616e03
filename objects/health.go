package objects

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tarnlake/tarn/objects/placement"
)

// Health is the store's state in short.
type Health struct {
	StoreID                  string // hex
	DataShards, ParityShards int
	Writable                 bool
	Reason                   string           // why not
	Devices                  int              // with a well drive: the failure domains
	Placement                placement.Report // what may be lost
	Groups                   int              // sets of drives that share stripes
	Warnings                 []string         // what an operator should know or do
	Repairing                bool
	Repair                   RepairReport // the repair under way, else the last one
}

// Health looks at the drives; it reads nothing of them.
func (s *Store) Health() Health {
	report := s.drives.holding().Assess(s.o.DataShards, s.o.ParityShards)
	h := Health{
		StoreID: hex.EncodeToString(s.id[:]), DataShards: s.o.DataShards, ParityShards: s.o.ParityShards,
		Devices: report.Domains[placement.Device].Count, Placement: report,
	}
	record := s.roots.get()
	h.Groups = len(record.groups)
	h.Writable, h.Reason = s.Writable()
	h.Repairing, h.Repair = s.repairs.progress()
	h.Warnings = fewDomains(report)
	lost := map[string]bool{} // paths of drives that are already spoken of
	for _, d := range s.Drives() {
		switch {
		case d.State == DriveWell, d.Number == 0 && lost[d.Path]:
		case d.Number == 0:
			h.Warnings = append(h.Warnings, fmt.Sprintf("folder %s is no drive of the store: %s", d.Path, d.Reason))
		case d.State == DriveDraining && d.Drain.Done:
			h.Warnings = append(h.Warnings, fmt.Sprintf("drive %d at %s is drained and can be removed", d.Number, d.Path))
		default:
			lost[d.Path] = true
			h.Warnings = append(h.Warnings, fmt.Sprintf("drive %d at %s is %s: %s", d.Number, d.Path, d.State, d.Reason))
		}
	}
	return h
}

// fewDomains says where the loss of one failure domain is more than the parity covers.
func fewDomains(r placement.Report) (warnings []string) {
	if r.Well < r.Data || r.Parity == 0 {
		return nil
	}
	for at := placement.Zone; at < placement.Device; at++ {
		if d := r.Domains[at]; d.Count > 1 && d.Tolerated == 0 {
			warnings = append(warnings, fmt.Sprintf("the %d drives are in %d %ss, too few failure domains: the loss of one %s is more than the parity covers", r.Well, d.Count, at, at))
		}
	}
	devices := r.Domains[placement.Device]
	switch {
	case devices.Tolerated > 0:
	case devices.Count == 1:
		warnings = append(warnings, fmt.Sprintf("the %d drives share one device and are one failure domain: any %d folders may be lost, but not the device", r.Well, r.Shards-r.Data))
	default:
		warnings = append(warnings, fmt.Sprintf("the %d drives lie on %d devices, too few failure domains: the loss of one device is more than the parity covers", r.Well, devices.Count))
	}
	return warnings
}

// Writable tells whether writes are taken now, and if not, why.
func (s *Store) Writable() (bool, string) {
	if err := s.drives.writable(s.o.DataShards, s.o.ParityShards, false); err != nil {
		return false, strings.TrimPrefix(err.Error(), ErrReadOnly.Error()+": ")
	}
	return true, ""
}

// Drives tells of every drive of the store, and of every folder given that is none.
func (s *Store) Drives() []DriveStatus {
	var all []DriveStatus
	for _, m := range s.drives.list() {
		all = append(all, s.statusOf(m))
	}
	s.strange.Lock()
	defer s.strange.Unlock()
	return append(all, s.strays...)
}

// spare is how many more shards of a stripe may be lost.
func (s *Store) spare(st *Stripe) int {
	good := 0
	for i, sh := range st.Shards {
		m := s.drives.find(sh.Drive)
		if !sh.Address.IsZero() && m != nil && m.readable() && !s.repairs.reported(shardID{st.ID, uint8(i)}) {
			good++
		}
	}
	return good - int(st.K)
}
