package s3vectors

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// refusal is a bad request, and what must be said of it.
type refusal struct {
	name   string
	op     string
	body   string
	change func(*request)

	status int    // default 400
	kind   string // default ValidationException
	words  string // in the message
	path   string // of fieldList
}

const (
	notes = `"vectorBucketName":"docs","indexName":"notes",`
	plain = `"vectorBucketName":"docs","indexName":"plain",`
	docs  = `"vectorBucketName":"docs"`
)

// put is a batch of one vector.
func put(index, key, numbers, metadata string) string {
	return fmt.Sprintf(`{%s"vectors":[{"key":%q,"data":{"float32":%s},"metadata":%s}]}`, index, key, numbers, metadata)
}

// many is a list of n members, each made by form of its place.
func many(n int, form string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(form, i)
	}
	return strings.Join(list, ",")
}

func ask(members string) string {
	return `{` + notes + `"topK":1,"queryVector":{"float32":[1,2,3]},` + members + `}`
}

func create(members string) string { return `{` + docs + `,"indexName":"fresh",` + members + `}` }

const sound = `"dataType":"float32","dimension":3,"distanceMetric":"cosine"`

func concat(lists ...[]refusal) (all []refusal) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func TestBadInputIsRefusedByNameAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.furnish(t)
	before := w.contents(t)
	for _, c := range concat(unreadables, bucketRefusals, indexRefusals, putRefusals, readRefusals, queryRefusals, callerRefusals, absentOperations, settingRefusals) {
		t.Run(c.op+"/"+c.name, func(t *testing.T) { w.refuses(t, c, before) })
	}
}

func (w *world) refuses(t *testing.T, c refusal, before string) {
	q := request{path: "/" + c.op, body: c.body}
	if c.change != nil {
		c.change(&q)
	}
	if c.status == 0 {
		c.status = http.StatusBadRequest
	}
	if c.kind == "" {
		c.kind = "ValidationException"
	}
	a := w.send(t, q)
	if a.status != c.status || a.kind != c.kind {
		t.Errorf("status %d, type %q; want %d, %q; message %q", a.status, a.kind, c.status, c.kind, a.Message)
	}
	if c.words == "" || !strings.Contains(a.Message, c.words) {
		t.Errorf("message %q lacks %q", a.Message, c.words)
	}
	if a.id == "" {
		t.Error("the answer has no request id")
	}
	switch {
	case c.path == "" && len(a.Fields) > 0:
		t.Errorf("fieldList is %v, want none", a.Fields)
	case c.path != "" && (len(a.Fields) != 1 || a.Fields[0].Path != c.path || a.Fields[0].Message == ""):
		t.Errorf("fieldList is %v, want the path %q", a.Fields, c.path)
	}
	if after := w.contents(t); after != before {
		t.Errorf("something was left behind:\n%s\nwas\n%s", after, before)
	}
}

var unreadables = []refusal{
	{name: "no JSON", op: "PutVectors", body: `{"vectors":[`, kind: "SerializationException", words: "unexpected end"},
	{name: "two values", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}") + `{}`, kind: "SerializationException", words: "after top-level value"},
	{name: "a brace too much", op: "CreateVectorBucket", body: `{"vectorBucketName":"fresh"}}`, kind: "SerializationException", words: "after top-level value"},
	{name: "an array", op: "DeleteIndex", body: `[]`, kind: "SerializationException", words: "array, not an object"},
	{name: "NaN", op: "PutVectors", body: put(notes, "c", "[1,NaN,3]", "{}"), kind: "SerializationException", words: "invalid character 'N'"},
	{name: "not UTF-8", op: "PutVectors", body: "{" + notes + `"vectors":[{"key":"` + "\xff" + `","data":{"float32":[1,2,3]}}]}`, kind: "SerializationException", words: "not UTF-8"},
	{name: "half a surrogate pair", op: "PutVectors", body: "{" + notes + `"vectors":[{"key":"\ud800","data":{"float32":[1,2,3]}}]}`, kind: "SerializationException", words: "half of a surrogate pair"},
	{name: "the other half", op: "DeleteVectors", body: "{" + notes + `"keys":["\ud83d\ude00","\udc00a"]}`, kind: "SerializationException", words: "half of a surrogate pair"},
	{name: "nested too deep", op: "QueryVectors", body: ask(`"filter":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)), kind: "SerializationException", words: "depth"},
}

var bucketRefusals = []refusal{
	{name: "no name", op: "CreateVectorBucket", body: `{}`, words: "3 to 63", path: "vectorBucketName"},
	{name: "a number for a name", op: "CreateVectorBucket", body: `{"vectorBucketName":12345}`, words: "cannot take a JSON number", path: "vectorBucketName"},
	{name: "an upper-case name", op: "CreateVectorBucket", body: `{"vectorBucketName":"Fresh"}`, words: "lower-case", path: "vectorBucketName"},
	{name: "a path for a name", op: "CreateVectorBucket", body: `{"vectorBucketName":"../../etc"}`, words: "lower-case", path: "vectorBucketName"},
	{name: "one that exists", op: "CreateVectorBucket", body: "{" + docs + "}", status: 409, kind: "ConflictException", words: "bucket exists"},
	{name: "KMS", op: "CreateVectorBucket", body: `{"vectorBucketName":"fresh","encryptionConfiguration":{"sseType":"aws:kms","kmsKeyArn":"arn:aws:kms:eu-west-3:000000000000:key/k"}}`, words: "Tarn has no KMS", path: "encryptionConfiguration.sseType"},
	{name: "a key without KMS", op: "CreateVectorBucket", body: `{"vectorBucketName":"fresh","encryptionConfiguration":{"kmsKeyArn":"arn:aws:kms:eu-west-3:000000000000:key/k"}}`, words: "with sseType aws:kms only", path: "encryptionConfiguration.kmsKeyArn"},
	{name: "another encryption", op: "CreateVectorBucket", body: `{"vectorBucketName":"fresh","encryptionConfiguration":{"sseType":"DES"}}`, words: "neither AES256", path: "encryptionConfiguration.sseType"},
	{name: "a bad tag", op: "CreateVectorBucket", body: `{"vectorBucketName":"fresh","tags":{"team":"a\nb"}}`, words: "0 to 256", path: "tags.team"},
	{name: "neither name nor ARN", op: "GetVectorBucket", body: `{}`, words: "is needed", path: "vectorBucketName"},
	{name: "name and ARN", op: "GetVectorBucket", body: "{" + docs + `,"vectorBucketArn":"arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs"}`, words: "not both", path: "vectorBucketArn"},
	{name: "malformed ARN", op: "GetVectorBucket", body: `{"vectorBucketArn":"arn:aws:s3:::docs"}`, words: "is not the ARN of a vector bucket", path: "vectorBucketArn"},
	{name: "absent", op: "GetVectorBucket", body: `{"vectorBucketName":"nowhere"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "no bucket's name", op: "GetVectorBucket", body: `{"vectorBucketName":"../../etc"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "absent", op: "DeleteVectorBucket", body: `{"vectorBucketName":"nowhere"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "not empty", op: "DeleteVectorBucket", body: "{" + docs + "}", status: 409, kind: "ConflictException", words: "not empty"},
	{name: "maxResults 0", op: "ListVectorBuckets", body: `{"maxResults":0}`, words: "not in 1 to 500", path: "maxResults"},
	{name: "maxResults 501", op: "ListVectorBuckets", body: `{"maxResults":501}`, words: "not in 1 to 500", path: "maxResults"},
	{name: "maxResults a text", op: "ListVectorBuckets", body: `{"maxResults":"5"}`, words: "cannot take a JSON string", path: "maxResults"},
	{name: "a token typed in", op: "ListVectorBuckets", body: `{"nextToken":"docs"}`, words: "not one that this listing returned", path: "nextToken"},
	{name: "a token of another listing", op: "ListVectorBuckets", body: `{"nextToken":"` + tokenOf("ListIndexes", "docs") + `"}`, words: "not one that this listing returned", path: "nextToken"},
	{name: "a long token", op: "ListVectorBuckets", body: `{"nextToken":"` + strings.Repeat("a", 513) + `"}`, words: "the most is 512", path: "nextToken"},
	{name: "a long prefix", op: "ListVectorBuckets", body: `{"prefix":"` + strings.Repeat("a", 64) + `"}`, words: "the most is 63", path: "prefix"},
}

var indexRefusals = []refusal{
	{name: "no name", op: "CreateIndex", body: `{` + docs + `,` + sound + `}`, words: "3 to 63", path: "indexName"},
	{name: "a name with a slash", op: "CreateIndex", body: `{` + docs + `,"indexName":"a/../b",` + sound + `}`, words: "character", path: "indexName"},
	{name: "no bucket", op: "CreateIndex", body: `{"indexName":"fresh",` + sound + `}`, words: "is needed", path: "vectorBucketName"},
	{name: "absent bucket", op: "CreateIndex", body: `{"vectorBucketName":"nowhere","indexName":"fresh",` + sound + `}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "one that exists", op: "CreateIndex", body: `{` + notes + sound + `}`, status: 409, kind: "ConflictException", words: "index exists"},
	{name: "no data type", op: "CreateIndex", body: create(`"dimension":3,"distanceMetric":"cosine"`), words: "not float32", path: "dataType"},
	{name: "no metric", op: "CreateIndex", body: create(`"dataType":"float32","dimension":3`), words: "not cosine or euclidean", path: "distanceMetric"},
	{name: "the metric dot", op: "CreateIndex", body: create(`"dataType":"float32","dimension":3,"distanceMetric":"dot"`), words: "not cosine or euclidean", path: "distanceMetric"},
	{name: "no dimension", op: "CreateIndex", body: create(`"dataType":"float32","distanceMetric":"cosine"`), words: "must be 1 to 4096", path: "dimension"},
	{name: "dimension 4097", op: "CreateIndex", body: create(`"dataType":"float32","dimension":4097,"distanceMetric":"cosine"`), words: "must be 1 to 4096", path: "dimension"},
	{name: "dimension 2.5", op: "CreateIndex", body: create(`"dataType":"float32","dimension":2.5,"distanceMetric":"cosine"`), words: "cannot take a JSON number 2.5", path: "dimension"},
	{name: "11 non-filterable keys", op: "CreateIndex", body: create(sound + `,"metadataConfiguration":{"nonFilterableMetadataKeys":[` + many(11, `"k%d"`) + `]}`), words: "more than 10", path: "metadataConfiguration.nonFilterableMetadataKeys"},
	{name: "KMS", op: "CreateIndex", body: create(sound + `,"encryptionConfiguration":{"sseType":"aws:kms"}`), words: "Tarn has no KMS", path: "encryptionConfiguration.sseType"},
	{name: "reserved tag", op: "CreateIndex", body: create(sound + `,"tags":{"AWS:team":"search"}`), words: "reserved", path: "tags"},
	{name: "mode CLASSIC", op: "CreateIndex", body: create(sound + `,"indexMode":"CLASSIC"`), words: "cannot be chosen", path: "indexMode"},
	{name: "absent", op: "GetIndex", body: `{` + docs + `,"indexName":"nothing"}`, status: 404, kind: "NotFoundException", words: "no such index"},
	{name: "absent bucket", op: "GetIndex", body: `{"vectorBucketName":"nowhere","indexName":"notes"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "no name", op: "GetIndex", body: "{" + docs + "}", words: "is needed", path: "indexName"},
	{name: "name and ARN", op: "GetIndex", body: `{` + notes + `"indexArn":"arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs/index/notes"}`, words: "not both", path: "indexArn"},
	{name: "the ARN of a bucket", op: "GetIndex", body: `{"indexArn":"arn:aws:s3vectors:eu-west-3:000000000000:bucket/docs"}`, words: "is not the ARN of an index", path: "indexArn"},
	{name: "absent", op: "DeleteIndex", body: `{` + docs + `,"indexName":"nothing"}`, status: 404, kind: "NotFoundException", words: "no such index"},
	{name: "a list for a name", op: "DeleteIndex", body: `{` + docs + `,"indexName":["notes"]}`, words: "cannot take a JSON array", path: "indexName"},
	{name: "absent bucket", op: "ListIndexes", body: `{"vectorBucketName":"nowhere"}`, status: 404, kind: "NotFoundException", words: "no such bucket"},
	{name: "maxResults 501", op: "ListIndexes", body: "{" + docs + `,"maxResults":501}`, words: "not in 1 to 500", path: "maxResults"},
	{name: "a token typed in", op: "ListIndexes", body: "{" + docs + `,"nextToken":"***"}`, words: "not one that this listing returned", path: "nextToken"},
}

var absentOperations = []refusal{
	{name: "unknown", op: "DropEverything", body: `{}`, status: 404, kind: "UnknownOperationException", words: "no such operation: POST /DropEverything"},
	{name: "GET", op: "ListVectorBuckets", change: func(q *request) { q.method = http.MethodGet }, status: 404, kind: "UnknownOperationException", words: "no such operation: GET /ListVectorBuckets"},
	{name: "a tag operation by its name", op: "TagResource", body: `{}`, status: 404, kind: "UnknownOperationException", words: "no such operation: POST /TagResource"},
}

// longAgo is more than the 15 minutes that clocks may differ.
const longAgo = -16 * time.Minute

var callerRefusals = []refusal{
	{name: "unsigned", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: func(q *request) { q.unsigned = true }, status: 403, kind: "MissingAuthenticationTokenException", words: "no signature"},
	{name: "wrong secret", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: func(q *request) { q.secret = "another" }, status: 403, kind: "InvalidSignatureException", words: "does not match"},
	{name: "unknown key", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: func(q *request) { q.key = "NOBODY" }, status: 403, kind: "UnrecognizedClientException", words: "does not exist"},
	{name: "old", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: func(q *request) { q.skew = longAgo }, status: 403, kind: "InvalidSignatureException", words: "too large"},
	{name: "of the future", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: func(q *request) { q.skew = -longAgo }, status: 403, kind: "InvalidSignatureException", words: "too large"},
	{name: "tampered body", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: func(q *request) { q.sentBody = put(notes, "d", "[1,2,3]", "{}") }, status: 403, kind: "InvalidSignatureException", words: "does not match"},
	{name: "a malformed header", op: "PutVectors", change: func(q *request) {
		q.unsigned, q.header = true, http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=x"}}
	}, status: 403, kind: "IncompleteSignatureException", words: "malformed"},
	{name: "over 20 MiB, told", op: "PutVectors", body: strings.Repeat(" ", payloadBytesMax+1), change: func(q *request) { q.header = http.Header{"Expect": {"100-continue"}} }, words: "larger than the limit"},
	{name: "over 20 MiB, untold", op: "PutVectors", body: strings.Repeat(" ", payloadBytesMax+1), change: func(q *request) { q.chunked = true }, words: "larger than the limit"},
	{name: "may not put", op: "PutVectors", body: put(notes, "c", "[1,2,3]", "{}"), change: narrow, status: 403, kind: "AccessDeniedException", words: "access denied"},
	{name: "may not delete", op: "DeleteVectorBucket", body: `{"vectorBucketName":"void"}`, change: narrow, status: 403, kind: "AccessDeniedException", words: "access denied"},
	{name: "may not list buckets", op: "ListVectorBuckets", change: narrow, status: 403, kind: "AccessDeniedException", words: "s3vectors:ListVectorBuckets"},
	{name: "may not read metadata by a query", op: "QueryVectors", body: ask(`"returnMetadata":true`), change: narrow, status: 403, kind: "AccessDeniedException", words: "s3vectors:GetVectors"},
	{name: "may not ask about metadata", op: "QueryVectors", body: ask(`"filter":{"lang":"en"}`), change: narrow, status: 403, kind: "AccessDeniedException", words: "s3vectors:GetVectors"},
	{name: "may not read by a listing", op: "ListVectors", body: `{` + notes + `"returnData":true}`, change: narrow, status: 403, kind: "AccessDeniedException", words: "s3vectors:GetVectors"},
}

func narrow(q *request) { q.key = narrowKey }
