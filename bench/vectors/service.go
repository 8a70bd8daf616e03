package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"time"

	connect "connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/access/authority"
	healthv1 "github.com/tarnlake/tarn/proto/grpc/health/v1"
	"github.com/tarnlake/tarn/proto/grpc/health/v1/healthv1connect"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
	"github.com/tarnlake/tarn/query"
	"github.com/tarnlake/tarn/vectors"
)

// served is a lake behind the Connect services, on loopback, with a client of root.
type served struct {
	*lake
	server  *http.Server
	vectors tarnv1connect.VectorServiceClient
	health  healthv1connect.HealthClient
}

func (l *lake) serve(ctx context.Context) (*served, error) {
	h := quietHost()
	keys, err := access.Open(ctx, h, l.store.Index(), make([]byte, access.MasterKeyBytes))
	if err != nil {
		return nil, err
	}
	root := keys.NewRoot()
	if err := keys.EnsureRoot(ctx, root); err != nil {
		return nil, err
	}
	judge := authority.New(keys)
	judge.Register(authority.S3([]string{"s3:GetObject"}, authority.Policies{Store: l.store}.Get))
	judge.Register(authority.Vectors{Region: "local"}.Service([]string{"s3vectors:PutVectors", "s3vectors:QueryVectors"}, func(context.Context, string) (string, error) { return "", nil }))
	judge.Register(authority.Tarn())
	handler, _ := query.Handler(query.Options{
		Host: h, Store: l.store, Vectors: l.engine, Keys: keys, Version: "bench", Authority: judge, Region: "local",
		Gate: admission.New(admission.Options{Clock: h.Clock}),
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &served{lake: l, server: &http.Server{Handler: handler}}
	go func() { _ = s.server.Serve(listener) }()
	token, _, err := keys.Token(root.AccessKey, access.TokenMax)
	if err != nil {
		return nil, err
	}
	proven := connect.NewClient(connecthttp.NewTransport(http.DefaultClient, "http://"+listener.Addr().String()), func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+token)
			}
			return next(ctx, spec)
		}
	})
	s.vectors, s.health = tarnv1connect.NewVectorServiceClient(proven), healthv1connect.NewHealthClient(proven)
	return s, nil
}

func numbersOf(values []float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// batchQueries is how many queries one call of a batch has.
const batchQueries = 32

// service compares an empty call, a query in process, the same by a call, and batches, one after the other.
func service(ctx context.Context, s settings) error {
	l, err := openLake(ctx, quietHost(), filepath.Join(s.dir, fmt.Sprintf("service-%d-%d", s.dim, s.vectors)), vectors.Options{})
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.make(ctx, name, newMixture(7, s.dim, max(16, s.vectors/1000)), s.vectors); err != nil {
		return err
	}
	srv, err := l.serve(ctx)
	if err != nil {
		return err
	}
	defer srv.server.Close()
	queries := newMixture(7, s.dim, max(16, s.vectors/1000)).draws(s.queriesOf)
	if s.profile != "" {
		f, err := os.Create(s.profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	kinds := []string{"empty", "in_process", "unary", "batch"}
	took, cpu, n := map[string][]float64{}, map[string]time.Duration{}, map[string]int{}
	for round := range s.rounds + 1 { // the first one warms
		for i, q := range queries {
			for _, kind := range kinds {
				count := 1
				if kind == "batch" {
					if i%batchQueries != 0 || i+batchQueries > len(queries) {
						continue
					}
					count = batchQueries
				}
				before, began := cpuTime(), time.Now()
				if err := srv.call(ctx, kind, q, queries[i:]); err != nil {
					return err
				}
				t := time.Since(began)
				if round > 0 {
					cpu[kind] += cpuTime() - before
					n[kind] += count
					took[kind] = append(took[kind], t.Seconds()*1e6/float64(count))
				}
			}
		}
	}
	line := map[string]any{"what": "service", "vectors": s.vectors, "dimension": s.dim}
	median := map[string]float64{}
	for _, kind := range kinds {
		list := took[kind]
		slices.Sort(list)
		median[kind] = list[len(list)/2]
		line[kind+"_us"], line[kind+"_p99_us"] = median[kind], list[len(list)*99/100]
		line[kind+"_cpu_us"] = float64(cpu[kind].Microseconds()) / float64(n[kind])
	}
	line["unary_less_empty_of_in_process"] = (median["unary"] - median["empty"]) / median["in_process"]
	line["batch_of_in_process_speed"] = median["in_process"] / median["batch"]
	return print(line)
}

// call asks one thing in one of the ways.
func (s *served) call(ctx context.Context, kind string, q []float32, more [][]float32) error {
	switch kind {
	case "empty":
		_, err := s.health.Check(ctx, &healthv1.HealthCheckRequest{})
		return err
	case "in_process":
		_, err := s.engine.Query(ctx, bucket, name, vectors.Request{Values: q, TopK: 10})
		return err
	case "unary":
		_, err := s.vectors.Query(ctx, &tarnv1.QueryRequest{Bucket: bucket, Index: name, Target: &tarnv1.QueryRequest_Values{Values: numbersOf(q)}, TopK: 10})
		return err
	}
	req := &tarnv1.QueryBatchRequest{Bucket: bucket, Index: name}
	for _, q := range more[:batchQueries] {
		req.Queries = append(req.Queries, &tarnv1.QueryRequest{Target: &tarnv1.QueryRequest_Values{Values: numbersOf(q)}, TopK: 10})
	}
	_, err := s.vectors.QueryBatch(ctx, req)
	return err
}
