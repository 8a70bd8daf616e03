package query

import (
	"context"
	"net/http"
	"time"

	connect "connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/grpcreflect/v2"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/proto/grpc/health/v1/healthv1connect"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
	"github.com/tarnlake/tarn/vectors"
)

// messageBytesMax bounds one request: 500 vectors of 4096 float32 are 8 MiB,
// their metadata to 20 MiB, an object beside them to 16 MiB.
const messageBytesMax = 48 << 20

// compressMin is from how many bytes on an answer is compressed: a page of hits is sent sooner than it is
// compressed.
const compressMin = 32 << 10

// Options are what the services stand on. Every field is needed but Called and Gate.
type Options struct {
	Host    *host.Host
	Store   *objects.Store
	Vectors *vectors.Engine
	Keys    *access.Keyring
	Region  string // in the ARNs of indexes
	Embed   Embedders
	Version string // of the binary

	Authority Authority // is asked about every call
	Presign   Presign
	Gate      *admission.Gate // admits calls before their message is read; nil: all of them
	// Called is told of every finished call, for metrics and the access log.
	Called func(procedure, accessKey string, code string, took time.Duration)
}

// Presign signs a URL of the S3 door: of method on origin's bucket and key, good for life.
type Presign func(ctx context.Context, method, origin, bucket, key, accessKey, secret string, life time.Duration) (string, error)

// Embedders turns texts into vectors with the model that an index names.
type Embedders interface {
	Embed(ctx context.Context, spec vectors.EmbedderSpec, texts []string) ([][]float32, error)
}

// Handler serves all services, and says which service names it knows: the port's
// router sends exactly those here.
func Handler(o Options) (handler http.Handler, names []string) {
	if o.Called == nil {
		o.Called = func(string, string, string, time.Duration) {}
	}
	server := connect.NewServer(report(o), refine, authenticate(o.Keys), admit(o.Gate), guard(&o))
	tarnv1connect.RegisterVectorServiceHandler(server, &vectorService{o: o, pages: newPages(o.Host)})
	tarnv1connect.RegisterObjectServiceHandler(server, &objectService{o: o})
	tarnv1connect.RegisterAdminServiceHandler(server, &adminService{o: o, started: o.Host.Clock.Now()})
	tarnv1connect.RegisterDurabilityServiceHandler(server, &durabilityService{o: o})
	tarnv1connect.RegisterSessionServiceHandler(server, &sessionService{o: o})
	healthv1connect.RegisterHealthHandler(server, &healthService{store: o.Store, clock: o.Host.Clock})
	grpcreflect.Register(server)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server, connecthttp.WithReadMaxBytes(messageBytesMax), connecthttp.WithCompressMinBytes(compressMin))
	return withRequest(mux), []string{
		tarnv1connect.VectorServiceName, tarnv1connect.ObjectServiceName,
		tarnv1connect.AdminServiceName, tarnv1connect.DurabilityServiceName, tarnv1connect.SessionServiceName,
		healthv1connect.HealthName, grpcreflect.ReflectV1ServiceName, grpcreflect.ReflectV1AlphaServiceName,
	}
}

// report tells Options.Called of every call.
func report(o Options) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			begun := o.Host.Clock.Now()
			caller := &caller{}
			err := next(context.WithValue(ctx, callerKey{}, caller), spec, stream)
			code := "ok"
			if err != nil {
				code = connect.CodeOf(err).String()
			}
			o.Called(spec.Procedure, caller.AccessKey, code, o.Host.Clock.Now().Sub(begun))
			return err
		}
	}
}
