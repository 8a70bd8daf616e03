package query

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	connect "connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/authority"
	"github.com/tarnlake/tarn/access/policy"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

// Authority decides what calls are allowed, and what is wrong with policies.
type Authority interface {
	May(ctx context.Context, r authority.Request) error
	CheckIdentityPolicy(text string) error
}

// guard asks the Authority about each message of a call when it is read, before the service sees it.
// A message that it does not know is refused, so that no call comes to be without its right.
func guard(o *Options) connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			if anonymous(spec.Procedure) || strings.HasPrefix(spec.Procedure, "/grpc.reflection.") {
				return next(ctx, spec, stream)
			}
			return next(ctx, spec, &guarded{stream, ctx, o})
		}
	}
}

// guarded is a call's stream.
type guarded struct {
	connect.ServerStream
	ctx context.Context // the call's own
	o   *Options
}

func (g *guarded) Receive(msg any) error {
	if err := g.ServerStream.Receive(msg); err != nil {
		return err
	}
	rights, known := g.o.rights(msg)
	if !known {
		return connect.Errorf(connect.CodeInternal, "nothing is known of the rights that a %T needs", msg)
	}
	for _, r := range rights {
		if err := g.need(r); err != nil {
			return err
		}
	}
	return nil
}

// right is what a message needs: an action on a resource.
type right struct {
	action, resource string
	facts            map[string]string
}

// root is the right of the root key alone.
const root = "root"

func (g *guarded) need(r right) error {
	if r.action == root {
		return rootOnly(g.ctx)
	}
	who := callerOf(g.ctx).AccessKey
	facts := map[string]string{}
	if request, ok := g.ctx.Value(requestKey{}).(*http.Request); ok {
		facts = authority.FactsOf(request, who)
	}
	for k, v := range r.facts {
		facts[k] = v
	}
	err := g.o.Authority.May(g.ctx, authority.Request{AccessKey: who, Action: r.action, Resource: r.resource, Facts: facts})
	if errors.Is(err, access.ErrDenied) {
		return connect.NewError(connect.CodePermissionDenied, err.Error())
	}
	return err
}

// requestKey finds the HTTP request of a call.
type requestKey struct{}

func withRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, r)))
	})
}

// onStore, onBucket, … are rights by what they are on.
func onStore(action string) []right {
	return []right{{action: action, resource: authority.Store}}
}

func onBucket(action, bucket string) []right {
	return []right{{action: "s3:" + action, resource: authority.S3ARN(bucket, "")}}
}

func onObject(action, bucket, key string) []right {
	return []right{{action: "s3:" + action, resource: authority.S3ARN(bucket, key)}}
}

func (o *Options) onVectors(action, bucket, index string) []right {
	return []right{{action: "s3vectors:" + action, resource: authority.Vectors{Region: o.Region}.ARN(bucket, index)}}
}

// onReading adds the right to read vectors and metadata, where these are returned or asked about.
func (o *Options) onReading(action, bucket, index string, reads bool) []right {
	rights := o.onVectors(action, bucket, index)
	if reads {
		rights = append(rights, o.onVectors("GetVectors", bucket, index)...)
	}
	return rights
}

// rights are those that a message needs. The actions are those of S3 and S3 Vectors, so that a policy
// means the same through every door.
func (o *Options) rights(msg any) (rights []right, known bool) {
	if rights, known = o.vectorRights(msg); known {
		return rights, true
	}
	if rights, known = objectRights(msg); known {
		return rights, true
	}
	return storeRights(msg)
}

func (o *Options) vectorRights(msg any) ([]right, bool) {
	switch m := msg.(type) {
	case *tarnv1.CreateIndexRequest:
		return o.onVectors("CreateIndex", m.Bucket, m.Name), true
	case *tarnv1.DescribeIndexRequest:
		return o.onVectors("GetIndex", m.Bucket, m.Name), true
	case *tarnv1.ListIndexesRequest:
		return o.onVectors("ListIndexes", m.Bucket, ""), true
	case *tarnv1.DeleteIndexRequest:
		return o.onVectors("DeleteIndex", m.Bucket, m.Name), true
	case *tarnv1.MeasureRecallRequest:
		return o.onVectors("QueryVectors", m.Bucket, m.Name), true
	case *tarnv1.ChangeTextsRequest:
		return o.onVectors("UpdateMetadataConfiguration", m.Bucket, m.Index), true
	case *tarnv1.ChangeRecallRequest:
		return o.onVectors("UpdateMetadataConfiguration", m.Bucket, m.Index), true
	case *tarnv1.PutRequest:
		return o.putRights(m), true
	case *tarnv1.PutStreamRequest:
		return o.putRights(m.Batch), true
	case *tarnv1.DeleteRequest:
		return o.onVectors("DeleteVectors", m.Bucket, m.Index), true
	case *tarnv1.DeleteWhereRequest:
		return o.onReading("DeleteVectors", m.Bucket, m.Index, true), true
	}
	return o.readRights(msg)
}

// putRights are those to an object too, where one is put beside the vectors.
func (o *Options) putRights(m *tarnv1.PutRequest) []right {
	rights := o.onVectors("PutVectors", m.GetBucket(), m.GetIndex())
	if m.GetObject() != nil {
		rights = append(rights, onObject("PutObject", m.Bucket, m.Object.Key)...)
	}
	return rights
}

func (o *Options) readRights(msg any) ([]right, bool) {
	switch m := msg.(type) {
	case *tarnv1.GetRequest:
		return o.onVectors("GetVectors", m.Bucket, m.Index), true
	case *tarnv1.ListRequest:
		return o.onReading("ListVectors", m.Bucket, m.Index, m.WithValues || m.WithMetadata || asks(m.Filter)), true
	case *tarnv1.QueryRequest:
		return o.onReading("QueryVectors", m.Bucket, m.Index, reads(m)), true
	case *tarnv1.QueryBatchRequest:
		some := false
		for _, q := range m.Queries {
			some = some || reads(q)
		}
		return o.onReading("QueryVectors", m.Bucket, m.Index, some), true
	case *tarnv1.QueryPageRequest:
		return nil, true // of an answer that was given to the same key
	case *tarnv1.CountRequest:
		return o.onReading("ListVectors", m.Bucket, m.Index, asks(m.Filter)), true
	case *tarnv1.FacetsRequest:
		return o.onReading("ListVectors", m.Bucket, m.Index, true), true
	}
	return nil, false
}

func asks(filter *structpb.Struct) bool { return filter != nil }

func reads(q *tarnv1.QueryRequest) bool { return q.WithValues || q.WithMetadata || asks(q.Filter) }

func objectRights(msg any) ([]right, bool) {
	switch m := msg.(type) {
	case *tarnv1.CreateBucketRequest:
		return onBucket("CreateBucket", m.Name), true
	case *tarnv1.ListBucketsRequest:
		return onStore("s3:ListAllMyBuckets"), true
	case *tarnv1.DeleteBucketRequest:
		return onBucket("DeleteBucket", m.Name), true
	case *tarnv1.ListObjectsRequest:
		list := onBucket("ListBucket", m.Bucket)
		list[0].facts = map[string]string{policy.FactPrefix: m.Prefix}
		return list, true
	case *tarnv1.StatObjectRequest:
		return onObject("GetObject", m.Bucket, m.Key), true
	case *tarnv1.ReadRequest:
		return onObject("GetObject", m.Bucket, m.Key), true
	case *tarnv1.DeleteObjectRequest:
		return onObject("DeleteObject", m.Bucket, m.Key), true
	case *tarnv1.PresignRequest:
		if m.Method == tarnv1.PresignMethod_PRESIGN_METHOD_PUT {
			return onObject("PutObject", m.Bucket, m.Key), true
		}
		return onObject("GetObject", m.Bucket, m.Key), true
	}
	return nil, false
}

func storeRights(msg any) ([]right, bool) {
	switch m := msg.(type) {
	case *tarnv1.WhoAmIRequest:
		return nil, true
	case *tarnv1.StatusRequest:
		return onStore(authority.GetStatus), true
	case *tarnv1.DurabilityRequest, *tarnv1.WatchRepairRequest:
		return onStore(authority.GetDurability), true
	case *tarnv1.AuditRequest:
		if m.Start {
			return onStore(root), true
		}
		return onStore(authority.GetDurability), true
	case *tarnv1.AdoptDriveRequest, *tarnv1.AddDriveRequest, *tarnv1.DrainDriveRequest, *tarnv1.RemoveDriveRequest,
		*tarnv1.BalanceDrivesRequest, *tarnv1.LabelDriveRequest, *tarnv1.RepairRequest,
		*tarnv1.CreateKeyRequest, *tarnv1.ListKeysRequest, *tarnv1.DeleteKeyRequest, *tarnv1.SetKeyRightsRequest:
		return onStore(root), true
	}
	return nil, false
}

// rightsOf reads what an identity shall be allowed.
func (o *Options) rightsOf(all bool, text string) (access.Rights, error) {
	if all && text != "" {
		return access.Rights{}, invalid("policy", "is for keys that have not all rights")
	}
	if text != "" {
		var bad *policy.Error
		if err := o.Authority.CheckIdentityPolicy(text); errors.As(err, &bad) {
			return access.Rights{}, invalid("policy", "%v", bad)
		} else if err != nil {
			return access.Rights{}, fmt.Errorf("check the policy: %w", err)
		}
	}
	return access.Rights{All: all, Policy: text}, nil
}
