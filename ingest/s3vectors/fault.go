package s3vectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors"
)

// fault is an error in the SDKs' shape.
type fault struct {
	status  int
	kind    string // x-amzn-ErrorType
	message string
	fields  []field
}

type field struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

func (f *fault) Error() string { return f.kind + ": " + f.message }

// The kinds of fault, as the service's model names them.
const (
	validation   = "ValidationException"
	accessDenied = "AccessDeniedException"
	notFound     = "NotFoundException"
	conflict     = "ConflictException"
	timeout      = "RequestTimeoutException"
	tooMany      = "TooManyRequestsException"
	internal     = "InternalServerException"
	unavailable  = "ServiceUnavailableException"

	serialization = "SerializationException"
)

// invalid refuses a member of the input.
func invalid(path, reason string, args ...any) *fault {
	text := fmt.Sprintf(reason, args...)
	f := &fault{status: http.StatusBadRequest, kind: validation, message: text}
	if path != "" {
		f.message = path + ": " + text
		f.fields = []field{{Path: path, Message: text}}
	}
	return f
}

// faults translates the errors on which callers branch; the first match decides.
var faults = []struct {
	err    error
	status int
	kind   string
}{
	{access.ErrDenied, http.StatusForbidden, accessDenied},
	{os.ErrDeadlineExceeded, http.StatusRequestTimeout, timeout},
	{objects.ErrNoBucket, http.StatusNotFound, notFound},
	{vectors.ErrNoIndex, http.StatusNotFound, notFound},
	{vectors.ErrNoVector, http.StatusNotFound, notFound},
	{objects.ErrBucketExists, http.StatusConflict, conflict},
	{vectors.ErrIndexExists, http.StatusConflict, conflict},
	{objects.ErrBucketNotEmpty, http.StatusConflict, conflict},
	{objects.ErrConflict, http.StatusServiceUnavailable, unavailable},
	{vectors.ErrClosed, http.StatusServiceUnavailable, unavailable},
	{objects.ErrReadOnly, http.StatusServiceUnavailable, unavailable},
	{index.ErrReadOnly, http.StatusServiceUnavailable, unavailable},
	{objects.ErrUnavailable, http.StatusServiceUnavailable, unavailable},
	{index.ErrUnknown, http.StatusServiceUnavailable, unavailable},
	{index.ErrClosed, http.StatusServiceUnavailable, unavailable},
	{objects.ErrFull, http.StatusServiceUnavailable, unavailable},
	{index.ErrTooLarge, http.StatusBadRequest, validation},
	{sigv4.ErrBodyTooLarge, http.StatusBadRequest, validation},
	{sigv4.ErrIncomplete, http.StatusBadRequest, validation},
	{sigv4.ErrBroken, http.StatusBadRequest, validation},
	{context.DeadlineExceeded, http.StatusRequestTimeout, timeout},
	{context.Canceled, http.StatusRequestTimeout, timeout},
}

// signatures are the errors of proving who calls, with the names that the SDKs know.
var signatures = []struct {
	err  error
	kind string
}{
	{sigv4.ErrAnonymous, "MissingAuthenticationTokenException"},
	{sigv4.ErrUnknownKey, "UnrecognizedClientException"},
	{sigv4.ErrMismatch, "InvalidSignatureException"},
	{sigv4.ErrSkewed, "InvalidSignatureException"},
	{sigv4.ErrExpired, "InvalidSignatureException"},
	{sigv4.ErrNotYet, "InvalidSignatureException"},
	{sigv4.ErrPayload, "InvalidSignatureException"},
	{sigv4.ErrNoDate, "IncompleteSignatureException"},
	{sigv4.ErrHeader, "IncompleteSignatureException"},
	{sigv4.ErrQuery, "IncompleteSignatureException"},
	{sigv4.ErrUnsupported, "IncompleteSignatureException"},
	{sigv4.ErrTwoMechanisms, "IncompleteSignatureException"},
	{sigv4.ErrUnsigned, "InvalidSignatureException"},
	{sigv4.ErrPayloadHash, "InvalidSignatureException"},
}

// faultOf gives any error its shape.
func faultOf(err error) *fault {
	var known *fault
	if errors.As(err, &known) {
		return known
	}
	var bad *objects.InvalidError
	if errors.As(err, &bad) {
		return invalid(member(bad.Field), "%s", bad.Reason)
	}
	var over *admission.OverloadError
	if errors.As(err, &over) {
		return &fault{status: http.StatusTooManyRequests, kind: tooMany, message: err.Error()}
	}
	for _, f := range faults {
		if errors.Is(err, f.err) {
			return &fault{status: f.status, kind: f.kind, message: err.Error()}
		}
	}
	for _, s := range signatures {
		if errors.Is(err, s.err) {
			return &fault{status: http.StatusForbidden, kind: s.kind, message: err.Error()}
		}
	}
	return &fault{status: http.StatusInternalServerError, kind: internal, message: "an internal error; the log has it under this request's id"}
}

// member is the protocol's name of a field that the store names otherwise.
func member(name string) string {
	if name == "bucket" {
		return "vectorBucketName"
	}
	return name
}

// refuse writes an error and returns its status.
func (d *Door) refuse(w http.ResponseWriter, operation, id string, err error) int {
	f := faultOf(err)
	if f.status == http.StatusInternalServerError || f.status == http.StatusServiceUnavailable {
		d.o.Host.Log.Error("s3vectors", "operation", operation, "request", id, "error", err)
	}
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-ErrorType", f.kind)
	w.WriteHeader(f.status)
	body := map[string]any{"message": f.message}
	if f.fields != nil {
		body["fieldList"] = f.fields
	}
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nobody is left to tell
	return f.status
}
