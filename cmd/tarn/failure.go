package main

import (
	"context"
	"errors"
	"net"
	"strings"

	connect "connectrpc.com/connect/v2"
	"github.com/minio/minio-go/v7"
)

// Exit statuses, stable for scripts.
const (
	statusOK          = 0
	statusFailed      = 1
	statusUsage       = 2 // a bad flag, argument or setting
	statusNotFound    = 3
	statusDenied      = 4
	statusConflict    = 5 // exists already, not empty, or a condition that does not hold
	statusUnavailable = 6 // no server there, read-only, or overloaded
)

// errReported: the command has said what went wrong itself.
var errReported = errors.New("reported")

type usageError struct{ reason string }

func (e *usageError) Error() string { return e.reason }

var connectStatus = map[connect.Code]int{
	connect.CodeInvalidArgument: statusUsage, connect.CodeOutOfRange: statusUsage,
	connect.CodeNotFound: statusNotFound, connect.CodeUnauthenticated: statusDenied,
	connect.CodePermissionDenied: statusDenied, connect.CodeAlreadyExists: statusConflict,
	connect.CodeFailedPrecondition: statusConflict, connect.CodeAborted: statusConflict,
	connect.CodeUnavailable: statusUnavailable, connect.CodeResourceExhausted: statusUnavailable,
}

func statusOf(err error) int {
	var setting *settingError
	var usage *usageError
	var call *connect.Error
	var s3 minio.ErrorResponse
	var inUse *inUseError
	switch {
	case errors.As(err, &inUse):
		return statusConflict
	case errors.As(err, &setting), errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &call):
		if s, ok := connectStatus[call.Code()]; ok {
			return s
		}
	case errors.As(err, &s3):
		return s3Status(s3)
	case unreachable(err):
		return statusUnavailable
	}
	return statusFailed
}

func s3Status(e minio.ErrorResponse) int {
	switch {
	case e.StatusCode == 404 || strings.HasPrefix(e.Code, "NoSuch"):
		return statusNotFound
	case e.StatusCode == 403:
		return statusDenied
	case e.StatusCode == 409 || e.StatusCode == 412:
		return statusConflict
	case e.StatusCode == 503:
		return statusUnavailable
	case e.StatusCode == 400 || strings.HasPrefix(e.Code, "Invalid"):
		return statusUsage
	}
	return statusFailed
}

func unreachable(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial" || errors.Is(err, context.DeadlineExceeded)
}

// describe is an error's one line, with the way out where there is one.
func describe(err error) string {
	var call *connect.Error
	text := err.Error()
	if errors.As(err, &call) {
		text = call.Message()
	}
	if unreachable(err) {
		return text + " (is the server running? start it with `tarn serve`, or name it with --endpoint)"
	}
	return text
}
