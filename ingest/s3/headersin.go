package s3

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

const (
	copySource      = "X-Amz-Copy-Source"
	metaPrefix      = "X-Amz-Meta-"
	defaultType     = "binary/octet-stream"
	awsChunked      = "aws-chunked"
	contentTypeMax  = objects.ContentTypeBytesMax
	storageStandard = "STANDARD"
)

// kept are the headers that are stored with an object and given back.
var kept = []string{"Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"}

// about is what a request says of the object that it makes.
type about struct {
	contentType string
	headers     map[string]string
	metadata    map[string]string
}

func (c *call) about() (about, error) {
	a := about{contentType: c.header("Content-Type")}
	if a.contentType == "" {
		a.contentType = defaultType
	}
	if len(a.contentType) > contentTypeMax {
		return a, invalidArgument("Content-Type", a.contentType, fmt.Sprintf("at most %d bytes", contentTypeMax))
	}
	for _, name := range kept {
		value := strings.Join(c.r.Header.Values(name), ",")
		if name == "Content-Encoding" {
			value = withoutChunked(value)
		}
		if value != "" {
			set(&a.headers, name, value)
		}
	}
	return a, a.addMetadata(c)
}

func (a *about) addMetadata(c *call) error {
	size := 0
	for name, values := range c.r.Header {
		short, ok := strings.CutPrefix(name, metaPrefix)
		if !ok {
			continue
		}
		value := strings.Join(values, ",")
		if short == "" {
			return invalidArgument(strings.ToLower(name), value, "a metadata name is empty")
		}
		size += len(short) + len(value)
		set(&a.metadata, strings.ToLower(short), value)
	}
	if size > objects.MetadataBytesMax {
		return &fault{code: "MetadataTooLarge", status: 400,
			message: fmt.Sprintf("Your metadata headers exceed the maximum allowed metadata size: %d bytes of names and values, at most %d.", size, objects.MetadataBytesMax)}
	}
	return nil
}

func set(m *map[string]string, name, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[name] = value
}

// withoutChunked leaves out the encoding that only the wire had.
func withoutChunked(value string) string {
	if !strings.Contains(value, awsChunked) {
		return value
	}
	parts := strings.Split(value, ",")
	parts = slices.DeleteFunc(parts, func(p string) bool { return strings.TrimSpace(p) == awsChunked })
	return strings.TrimSpace(strings.Join(parts, ","))
}

// contentMD5 is the Content-MD5, or nil.
func (c *call) contentMD5() ([]byte, error) {
	values := c.r.Header.Values("Content-Md5")
	if len(values) == 0 {
		return nil, nil
	}
	sum, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil || len(sum) != 16 {
		return nil, &fault{code: "InvalidDigest", status: 400, message: "The Content-MD5 you specified is not valid."}
	}
	return sum, nil
}

// bodyBytes is the size of the body to come: S3 wants it told beforehand.
func (c *call) bodyBytes() (int64, error) {
	n := c.signed.Bytes
	// net/http takes a request without the header for an empty one.
	untold := n == 0 && c.r.ProtoMajor == 1 && c.header("Content-Length") == "" && !c.signed.Payload.Chunked()
	switch {
	case n < 0 || untold:
		return 0, errNoLength
	case n > c.h.PutBytesMax:
		return 0, &fault{code: "EntityTooLarge", status: 400, message: "Your proposed upload exceeds the maximum allowed size",
			details: []detail{{"ProposedSize", fmt.Sprint(n)}, {"MaxSizeAllowed", fmt.Sprint(c.h.PutBytesMax)}}}
	}
	return n, nil
}

// unserved are request headers that ask for what is not built yet: silence would
// drop an encryption, a lock or a tag without a word. A star stands for any rest
// of a name. Values in accept ask for nothing beyond what happens anyway.
var unserved = []struct {
	name   string
	accept []string
}{
	{"X-Amz-Acl", []string{"private", "bucket-owner-full-control"}},
	{"X-Amz-Grant-*", nil},
	{"X-Amz-Server-Side-Encryption*", nil},
	{"X-Amz-Copy-Source-Server-Side-Encryption*", nil},
	{"X-Amz-Object-Lock-*", nil},
	{"X-Amz-Bucket-Object-Lock-Enabled", []string{"false", "False"}},
	{"X-Amz-Object-Ownership", []string{"BucketOwnerEnforced"}},
	{"X-Amz-Tagging", []string{""}},
	{"X-Amz-Website-Redirect-Location", nil},
	{"X-Amz-Write-Offset-Bytes", nil},
}

func (c *call) checkHeaders(op *operation) error {
	for name, values := range c.r.Header {
		if !strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		for _, u := range unserved {
			prefix, open := strings.CutSuffix(u.name, "*")
			if (name == prefix || open && strings.HasPrefix(name, prefix)) && !slices.Contains(u.accept, values[0]) {
				return notImplemented("the header " + strings.ToLower(name) + " of " + op.name)
			}
		}
	}
	return c.checkStorageClass()
}

func (c *call) checkStorageClass() error {
	if class := c.header("X-Amz-Storage-Class"); class != "" && class != storageStandard {
		return &fault{code: "InvalidStorageClass", status: 400, message: "The storage class you specified is not valid: only STANDARD is offered."}
	}
	return nil
}
