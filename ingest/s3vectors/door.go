package s3vectors

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/ingest/sigv4"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/pages"
)

// payloadBytesMax is S3 Vectors' limit of a request.
const payloadBytesMax = 20 << 20

// Buckets are what the door needs of the store.
type Buckets interface {
	CreateBucketWith(ctx context.Context, name string, beside func(objects.Bucket) ([]index.Mutation, error)) (objects.Bucket, error)
	Bucket(ctx context.Context, name string) (objects.Bucket, error)
	Buckets(ctx context.Context) ([]objects.Bucket, error)
	DeleteBucket(ctx context.Context, name string) error

	// For the settings that the door keeps.
	Index() index.Index
	Begin() *objects.Tx
	Commit(ctx context.Context, tx *objects.Tx) (index.Result, error)
}

// Engine is what the door needs of the vector engine.
type Engine interface {
	CreateIndexWith(ctx context.Context, bucket string, spec vectors.Spec, beside func(vectors.Info) ([]index.Mutation, error)) (vectors.Info, error)
	Index(ctx context.Context, bucket, name string) (vectors.Info, error)
	Indexes(ctx context.Context, bucket, prefix, after string, limit int) ([]vectors.Info, error)
	DeleteIndex(ctx context.Context, bucket, name string) error
	Put(ctx context.Context, bucket, name string, batch []vectors.Vector) error
	Get(ctx context.Context, bucket, name string, keys []string, withValues, withMetadata bool) ([]vectors.Vector, error)
	List(ctx context.Context, bucket, name string, r vectors.ListRequest) (vectors.Page, error)
	Delete(ctx context.Context, bucket, name string, keys []string) error
	Query(ctx context.Context, bucket, name string, r vectors.Request) (vectors.Answer, error)
	ChangeTexts(ctx context.Context, bucket, name string, add, remove []string) (vectors.Info, error)
}

// Authority decides whether a signer may do an action, such as
// "s3vectors:QueryVectors", on a resource named by its ARN, and what is wrong with policies.
type Authority interface {
	May(ctx context.Context, r authority.Request) error
	CheckBucketPolicy(service, bucket, text string) error
}

// Options of the door. Every field to Region is needed.
type Options struct {
	Host      *host.Host
	Buckets   Buckets
	Engine    Engine
	Secrets   sigv4.Secrets
	Authority Authority
	Region    string // in ARNs
	Served    func(operation, accessKey string, status int, took time.Duration)

	Gate     *admission.Gate // admits requests before their body is read; nil: all of them
	StallMax time.Duration   // in which a client must send something of a body; default 30 s
}

// Door serves S3 Vectors.
type Door struct {
	o       Options
	verify  *sigv4.Verifier
	arns    authority.Vectors
	actions []string // of policies
	answers *pages.Shelf[keptAnswer]
}

// New makes the door; it panics where a needed option is missing.
func New(o Options) *Door {
	if o.Host == nil || o.Buckets == nil || o.Engine == nil || o.Secrets == nil || o.Authority == nil || o.Region == "" {
		panic("s3vectors: New needs every option to Region")
	}
	if o.StallMax == 0 {
		o.StallMax = 30 * time.Second
	}
	if o.Served == nil {
		o.Served = func(string, string, int, time.Duration) {}
	}
	d := &Door{o: o, answers: pages.New[keptAnswer](o.Host.Clock), arns: authority.Vectors{Region: o.Region}, verify: sigv4.New(sigv4.Options{Secrets: o.Secrets, Clock: o.Host.Clock, Service: "s3vectors"})}
	for name := range operations {
		d.actions = append(d.actions, "s3vectors:"+name)
	}
	return d
}

// call is one request under way.
type call struct {
	door *Door
	ctx  context.Context
	who  string // access key
	op   string
	body []byte

	request *http.Request // its body is read
}

// operation decodes its input, acts, and returns its output or an error.
type operation func(c *call) (any, error)

var operations = map[string]operation{
	"CreateVectorBucket": createVectorBucket, "GetVectorBucket": getVectorBucket,
	"ListVectorBuckets": listVectorBuckets, "DeleteVectorBucket": deleteVectorBucket,
	"CreateIndex": createIndex, "GetIndex": getIndex, "ListIndexes": listIndexes, "DeleteIndex": deleteIndex,
	"PutVectors": putVectors, "GetVectors": getVectors, "ListVectors": listVectors,
	"DeleteVectors": deleteVectors, "QueryVectors": queryVectors,
	"UpdateIndexMode": updateIndexMode, "PutVectorBucketDefaultIndexMode": putDefaultIndexMode,
	"UpdateMetadataConfiguration": updateMetadata,
	"PutVectorBucketPolicy":       putPolicy, "GetVectorBucketPolicy": getPolicy, "DeleteVectorBucketPolicy": deletePolicy,
	"TagResource": tagResource, "UntagResource": untagResource, "ListTagsForResource": listTags,
}

// ServeHTTP answers one request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := d.o.Host.Clock.Now()
	id := d.requestID()
	w.Header().Set("x-amzn-RequestId", id)
	name := operationName(r)
	who, out, err := d.serve(w, r, name)
	status := http.StatusOK
	if err != nil {
		status = d.refuse(w, name, id, err)
	} else {
		answer(w, out)
	}
	d.o.Served(name, who, status, d.o.Host.Clock.Now().Sub(begun))
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request, name string) (who string, out any, err error) {
	act := operations[name]
	if act == nil {
		return "", nil, &fault{status: http.StatusNotFound, kind: "UnknownOperationException", message: "no such operation: " + r.Method + " " + r.URL.Path}
	}
	connection, err := d.admit(w, r, name)
	if err != nil {
		return "", nil, err
	}
	defer connection.End()
	signed, body, err := d.verify.VerifyBuffered(through(connection, r), payloadBytesMax)
	if err != nil {
		return "", nil, err
	}
	c := &call{door: d, ctx: r.Context(), who: signed.Scope.AccessKey, op: name, body: body, request: r}
	out, err = act(c)
	return c.who, out, err
}

// operationName is the path of a POST, or the tag operation of a method; "" where
// there is none, so that nobody makes up names that metrics would keep.
func operationName(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, tagsPath) {
		return tagOperations[r.Method]
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	_, known := operations[name]
	ofTags := strings.HasSuffix(name, "Resource") // their path is /tags/
	if !known || ofTags || r.Method != http.MethodPost {
		return ""
	}
	return name
}

func answer(w http.ResponseWriter, out any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // the client has gone: nobody is left to tell
}

func (d *Door) requestID() string {
	var b [16]byte
	if _, err := io.ReadFull(d.o.Host.Entropy, b[:]); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(b[:])
}

func (c *call) authorize(resource string) error { return c.authorizeTo(c.op, resource) }

func (c *call) authorizeTo(action, resource string) error {
	return c.door.o.Authority.May(c.ctx, authority.Request{
		AccessKey: c.who, Action: "s3vectors:" + action, Resource: resource, Facts: authority.FactsOf(c.request, c.who),
	})
}
