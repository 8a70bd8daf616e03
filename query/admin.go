package query

import (
	"context"
	"time"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

type adminService struct {
	o       Options
	started time.Time
}

// rootOnly refuses whoever may not manage the store itself.
func rootOnly(ctx context.Context) error {
	if !callerOf(ctx).Root {
		return connect.NewError(connect.CodePermissionDenied, "only the root key may do this")
	}
	return nil
}

func (s *adminService) Status(ctx context.Context, req *tarnv1.StatusRequest) (*tarnv1.StatusResponse, error) {
	health := s.o.Store.Health()
	buckets, err := s.o.Store.Buckets(ctx)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.StatusResponse{
		Version: s.o.Version, StoreId: health.StoreID, DataShards: uint32(health.DataShards), ParityShards: uint32(health.ParityShards),
		Writable: health.Writable, Reason: health.Reason, FailureDomains: uint32(health.Devices), Warnings: health.Warnings,
		Buckets: uint64(len(buckets)), Started: timestamppb.New(s.started), Repair: progressOf(health.Repair, health.Repairing),
		Move: moveOf(s.o.Store.Moves()), Placement: health.Placement.String(), Groups: uint32(health.Groups),
		Load:     loadOf(s.o.Gate.Status()),
		Tidiness: tidinessOf(s.o.Store.Tidiness()),
	}
	for _, d := range s.o.Store.Drives() {
		out.Drives = append(out.Drives, driveOf(d))
	}
	if req.Redundancy {
		counts, err := s.o.Store.Redundancy(ctx)
		if err != nil {
			return nil, err
		}
		out.BlobsBySpareShards = map[uint32]uint64{}
		for spare, n := range counts.Spare {
			if n > 0 {
				out.BlobsBySpareShards[uint32(spare)] = uint64(n)
			}
		}
		out.BlobsUnreadable = uint64(counts.Lost)
	}
	return out, nil
}

func tidinessOf(t objects.Tidiness) *tarnv1.Tidiness {
	return &tarnv1.Tidiness{
		BacklogBlobs: uint64(t.BacklogBlobs), PackedBlobs: uint64(t.PackedBlobs), PackedBytes: uint64(t.PackedBytes),
		SmallBytes: uint64(t.SmallBytes), SharedBytes: uint64(t.SharedBytes), SparseBytes: uint64(t.SparseBytes),
		MovedBytes: uint64(t.MovedBytes), GivenBackBytes: uint64(t.GivenBack),
	}
}

func progressOf(r objects.RepairReport, running bool) *tarnv1.RepairProgress {
	return &tarnv1.RepairProgress{
		Running: running, Scanned: uint64(r.Scanned), Damaged: uint64(r.Damaged), Healed: uint64(r.Healed),
		Unrepairable: uint64(r.Unrepairable), BytesWritten: uint64(r.BytesWritten),
	}
}

func (s *adminService) AdoptDrive(ctx context.Context, req *tarnv1.AdoptDriveRequest) (*tarnv1.AdoptDriveResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	if req.Path == "" {
		return nil, invalid("path", "is empty")
	}
	d, err := s.o.Store.AdoptDrive(ctx, req.Path)
	if err != nil {
		return nil, err
	}
	return &tarnv1.AdoptDriveResponse{Drive: driveOf(d)}, nil
}

// Repair streams progress at most a few times a second, and the report at the end.
func (s *adminService) Repair(ctx context.Context, _ *tarnv1.RepairRequest, stream tarnv1connect.AdminServiceRepairServerStream) error {
	if err := rootOnly(ctx); err != nil {
		return err
	}
	const every = 200 * time.Millisecond
	clock := s.o.Host.Clock
	last := clock.Now()
	report, err := s.o.Store.Repair(ctx, objects.RepairOptions{Progress: func(done, total int64) {
		if now := clock.Now(); now.Sub(last) >= every {
			last = now
			_ = stream.Send(&tarnv1.RepairResponse{Progress: &tarnv1.RepairProgress{Running: true, Scanned: uint64(done), Total: uint64(total)}}) // ctx ends with the caller
		}
	}})
	if err != nil {
		return err
	}
	return stream.Send(&tarnv1.RepairResponse{Progress: progressOf(report, false), Done: true})
}

func (s *adminService) CreateKey(ctx context.Context, req *tarnv1.CreateKeyRequest) (*tarnv1.CreateKeyResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	rights, err := s.o.rightsOf(req.All, req.Policy)
	if err != nil {
		return nil, err
	}
	k, err := s.o.Keys.Create(ctx, req.Name, rights)
	if err != nil {
		return nil, err
	}
	return &tarnv1.CreateKeyResponse{Key: keyOf(k.Identity), SecretKey: k.Secret}, nil
}

func keyOf(i access.Identity) *tarnv1.Key {
	return &tarnv1.Key{AccessKey: i.AccessKey, Name: i.Name, Created: timestamppb.New(i.Created), Root: i.Root, All: i.All, Policy: i.Policy}
}

func (s *adminService) SetKeyRights(ctx context.Context, req *tarnv1.SetKeyRightsRequest) (*tarnv1.SetKeyRightsResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	rights, err := s.o.rightsOf(req.All, req.Policy)
	if err != nil {
		return nil, err
	}
	who, err := s.o.Keys.SetRights(ctx, req.AccessKey, rights)
	if err != nil {
		return nil, err
	}
	return &tarnv1.SetKeyRightsResponse{Key: keyOf(who)}, nil
}

func (s *adminService) ListKeys(ctx context.Context, _ *tarnv1.ListKeysRequest) (*tarnv1.ListKeysResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	list, err := s.o.Keys.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &tarnv1.ListKeysResponse{}
	for _, i := range list {
		out.Keys = append(out.Keys, keyOf(i))
	}
	return out, nil
}

func (s *adminService) DeleteKey(ctx context.Context, req *tarnv1.DeleteKeyRequest) (*tarnv1.DeleteKeyResponse, error) {
	if err := rootOnly(ctx); err != nil {
		return nil, err
	}
	return &tarnv1.DeleteKeyResponse{}, s.o.Keys.Delete(ctx, req.AccessKey)
}
