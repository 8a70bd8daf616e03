package objects

import (
	"context"
	"fmt"
	"strings"
)

// LabelBytesMax limits each label of a drive.
const LabelBytesMax = 64

// Labels say where a drive is: what stands in one zone, rack or node may fail at
// once. Drives without labels are in one place, but for their devices.
type Labels struct{ Zone, Rack, Node string }

// ParseLabels reads name=value pairs: zone, rack and node.
func ParseLabels(pairs []string) (Labels, error) {
	var l Labels
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "zone":
			l.Zone = value
		case "rack":
			l.Rack = value
		case "node":
			l.Node = value
		default:
			return l, fmt.Errorf("label %q is not zone=…, rack=… or node=…", pair)
		}
	}
	return l, l.check()
}

// String gives the labels as ParseLabels reads them, with commas between.
func (l Labels) String() string {
	var pairs []string
	for _, p := range [][2]string{{"zone", l.Zone}, {"rack", l.Rack}, {"node", l.Node}} {
		if p[1] != "" {
			pairs = append(pairs, p[0]+"="+p[1])
		}
	}
	return strings.Join(pairs, ",")
}

func (l Labels) check() error {
	for _, label := range []string{l.Zone, l.Rack, l.Node} {
		if len(label) > LabelBytesMax {
			return invalid("label", "has %d bytes, at most %d", len(label), LabelBytesMax)
		}
		if strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(",:=", r) }) {
			return invalid("label", "%q has a space, a comma, a colon, an equals sign or a control character", label)
		}
	}
	return nil
}

// LabelDrive changes where a drive is said to be. Stripes that were written before
// stay where they are until the balance moves them.
func (s *Store) LabelDrive(ctx context.Context, number uint16, l Labels) (DriveStatus, error) {
	if err := l.check(); err != nil {
		return DriveStatus{}, err
	}
	s.arranging.Lock()
	defer s.arranging.Unlock()
	m := s.drives.find(number)
	if m == nil {
		return DriveStatus{}, noDrive(number)
	}
	if err := s.rearrange(ctx, func(r *rootRecord) { r.drive(number).labels = l }); err != nil {
		return DriveStatus{}, fmt.Errorf("label drive %d: %w", number, err)
	}
	s.moves.wake()
	return s.statusOf(m), nil
}

func noDrive(number uint16) error {
	return fmt.Errorf("%w: there is no drive %d", ErrNoDrive, number)
}
