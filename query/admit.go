package query

import (
	"context"
	"errors"
	"strings"

	connect "connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tarnlake/tarn/access/admission"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// admit asks for leave before a call's message is read. Whoever calls is known by
// then. Administration, sessions and health are never made to wait.
func admit(gate *admission.Gate) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			permit, err := gate.Admit(ctx, admission.Ask{Class: class(spec.Procedure), Tenant: callerOf(ctx).AccessKey})
			if err != nil {
				return refusal(err)
			}
			defer permit.Done()
			if spec.StreamType != connect.StreamTypeUnary {
				permit.Park() // it is open for long, and the engine slows its batches down
			}
			return next(ctx, spec, stream)
		}
	}
}

func class(procedure string) admission.Class {
	service, method, _ := strings.Cut(strings.TrimPrefix(procedure, "/"), "/")
	if service != tarnv1connect.VectorServiceName && service != tarnv1connect.ObjectServiceName {
		return admission.Control
	}
	for _, verb := range []string{"Get", "List", "Query", "Count", "Facets", "Search", "Describe", "Recall", "Head", "Stat"} {
		if strings.HasPrefix(method, verb) {
			return admission.Reads
		}
	}
	return admission.Writes
}

// refusal tells the client when to come again.
func refusal(err error) error {
	var over *admission.OverloadError
	if !errors.As(err, &over) {
		return codeOf(err)
	}
	refused := connect.NewError(connect.CodeResourceExhausted, over.Error())
	detail, err := connectproto.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(over.RetryAfter)})
	if err != nil {
		return refused
	}
	return refused.WithDetail(detail)
}

func loadOf(s admission.Status) *tarnv1.Load {
	out := &tarnv1.Load{Limit: uint32(s.Limit), Working: uint32(s.Working), Open: uint32(s.Open)}
	for _, c := range s.Classes {
		out.Classes = append(out.Classes, &tarnv1.ClassLoad{
			Class: c.Class.String(), Working: uint32(c.Working), Waiting: uint32(c.Waiting), Admitted: c.Admitted, Refused: c.Refused,
		})
	}
	return out
}
