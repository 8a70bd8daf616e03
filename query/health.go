package query

import (
	"context"
	"time"

	connect "connectrpc.com/connect/v2"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	healthv1 "github.com/tarnlake/tarn/proto/grpc/health/v1"
	"github.com/tarnlake/tarn/proto/grpc/health/v1/healthv1connect"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// healthPoll is how often a watched status is looked at.
const healthPoll = time.Second

// healthService tells whether the store can be used: SERVING while it reads and
// writes, NOT_SERVING while it is read-only.
type healthService struct {
	store interface{ Health() objects.Health }
	clock host.Clock
}

var watched = map[string]bool{
	"": true, tarnv1connect.VectorServiceName: true, tarnv1connect.ObjectServiceName: true,
	tarnv1connect.AdminServiceName: true, tarnv1connect.SessionServiceName: true,
}

func (s *healthService) status() healthv1.HealthCheckResponse_ServingStatus {
	if s.store.Health().Writable {
		return healthv1.HealthCheckResponse_SERVING
	}
	return healthv1.HealthCheckResponse_NOT_SERVING
}

func (s *healthService) Check(_ context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if !watched[req.Service] {
		return nil, connect.Errorf(connect.CodeNotFound, "service %q is not known here", req.Service)
	}
	return &healthv1.HealthCheckResponse{Status: s.status()}, nil
}

func (s *healthService) Watch(ctx context.Context, req *healthv1.HealthCheckRequest, stream healthv1connect.HealthWatchServerStream) error {
	last := healthv1.HealthCheckResponse_UNKNOWN
	for {
		now := healthv1.HealthCheckResponse_SERVICE_UNKNOWN
		if watched[req.Service] {
			now = s.status()
		}
		if now != last {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		if err := s.clock.Sleep(ctx, healthPoll); err != nil {
			return err
		}
	}
}
