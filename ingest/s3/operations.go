package s3

import (
	"net/http"
	"slices"
	"strings"
)

type level uint8

const (
	serviceLevel level = iota
	bucketLevel
	objectLevel
)

var levelNames = [...]string{"the service", "a bucket", "an object"}

// operation is one row of the door's table. The rows of a method and level are
// tried in their order; the first whose query keys and header are all there is taken.
type operation struct {
	name   string
	action string // what the Authority is asked for; empty: the operation asks for itself
	method string
	level  level
	keys   string // sub-resource query keys that select it, with spaces between
	header string // a header that selects it
	params string // further query keys that it knows
	serve  func(*call) error

	required []string // keys, split
	known    []string // keys and params, split
}

var operations = []operation{
	{name: "ListBuckets", action: "s3:ListAllMyBuckets", method: "GET", level: serviceLevel,
		params: "prefix max-buckets continuation-token bucket-region", serve: listBuckets},

	{name: "GetBucketLocation", action: "s3:GetBucketLocation", method: "GET", level: bucketLevel, keys: "location", serve: getBucketLocation},
	{name: "GetBucketVersioning", action: "s3:GetBucketVersioning", method: "GET", level: bucketLevel, keys: "versioning", serve: getBucketVersioning},
	{name: "GetBucketPolicy", action: "s3:GetBucketPolicy", method: "GET", level: bucketLevel, keys: "policy", serve: getBucketPolicy},
	{name: "GetBucketPolicyStatus", action: "s3:GetBucketPolicyStatus", method: "GET", level: bucketLevel, keys: "policyStatus", serve: getBucketPolicyStatus},
	{name: "PutBucketPolicy", action: "s3:PutBucketPolicy", method: "PUT", level: bucketLevel, keys: "policy", serve: putBucketPolicy},
	{name: "DeleteBucketPolicy", action: "s3:DeleteBucketPolicy", method: "DELETE", level: bucketLevel, keys: "policy", serve: deleteBucketPolicy},
	{name: "ListMultipartUploads", action: "s3:ListBucketMultipartUploads", method: "GET", level: bucketLevel, keys: "uploads",
		params: "prefix delimiter key-marker upload-id-marker max-uploads encoding-type", serve: listUploads},
	{name: "ListObjectsV2", action: "s3:ListBucket", method: "GET", level: bucketLevel, keys: "list-type",
		params: "prefix delimiter start-after continuation-token max-keys fetch-owner encoding-type", serve: listObjectsV2},
	{name: "ListObjects", action: "s3:ListBucket", method: "GET", level: bucketLevel,
		params: "prefix delimiter marker max-keys encoding-type", serve: listObjects},
	{name: "HeadBucket", action: "s3:ListBucket", method: "HEAD", level: bucketLevel, serve: headBucket},
	{name: "CreateBucket", action: "s3:CreateBucket", method: "PUT", level: bucketLevel, serve: createBucket},
	{name: "DeleteBucket", action: "s3:DeleteBucket", method: "DELETE", level: bucketLevel, serve: deleteBucket},
	{name: "DeleteObjects", method: "POST", level: bucketLevel, keys: "delete", serve: deleteObjects},

	{name: "GetObjectTagging", action: "s3:GetObjectTagging", method: "GET", level: objectLevel, keys: "tagging", params: "versionId", serve: getObjectTagging},
	{name: "GetObjectAttributes", action: "s3:GetObjectAttributes", method: "GET", level: objectLevel, keys: "attributes", params: "versionId", serve: getObjectAttributes},
	{name: "ListParts", action: "s3:ListMultipartUploadParts", method: "GET", level: objectLevel, keys: "uploadId",
		params: "max-parts part-number-marker", serve: listParts},
	{name: "GetObject", action: "s3:GetObject", method: "GET", level: objectLevel, params: "versionId partNumber", serve: getObject},
	{name: "HeadObject", action: "s3:GetObject", method: "HEAD", level: objectLevel, params: "versionId partNumber", serve: headObject},
	{name: "UploadPartCopy", action: "s3:PutObject", method: "PUT", level: objectLevel, keys: "partNumber uploadId", header: copySource, serve: uploadPartCopy},
	{name: "UploadPart", action: "s3:PutObject", method: "PUT", level: objectLevel, keys: "partNumber uploadId", serve: uploadPart},
	{name: "CopyObject", action: "s3:PutObject", method: "PUT", level: objectLevel, header: copySource, serve: copyObject},
	{name: "PutObject", action: "s3:PutObject", method: "PUT", level: objectLevel, serve: putObject},
	{name: "AbortMultipartUpload", action: "s3:AbortMultipartUpload", method: "DELETE", level: objectLevel, keys: "uploadId", serve: abortUpload},
	{name: "DeleteObject", action: "s3:DeleteObject", method: "DELETE", level: objectLevel, params: "versionId", serve: deleteObject},
	{name: "CreateMultipartUpload", action: "s3:PutObject", method: "POST", level: objectLevel, keys: "uploads", serve: createUpload},
	{name: "CompleteMultipartUpload", action: "s3:PutObject", method: "POST", level: objectLevel, keys: "uploadId", serve: completeUpload},
}

// subResources are the query keys that S3 gives a meaning of their own, by
// level. What the table above does not claim of them is not served yet.
var subResources = map[level]string{
	bucketLevel: "abac accelerate acl analytics cors delete encryption intelligent-tiering inventory lifecycle list-type " +
		"location logging metadataConfiguration metadataInventoryTable metadataJournalTable metadataTable metrics " +
		"notification object-lock ownershipControls policy policyStatus publicAccessBlock replication requestPayment " +
		"session tagging uploads versioning versions website",
	objectLevel: "acl attributes encryption legal-hold object-lock partNumber renameObject restore retention select " +
		"tagging torrent uploadId uploads",
}

// routes finds operations.
type routes struct {
	rows map[route][]*operation
	subs map[level][]string
}

type route struct {
	method string
	level  level
}

func newRoutes(table []operation) routes {
	rs := routes{rows: map[route][]*operation{}, subs: map[level][]string{}}
	for _, op := range slices.Concat(table, absentOperations()) {
		op.required = strings.Fields(op.keys)
		op.known = append(strings.Fields(op.params), op.required...)
		at := route{op.method, op.level}
		rs.rows[at] = append(rs.rows[at], &op)
	}
	for l, names := range subResources {
		rs.subs[l] = strings.Fields(names)
	}
	for _, ops := range rs.rows { // the more that selects a row, the sooner it is tried
		slices.SortStableFunc(ops, func(a, b *operation) int { return b.weight() - a.weight() })
	}
	return rs
}

func (op *operation) weight() int {
	n := 2 * len(op.required)
	if op.header != "" {
		n++
	}
	return n
}

func (rs routes) find(c *call) (*operation, error) {
	for _, op := range rs.rows[route{c.r.Method, c.level()}] {
		if op.selectedBy(c) {
			return op, rs.checkParams(c, op)
		}
	}
	return nil, rs.noOperation(c)
}

func (op *operation) selectedBy(c *call) bool {
	for _, k := range op.required {
		if !c.query.Has(k) {
			return false
		}
	}
	return op.header == "" || c.header(op.header) != ""
}

// checkParams refuses a request that asks for more than its operation does.
// Unknown parameters of reads are harmless (x-id, a browser's cache breaker);
// at writes they might mean something else altogether.
func (rs routes) checkParams(c *call, op *operation) error {
	for _, p := range c.query {
		switch {
		case slices.Contains(op.known, p.Name):
		case slices.Contains(rs.subs[c.level()], p.Name):
			return rs.unserved(c, p.Name)
		case reads(c.r.Method) || ignoredParam(p.Name):
		default:
			return invalidArgument(p.Name, p.Value, "this query parameter is not known for "+op.name)
		}
	}
	return nil
}

func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// ignoredParam reports names that S3 leaves to clients and signatures.
func ignoredParam(name string) bool {
	return len(name) > 1 && (name[0] == 'x' || name[0] == 'X') && name[1] == '-'
}

// noOperation says why no row fits: another method would, or S3 has something
// here that is not served yet.
func (rs routes) noOperation(c *call) error {
	for _, p := range c.query {
		if slices.Contains(rs.subs[c.level()], p.Name) {
			return rs.unserved(c, p.Name)
		}
	}
	if c.r.Method == http.MethodPost && c.level() == bucketLevel {
		return notImplemented("POST of an HTML form")
	}
	return methodNotAllowed(c)
}

func (rs routes) unserved(c *call, name string) error {
	if name == "uploadId" || name == "partNumber" {
		return invalidArgument(name, c.query.Get(name), "this request takes uploadId and partNumber together, or neither")
	}
	return notImplemented("the sub-resource ?" + name + " of " + levelNames[c.level()] + " with the method " + c.r.Method)
}
