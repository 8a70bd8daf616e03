package query

import (
	"context"
	"errors"
	"fmt"
	"strings"

	connect "connectrpc.com/connect/v2"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors"
)

// codes translates the errors on which callers branch. The first match decides.
var codes = []struct {
	err  error
	code connect.Code
}{
	{objects.ErrNoBucket, connect.CodeNotFound},
	{objects.ErrNoObject, connect.CodeNotFound},
	{objects.ErrNoUpload, connect.CodeNotFound},
	{vectors.ErrNoIndex, connect.CodeNotFound},
	{vectors.ErrNoVector, connect.CodeNotFound},
	{access.ErrUnknownKey, connect.CodeNotFound},
	{access.ErrRootStays, connect.CodeFailedPrecondition},
	{access.ErrRoot, connect.CodeFailedPrecondition},
	{objects.ErrBucketExists, connect.CodeAlreadyExists},
	{vectors.ErrIndexExists, connect.CodeAlreadyExists},
	{objects.ErrBucketNotEmpty, connect.CodeFailedPrecondition},
	{objects.ErrNoDrive, connect.CodeNotFound},
	{objects.ErrDriveNeeded, connect.CodeFailedPrecondition},
	{objects.ErrPrecondition, connect.CodeFailedPrecondition},
	{objects.ErrConflict, connect.CodeAborted},
	{objects.ErrTooLarge, connect.CodeInvalidArgument},
	{index.ErrTooLarge, connect.CodeInvalidArgument},
	{objects.ErrRange, connect.CodeOutOfRange},
	{objects.ErrReadOnly, connect.CodeUnavailable},
	{index.ErrReadOnly, connect.CodeUnavailable},
	{objects.ErrUnavailable, connect.CodeUnavailable},
	{index.ErrUnknown, connect.CodeUnavailable},
	{index.ErrClosed, connect.CodeUnavailable},
	{objects.ErrFull, connect.CodeResourceExhausted},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
	{context.Canceled, connect.CodeCanceled},
}

// invalid is the error for a bad field.
func invalid(field, reason string, args ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, field+": "+fmt.Sprintf(reason, args...))
}

// fields are the names that the engine, which speaks as S3 Vectors does, has for fields of these
// services.
var fields = strings.NewReplacer(
	"queryTexts", "texts", ".metadataKey", ".key", "metadataConfiguration.textSearchConfigurations", "text_keys",
	"add.textSearchConfigurations", "add", "delete.textSearchConfigurations", "remove",
)

// codeOf gives an error its Connect code and a text for the caller.
func codeOf(err error) error {
	var known *connect.Error
	if errors.As(err, &known) {
		return known
	}
	var bad *objects.InvalidError
	if errors.As(err, &bad) {
		return invalid(fields.Replace(bad.Field), "%s", bad.Reason)
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return connect.NewError(c.code, err.Error())
		}
	}
	return connect.NewError(connect.CodeInternal, err.Error())
}

// refine is the interceptor that applies codeOf to whatever a service returned.
func refine(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if err := next(ctx, spec, stream); err != nil {
			return codeOf(err)
		}
		return nil
	}
}
