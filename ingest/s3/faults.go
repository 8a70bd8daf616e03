package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// fault is an error as S3's clients know it.
type fault struct {
	code    string
	status  int
	message string
	details []detail          // further elements of the answer
	header  map[string]string // of the answer
}

type detail struct{ name, value string }

func (f *fault) Error() string { return f.code + ": " + f.message }

type row struct {
	err     error
	code    string
	status  int
	message string
}

// table turns errors into faults. The first row whose error is in the chain is
// taken; where its message is empty, the error speaks for itself.
var table = []row{
	{access.ErrDenied, "AccessDenied", 403, ""},

	{sigv4.ErrAnonymous, "AccessDenied", 403, "Access Denied: the request carries no signature"},
	{sigv4.ErrUnsupported, "InvalidRequest", 400, ""},
	{sigv4.ErrTwoMechanisms, "InvalidArgument", 400, ""},
	{sigv4.ErrHeader, "AuthorizationHeaderMalformed", 400, ""},
	{sigv4.ErrQuery, "AuthorizationQueryParametersError", 400, ""},
	{sigv4.ErrUnknownKey, "InvalidAccessKeyId", 403, "The AWS access key ID you provided does not exist in our records."},
	{sigv4.ErrMismatch, "SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	{sigv4.ErrSkewed, "RequestTimeTooSkewed", 403, "The difference between the request time and the server's time is too large (15 minutes at most)."},
	{sigv4.ErrExpired, "AccessDenied", 403, "Request has expired"},
	{sigv4.ErrNotYet, "AccessDenied", 403, "Request is not yet valid"},
	{sigv4.ErrUnsigned, "AccessDenied", 403, ""},
	{sigv4.ErrNoDate, "AccessDenied", 403, ""},
	{sigv4.ErrNoPayloadHash, "InvalidRequest", 400, "Missing required header for this request: x-amz-content-sha256"},
	{sigv4.ErrPayloadHash, "InvalidArgument", 400, ""},
	{sigv4.ErrPayload, "XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
	{sigv4.ErrNoLength, "MissingContentLength", 411, "You must provide the x-amz-decoded-content-length HTTP header."},
	{sigv4.ErrLength, "InvalidArgument", 400, ""},
	{sigv4.ErrIncomplete, "IncompleteBody", 400, ""},
	{sigv4.ErrBroken, "IncompleteBody", 400, "The body could not be read to its end."},
	{sigv4.ErrChunk, "InvalidRequest", 400, ""},
	{sigv4.ErrChunkSignature, "SignatureDoesNotMatch", 403, "The signature of a chunk does not match the one we calculated."},
	{sigv4.ErrTrailer, "MalformedTrailerError", 400, ""},

	{objects.ErrNoBucket, "NoSuchBucket", 404, "The specified bucket does not exist"},
	{objects.ErrBucketExists, "BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it."},
	{objects.ErrBucketNotEmpty, "BucketNotEmpty", 409, "The bucket you tried to delete is not empty"},
	{objects.ErrNoObject, "NoSuchKey", 404, "The specified key does not exist."},
	{objects.ErrNoUpload, "NoSuchUpload", 404, "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	{objects.ErrPrecondition, "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"},
	{objects.ErrInvalidPart, "InvalidPart", 400, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	{objects.ErrPartOrder, "InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	{objects.ErrPartTooSmall, "EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size: every part but the last has at least 5 MiB."},
	{objects.ErrTooLarge, "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size: 5 GiB in one request, 5 TiB an object."},
	{objects.ErrRange, "InvalidRange", 416, "The requested range is not satisfiable"},
	{objects.ErrIncompleteBody, "IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	{objects.ErrDigest, "BadDigest", 400, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	{objects.ErrConflict, "SlowDown", 503, "Too many requests change the same thing at once. Try again."},
	{index.ErrUnknown, "ServiceUnavailable", 503, "The drives failed while the request was under way: whether it took effect is not known. Try again."},
	{index.ErrReadOnly, "ServiceUnavailable", 503, "Too few drives are well to make any change last. Reads of what the others hold go on."},
	{objects.ErrReadOnly, "ServiceUnavailable", 503, "The store is read-only: too few drives are well for a durable write. Reads and deletes go on."},
	{objects.ErrFull, "InsufficientStorage", 507, "The drives are full. Delete something or add drives; reads and deletes go on."},
	{objects.ErrUnavailable, "ServiceUnavailable", 503, "Too few shards of the object can be read right now. Try again."},
}

var (
	errURI        = &fault{code: "InvalidURI", status: 400, message: "Couldn't parse the specified URI."}
	errNoCORS     = &fault{code: "AccessForbidden", status: 403, message: "CORSResponse: CORS is not enabled for this bucket."}
	errToken      = &fault{code: "InvalidToken", status: 400, message: "The provided token is malformed or otherwise invalid."}
	errOtherOwner = &fault{code: "AccessDenied", status: 403, message: "The bucket's owner is not the one that the request expects."}
	errNoVersion  = &fault{code: "NoSuchVersion", status: 404, message: "The specified version does not exist: the bucket is unversioned, its objects have the version null only."}
	errNoLength   = &fault{code: "MissingContentLength", status: 411, message: "You must provide the Content-Length HTTP header."}
	errInternal   = &fault{code: "InternalError", status: 500, message: "We encountered an internal error. Please try again."}
	errTimeout    = &fault{code: "RequestTimeout", status: 400, message: "Your socket connection to the server was not read from or written to within the timeout period."}
	errSlowDown   = &fault{code: "SlowDown", status: 503, message: "Please reduce your request rate.", header: map[string]string{"Retry-After": "1"}}
)

func invalidArgument(name, value, why string) *fault {
	return &fault{code: "InvalidArgument", status: 400, message: name + ": " + why,
		details: []detail{{"ArgumentName", name}, {"ArgumentValue", clip(value)}}}
}

func invalidRequest(format string, args ...any) *fault {
	return &fault{code: "InvalidRequest", status: 400, message: fmt.Sprintf(format, args...)}
}

func notImplemented(what string) *fault {
	return &fault{code: "NotImplemented", status: 501, message: "Not implemented yet: " + what + "."}
}

func malformedXML(why string) *fault {
	return &fault{code: "MalformedXML", status: 400, message: "The XML you provided was not well-formed or did not validate against our published schema: " + why}
}

func methodNotAllowed(c *call) *fault {
	var allowed []string
	for _, m := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
		if len(c.h.routes.rows[route{m, c.level()}]) > 0 {
			allowed = append(allowed, m)
		}
	}
	return &fault{code: "MethodNotAllowed", status: 405,
		message: "The specified method is not allowed against this resource.",
		details: []detail{{"Method", clip(c.r.Method)}, {"ResourceType", levelNames[c.level()]}},
		header:  map[string]string{"Allow": strings.Join(allowed, ", ")}}
}

func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most]
	}
	return s
}

// faultOf translates any error.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var invalid *objects.InvalidError
	if errors.As(err, &invalid) {
		return invalidFault(invalid)
	}
	var over *admission.OverloadError
	var full *objects.FullError
	switch {
	case errors.As(err, &over):
		return overloaded(over)
	case errors.As(err, &full):
		return plainFault("InsufficientStorage", http.StatusInsufficientStorage, "The drives are full: "+full.Fullest+". Delete something or add drives; reads and deletes go on.")
	case errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		return errTimeout
	case errors.Is(err, context.DeadlineExceeded):
		return errSlowDown
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.fault(err)
		}
	}
	return errInternal
}

func (r row) fault(err error) *fault {
	message := r.message
	if message == "" {
		message = err.Error()
	}
	return plainFault(r.code, r.status, message)
}

func plainFault(code string, status int, message string) *fault {
	f := &fault{code: code, status: status, message: message}
	if status == http.StatusServiceUnavailable {
		f.header = map[string]string{"Retry-After": "1"}
	}
	return f
}

// invalidFault gives the fields that have a code of their own theirs.
func invalidFault(e *objects.InvalidError) *fault {
	message := e.Error()
	switch e.Field {
	case "bucket":
		return plainFault("InvalidBucketName", 400, "The specified bucket is not valid: "+message)
	case "metadata", "headers":
		return plainFault("MetadataTooLarge", 400, message)
	case "MD5":
		return plainFault("InvalidDigest", 400, "The Content-MD5 you specified is not valid.")
	}
	return invalidArgument(e.Field, "", e.Reason)
}
