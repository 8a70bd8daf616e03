package query

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

func driveOf(d objects.DriveStatus) *tarnv1.Drive {
	out := &tarnv1.Drive{
		Number: uint32(d.Number), Path: d.Path, Id: d.ID, State: d.State.String(), Reason: d.Reason,
		UsedBytes: uint64(d.BytesUsed), FreeBytes: uint64(d.BytesFree), TotalBytes: uint64(d.BytesTotal),
		Device: d.Device, Journal: d.Journal, View: d.View,
		Zone: d.Labels.Zone, Rack: d.Labels.Rack, Node: d.Labels.Node,
	}
	if !d.Since.IsZero() {
		out.Since = timestamppb.New(d.Since)
	}
	if d.Draining {
		out.Draining, out.Drained = true, d.Drain.Done
		out.ShardsLeft, out.BytesLeft = uint64(d.Drain.Shards), uint64(d.Drain.Bytes)
	}
	return out
}

func moveOf(m objects.MoveReport) *tarnv1.MoveProgress {
	return &tarnv1.MoveProgress{
		Kind: m.Kind, Running: m.Running, Stripes: uint64(m.Report.Healed), Bytes: uint64(m.Report.BytesWritten),
		Unplaced: uint64(m.Report.Damaged - m.Report.Healed), Error: m.Error,
	}
}

func (s *adminService) AddDrive(ctx context.Context, req *tarnv1.AddDriveRequest) (*tarnv1.AddDriveResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	if req.Path == "" {
		return nil, invalid("path", "is empty")
	}
	d, err := s.o.Store.AddDrive(ctx, req.Path, objects.Labels{Zone: req.Zone, Rack: req.Rack, Node: req.Node})
	if err != nil {
		return nil, err
	}
	return &tarnv1.AddDriveResponse{Drive: driveOf(d)}, nil
}

func (s *adminService) DrainDrive(ctx context.Context, req *tarnv1.DrainDriveRequest) (*tarnv1.DrainDriveResponse, error) {
	number, err := driveNumber(ctx, req.Number)
	if err != nil {
		return nil, err
	}
	change := s.o.Store.DrainDrive
	if req.Keep {
		change = s.o.Store.KeepDrive
	}
	d, err := change(ctx, number)
	if err != nil {
		return nil, err
	}
	return &tarnv1.DrainDriveResponse{Drive: driveOf(d)}, nil
}

func (s *adminService) RemoveDrive(ctx context.Context, req *tarnv1.RemoveDriveRequest) (*tarnv1.RemoveDriveResponse, error) {
	number, err := driveNumber(ctx, req.Number)
	if err != nil {
		return nil, err
	}
	return &tarnv1.RemoveDriveResponse{}, s.o.Store.RemoveDrive(ctx, number, req.Force)
}

func (s *adminService) BalanceDrives(ctx context.Context, _ *tarnv1.BalanceDrivesRequest) (*tarnv1.BalanceDrivesResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	begun, err := s.o.Store.BalanceNow(ctx)
	return &tarnv1.BalanceDrivesResponse{Begun: begun}, err
}

func (s *adminService) LabelDrive(ctx context.Context, req *tarnv1.LabelDriveRequest) (*tarnv1.LabelDriveResponse, error) {
	number, err := driveNumber(ctx, req.Number)
	if err != nil {
		return nil, err
	}
	d, err := s.o.Store.LabelDrive(ctx, number, objects.Labels{Zone: req.Zone, Rack: req.Rack, Node: req.Node})
	if err != nil {
		return nil, err
	}
	return &tarnv1.LabelDriveResponse{Drive: driveOf(d)}, nil
}

// driveNumber of a request by somebody who may change the layout.
func driveNumber(ctx context.Context, number uint32) (uint16, error) {
	if err := rootOnly(ctx); err != nil {
		return 0, err
	}
	if number == 0 || number > 1<<16-1 {
		return 0, invalid("number", "%d is no drive's", number)
	}
	return uint16(number), nil
}
