package s3

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

func header(pairs ...string) map[string]string {
	h := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1]
	}
	return h
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Every kind of bad input has a code of its own, and leaves nothing behind.
func TestBadInputIsRefusedByNameAndLeavesNothing(t *testing.T) {
	unsignedTrailer := "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	cases := []struct {
		name   string
		q      raw
		status int
		code   string
	}{
		{"anonymous read", raw{method: "GET", target: "/bucket/k", anonymous: true}, 403, "AccessDenied"},
		{"anonymous write", raw{method: "PUT", target: "/bucket/k", body: "x", anonymous: true}, 403, "AccessDenied"},
		{"wrong secret", raw{method: "PUT", target: "/bucket/k", body: "x", secret: "another"}, 403, "SignatureDoesNotMatch"},
		{"unknown key", raw{method: "GET", target: "/", after: func(r *http.Request) { replaceAuth(r, testKey, "NOBODY") }}, 403, "InvalidAccessKeyId"},
		{"malformed authorization", raw{method: "GET", target: "/", after: func(r *http.Request) { replaceAuth(r, "Signature=", "Sig=") }}, 400, "AuthorizationHeaderMalformed"},
		{"version 2 signature", raw{method: "GET", target: "/", after: func(r *http.Request) { r.Header.Set("Authorization", "AWS a:b") }}, 400, "InvalidRequest"},
		{"two signatures", raw{method: "GET", target: "/?X-Amz-Algorithm=AWS4-HMAC-SHA256"}, 400, "InvalidArgument"},
		{"malformed presigned query", raw{method: "GET", target: "/?X-Amz-Algorithm=AWS4-HMAC-SHA256", anonymous: true}, 400, "AuthorizationQueryParametersError"},
		{"old request", raw{method: "PUT", target: "/bucket/k", body: "x", at: time.Now().Add(-16 * time.Minute)}, 403, "RequestTimeTooSkewed"},
		{"request from the future", raw{method: "PUT", target: "/bucket/k", body: "x", at: time.Now().Add(16 * time.Minute)}, 403, "RequestTimeTooSkewed"},
		{"unsigned amz header", raw{method: "PUT", target: "/bucket/k", body: "x", after: func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }}, 403, "AccessDenied"},
		{"no content hash", raw{method: "PUT", target: "/bucket/k", body: "x", after: func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }}, 400, "InvalidRequest"},
		{"session token", raw{method: "GET", target: "/", header: header("X-Amz-Security-Token", "t")}, 400, "InvalidToken"},

		{"body of another hash", raw{method: "PUT", target: "/bucket/k", body: "x", payload: hashOf("y")}, 400, "XAmzContentSHA256Mismatch"},
		{"content hash of nothing known", raw{method: "PUT", target: "/bucket/k", body: "x", payload: "abc"}, 400, "InvalidArgument"},
		{"wrong MD5", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")}, 400, "BadDigest"},
		{"malformed MD5", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("Content-MD5", "short")}, 400, "InvalidDigest"},
		{"wrong checksum", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Checksum-Crc32", "AAAAAA==")}, 400, "BadDigest"},
		{"malformed checksum", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Checksum-Crc32", "AAAA")}, 400, "InvalidRequest"},
		{"two checksums", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Checksum-Crc32", "AAAAAA==", "X-Amz-Checksum-Crc32c", "AAAAAA==")}, 400, "InvalidRequest"},
		{"unknown algorithm", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Sdk-Checksum-Algorithm", "ROT13")}, 400, "InvalidRequest"},
		{"algorithm beside another's value", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Sdk-Checksum-Algorithm", "SHA1", "X-Amz-Checksum-Crc32", "AAAAAA==")}, 400, "InvalidRequest"},

		{"chunks without decoded length", raw{method: "PUT", target: "/bucket/k", body: "0\r\n\r\n", payload: unsignedTrailer}, 411, "MissingContentLength"},
		{"malformed decoded length", raw{method: "PUT", target: "/bucket/k", body: "0\r\n\r\n", payload: unsignedTrailer, header: header("X-Amz-Decoded-Content-Length", "-5")}, 400, "InvalidArgument"},
		{"malformed chunk", raw{method: "PUT", target: "/bucket/k", body: "zz\r\n", payload: unsignedTrailer, header: header("X-Amz-Decoded-Content-Length", "3")}, 400, "InvalidRequest"},
		{"truncated chunk", raw{method: "PUT", target: "/bucket/k", body: "3\r\nab", payload: unsignedTrailer, header: header("X-Amz-Decoded-Content-Length", "3")}, 400, "IncompleteBody"},
		{"fewer bytes than told", raw{method: "PUT", target: "/bucket/k", body: "2\r\nab\r\n0\r\n\r\n", payload: unsignedTrailer, header: header("X-Amz-Decoded-Content-Length", "3")}, 400, "IncompleteBody"},
		{"more bytes than told", raw{method: "PUT", target: "/bucket/k", body: "4\r\nabcd\r\n0\r\n\r\n", payload: unsignedTrailer, header: header("X-Amz-Decoded-Content-Length", "3")}, 400, "InvalidRequest"},
		{"wrong trailer", raw{method: "PUT", target: "/bucket/k", body: "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", payload: unsignedTrailer,
			header: header("X-Amz-Decoded-Content-Length", "3", "X-Amz-Trailer", "x-amz-checksum-crc32")}, 400, "BadDigest"},
		{"missing trailer", raw{method: "PUT", target: "/bucket/k", body: "3\r\nabc\r\n0\r\n\r\n", payload: unsignedTrailer,
			header: header("X-Amz-Decoded-Content-Length", "3", "X-Amz-Trailer", "x-amz-checksum-crc32")}, 400, "MalformedTrailerError"},
		{"malformed trailer", raw{method: "PUT", target: "/bucket/k", body: "3\r\nabc\r\n0\r\nnonsense\r\n\r\n", payload: unsignedTrailer,
			header: header("X-Amz-Decoded-Content-Length", "3", "X-Amz-Trailer", "x-amz-checksum-crc32")}, 400, "MalformedTrailerError"},
		{"trailer of another kind", raw{method: "PUT", target: "/bucket/k", body: "3\r\nabc\r\n0\r\na:b\r\n\r\n", payload: unsignedTrailer,
			header: header("X-Amz-Decoded-Content-Length", "3", "X-Amz-Trailer", "a")}, 400, "InvalidRequest"},

		{"too large", raw{method: "PUT", target: "/bucket/k", body: "x", payload: unsignedTrailer, header: header("X-Amz-Decoded-Content-Length", "5368709121")}, 400, "EntityTooLarge"},
		{"long key", raw{method: "PUT", target: "/bucket/" + strings.Repeat("k", 1025), body: "x"}, 400, "KeyTooLongError"},
		{"key that is no text", raw{method: "PUT", target: "/bucket/%ff", body: "x"}, 400, "InvalidArgument"},
		{"no bucket name", raw{method: "PUT", target: "//x", body: "x"}, 400, "InvalidBucketName"},
		{"large metadata", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Meta-A", strings.Repeat("v", 2048))}, 400, "MetadataTooLarge"},
		{"long content type", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("Content-Type", strings.Repeat("v", 1025))}, 400, "InvalidArgument"},
		{"no such bucket", raw{method: "PUT", target: "/nowhere/k", body: "x"}, 404, "NoSuchBucket"},
		{"no such key", raw{method: "GET", target: "/bucket/k"}, 404, "NoSuchKey"},
		{"no such version", raw{method: "GET", target: "/bucket/k?versionId=3"}, 404, "NoSuchVersion"},
		{"another owner", raw{method: "GET", target: "/bucket", header: header("X-Amz-Expected-Bucket-Owner", "123456789012")}, 403, "AccessDenied"},

		{"public ACL", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Acl", "public-read")}, 501, "NotImplemented"},
		{"encryption", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Server-Side-Encryption", "AES256")}, 501, "NotImplemented"},
		{"customer's key", raw{method: "GET", target: "/bucket/k", header: header("X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")}, 501, "NotImplemented"},
		{"object lock", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Object-Lock-Mode", "GOVERNANCE")}, 501, "NotImplemented"},
		{"tags", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Tagging", "a=b")}, 501, "NotImplemented"},
		{"storage class", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("X-Amz-Storage-Class", "GLACIER")}, 400, "InvalidStorageClass"},
		{"both conditions", raw{method: "PUT", target: "/bucket/k", body: "x", header: header("If-Match", "a", "If-None-Match", "*")}, 501, "NotImplemented"},

		{"acl of a bucket", raw{method: "GET", target: "/bucket?acl"}, 501, "NotImplemented"},
		{"lifecycle", raw{method: "PUT", target: "/bucket?lifecycle", body: "x"}, 501, "NotImplemented"},
		{"versions", raw{method: "GET", target: "/bucket?versions"}, 501, "NotImplemented"},
		{"tagging of an object", raw{method: "PUT", target: "/bucket/k?tagging", body: "x"}, 501, "NotImplemented"},
		{"select", raw{method: "POST", target: "/bucket/k?select&select-type=2"}, 501, "NotImplemented"},
		{"unserved beside served", raw{method: "DELETE", target: "/bucket?cors"}, 501, "NotImplemented"},
		{"form", raw{method: "POST", target: "/bucket", body: "x"}, 501, "NotImplemented"},
		{"unknown parameter of a write", raw{method: "PUT", target: "/bucket/k?colour=red", body: "x"}, 400, "InvalidArgument"},
		{"unknown parameter of a delete", raw{method: "DELETE", target: "/bucket?colour"}, 400, "InvalidArgument"},
		{"part number alone", raw{method: "PUT", target: "/bucket/k?partNumber=1", body: "x"}, 400, "InvalidArgument"},
		{"upload id alone", raw{method: "PUT", target: "/bucket/k?uploadId=1", body: "x"}, 400, "InvalidArgument"},
		{"method of nothing", raw{method: "PATCH", target: "/bucket/k", body: "x"}, 405, "MethodNotAllowed"},
		{"post of an object", raw{method: "POST", target: "/bucket/k", body: "x"}, 405, "MethodNotAllowed"},
		{"put of the service", raw{method: "PUT", target: "/", body: "x"}, 405, "MethodNotAllowed"},
		{"browser from elsewhere", raw{method: "OPTIONS", target: "/bucket/k", anonymous: true}, 403, "AccessForbidden"},

		{"max-keys of no number", raw{method: "GET", target: "/bucket?list-type=2&max-keys=many"}, 400, "InvalidArgument"},
		{"negative max-keys", raw{method: "GET", target: "/bucket?max-keys=-1"}, 400, "InvalidArgument"},
		{"huge max-keys", raw{method: "GET", target: "/bucket?max-keys=99999999999"}, 400, "InvalidArgument"},
		{"list type", raw{method: "GET", target: "/bucket?list-type=3"}, 400, "InvalidArgument"},
		{"foreign token", raw{method: "GET", target: "/bucket?list-type=2&continuation-token=abc"}, 400, "InvalidArgument"},
		{"empty token", raw{method: "GET", target: "/bucket?list-type=2&continuation-token="}, 400, "InvalidArgument"},
		{"encoding type", raw{method: "GET", target: "/bucket?encoding-type=rot13"}, 400, "InvalidArgument"},
		{"list of no bucket", raw{method: "GET", target: "/nowhere?list-type=2&max-keys=0"}, 404, "NoSuchBucket"},

		{"part 0", raw{method: "PUT", target: "/bucket/k?partNumber=0&uploadId=u", body: "x"}, 400, "InvalidArgument"},
		{"part 10001", raw{method: "PUT", target: "/bucket/k?partNumber=10001&uploadId=u", body: "x"}, 400, "InvalidArgument"},
		{"no such upload", raw{method: "PUT", target: "/bucket/k?partNumber=1&uploadId=u", body: "x"}, 404, "NoSuchUpload"},
		{"complete nothing", raw{method: "POST", target: "/bucket/k?uploadId=u"}, 400, "MalformedXML"},
		{"complete with no parts", raw{method: "POST", target: "/bucket/k?uploadId=u", body: "<CompleteMultipartUpload/>"}, 400, "MalformedXML"},
		{"complete another document", raw{method: "POST", target: "/bucket/k?uploadId=u", body: "<Delete/>"}, 400, "MalformedXML"},
		{"complete part 0", raw{method: "POST", target: "/bucket/k?uploadId=u", body: "<CompleteMultipartUpload><Part><PartNumber>0</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"}, 400, "InvalidArgument"},
		{"complete without ETag", raw{method: "POST", target: "/bucket/k?uploadId=u", body: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>"}, 400, "MalformedXML"},
		{"bad object size", raw{method: "POST", target: "/bucket/k?uploadId=u", header: header("X-Amz-Mp-Object-Size", "big"), body: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"}, 400, "InvalidArgument"},
		{"checksum type without algorithm", raw{method: "POST", target: "/bucket/k?uploads", header: header("X-Amz-Checksum-Type", "COMPOSITE")}, 400, "InvalidRequest"},
		{"full-object SHA", raw{method: "POST", target: "/bucket/k?uploads", header: header("X-Amz-Checksum-Type", "FULL_OBJECT", "X-Amz-Checksum-Algorithm", "SHA256")}, 400, "InvalidRequest"},

		{"delete nothing", raw{method: "POST", target: "/bucket?delete"}, 400, "MalformedXML"},
		{"delete no object", raw{method: "POST", target: "/bucket?delete", body: "<Delete></Delete>"}, 400, "MalformedXML"},
		{"delete a nameless object", raw{method: "POST", target: "/bucket?delete", body: "<Delete><Object/></Delete>"}, 400, "MalformedXML"},
		{"delete too many", raw{method: "POST", target: "/bucket?delete", body: "<Delete>" + strings.Repeat("<Object/>", 200_000) + "</Delete>"}, 400, "MalformedXML"},
		{"complete too many", raw{method: "POST", target: "/bucket/k?uploadId=u", body: "<CompleteMultipartUpload>" + strings.Repeat("<Part/>", 200_000) + "</CompleteMultipartUpload>"}, 400, "MalformedXML"},
		{"broken XML", raw{method: "POST", target: "/bucket?delete", body: "<Delete><Object>"}, 400, "MalformedXML"},
		{"unknown entity", raw{method: "POST", target: "/bucket?delete", body: `<!DOCTYPE d [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>`}, 400, "MalformedXML"},
		{"two documents", raw{method: "POST", target: "/bucket?delete", body: "<Delete><Object><Key>k</Key></Object></Delete><Delete/>"}, 400, "MalformedXML"},
		{"large document", raw{method: "PUT", target: "/new-bucket", body: strings.Repeat(" ", 1<<20+1)}, 400, "MalformedXML"},
		{"document of another MD5", raw{method: "POST", target: "/bucket?delete", body: "<Delete/>", header: header("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")}, 400, "BadDigest"},
		{"document of another checksum", raw{method: "POST", target: "/bucket?delete", body: "<Delete/>", header: header("X-Amz-Checksum-Sha1", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")}, 400, "BadDigest"},
		{"document of another hash", raw{method: "POST", target: "/bucket?delete", body: "<Delete/>", payload: hashOf("")}, 400, "XAmzContentSHA256Mismatch"},
		{"bucket with capitals", raw{method: "PUT", target: "/New"}, 400, "InvalidBucketName"},
		{"bucket like an address", raw{method: "PUT", target: "/192.168.0.1"}, 400, "InvalidBucketName"},
		{"location", raw{method: "PUT", target: "/new-bucket", body: "<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>"}, 400, "InvalidLocationConstraint"},
		{"attributes of nothing known", raw{method: "GET", target: "/bucket/k?attributes", header: header("X-Amz-Object-Attributes", "Colour")}, 400, "InvalidArgument"},
		{"copy of nothing", raw{method: "PUT", target: "/bucket/k", header: header("X-Amz-Copy-Source", "bucket")}, 400, "InvalidArgument"},
	}
	d := newDoor(t)
	d.bucket("bucket")
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d.t = t
			got := d.do(c.q)
			if got.status != c.status || got.code != c.code {
				t.Fatalf("%d %s, want %d %s\n%s", got.status, got.code, c.status, c.code, got.body)
			}
			checkErrorAnswer(t, &got)
			if buckets, n := d.left(); n != 0 || buckets != 1 {
				t.Fatalf("%d objects, %d buckets left", n, buckets)
			}
		})
	}
}

func replaceAuth(r *http.Request, old, new string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
}

// checkErrorAnswer: whatever the error, its document is whole and names the request.
func checkErrorAnswer(t *testing.T, got *reply) {
	t.Helper()
	var doc struct {
		XMLName                          xml.Name `xml:"Error"`
		Code, Message, RequestId, HostId string
	}
	if err := xml.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatalf("%v\n%s", err, got.body)
	}
	if doc.Message == "" || len(doc.RequestId) != 16 || doc.RequestId != got.header.Get("X-Amz-Request-Id") || doc.HostId != got.header.Get("X-Amz-Id-2") {
		t.Errorf("%+v", doc)
	}
	for name, want := range map[string]string{"Server": "Tarn", "Content-Type": "application/xml", "Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s: %q", name, v)
		}
	}
	if got.header.Get("Date") == "" {
		t.Error("no Date")
	}
}

func TestATamperedChunkLeavesNothing(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	for name, c := range map[string]struct {
		from, to, code string
	}{
		"untouched": {"", "", ""},
		"byte":      {"lake", "lakE", "SignatureDoesNotMatch"},
		"size":      {"3e8;", "3e7;", "InvalidRequest"},
		"trailer":   {"x-amz-checksum-crc32:", "x-amz-checksum-crc32c:", "SignatureDoesNotMatch"},
		"signature": {"x-amz-trailer-signature:", "x-amz-trailer-signature:f", "MalformedTrailerError"},
	} {
		payload := strings.Repeat("tarnlake", 125)
		r, _ := http.NewRequest("PUT", d.server.URL+"/bucket/k", strings.NewReader(payload))
		r.Trailer = http.Header{"X-Amz-Checksum-Crc32": {crcOf(payload)}}
		r = signer.StreamingSignV4(r, testKey, testSecret, "", "us-east-1", int64(len(payload)), time.Now().UTC(), hasher{sha256.New()})
		wire, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		bad := strings.Replace(string(wire), c.from, c.to, 1)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(bad)), int64(len(bad))
		got := d.send(r)
		if got.code != c.code || (d.things() == 0) != (c.code != "") {
			t.Errorf("%s: %d %s, %d objects", name, got.status, got.body, d.things())
		}
		d.store.Delete(context.Background(), objects.DeleteRequest{Bucket: "bucket", Key: "k"})
	}
}

// wire sends bytes as they are, ends its side if cut, and reads the answer.
func (d *door) wire(t *testing.T, text string, cut bool) reply {
	t.Helper()
	conn, err := net.Dial("tcp", d.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if cut {
		conn.(*net.TCPConn).CloseWrite()
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, code: between(string(b), "<Code>", "</Code>"), body: string(b), header: resp.Header}
}

// text is a signed request as it stands on the wire, with any Content-Length.
func (d *door) text(q raw, length int, more ...string) string {
	r := d.request(q)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, q.target, r.URL.Host)
	for name, values := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
	}
	if length >= 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	return b.String() + strings.Join(more, "") + "\r\n" + q.body
}

func TestTruncatedAndUnmeasuredBodiesLeaveNothing(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	put := raw{method: "PUT", target: "/bucket/k", body: "short", after: func(r *http.Request) { r.Header.Del("Content-Length") }}
	signed := func(q raw) raw {
		q.after = func(r *http.Request) { r.Header.Del("Content-Length") }
		return q
	}
	put = signed(put)
	unsignedLength := func(length int, more ...string) string {
		q := put
		q.body = ""
		return strings.TrimSuffix(d.text(q, length, more...), "") + put.body
	}
	if got := d.wire(t, unsignedLength(100), true); got.code != "IncompleteBody" {
		t.Errorf("truncated: %d %s", got.status, got.body)
	}
	if got := d.wire(t, unsignedLength(-1), true); got.code != "MissingContentLength" || got.status != 411 {
		t.Errorf("no length: %d %s", got.status, got.body)
	}
	chunked := strings.TrimSuffix(unsignedLength(-1, "Transfer-Encoding: chunked\r\n"), "short") + "5\r\nshort\r\n0\r\n\r\n"
	if got := d.wire(t, chunked, true); got.code != "MissingContentLength" {
		t.Errorf("chunked: %d %s", got.status, got.body)
	}
	if n := d.things(); n != 0 {
		t.Errorf("%d objects left", n)
	}
	if got := d.wire(t, unsignedLength(5), true); got.status != 200 {
		t.Errorf("whole: %d %s", got.status, got.body)
	}
}

// A refused request is not asked for its body.
func TestContinueComesOnlyAfterAdmission(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	expect := "Expect: 100-continue\r\n"
	for target, want := range map[string]int{"/bucket/k": 100, "/bucket/k?colour=red": 400} {
		text := d.text(raw{method: "PUT", target: target}, 5, expect)
		if got := d.wire(t, text, false); got.status != want {
			t.Errorf("%s: %d, want %d\n%s", target, got.status, want, got.body)
		}
	}
	d.deny = func(string, string) bool { return true }
	if got := d.wire(t, d.text(raw{method: "PUT", target: "/bucket/k"}, 5, expect), false); got.code != "AccessDenied" {
		t.Errorf("denied: %d %s", got.status, got.body)
	}
}

func TestStoreErrorsBecomeTheirCodes(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{index.ErrUnknown, 503, "ServiceUnavailable"}, {fmt.Errorf("%w: %w", objects.ErrReadOnly, index.ErrReadOnly), 503, "ServiceUnavailable"},
		{objects.ErrReadOnly, 503, "ServiceUnavailable"}, {objects.ErrFull, 507, "InsufficientStorage"},
		{&objects.FullError{Fullest: "drive 3 has 1 MiB free of 10 GiB"}, 507, "InsufficientStorage"},
		{objects.ErrConflict, 503, "SlowDown"}, {objects.ErrUnavailable, 503, "ServiceUnavailable"},
		{objects.ErrTooLarge, 400, "EntityTooLarge"}, {objects.ErrDigest, 400, "BadDigest"},
		{objects.ErrPrecondition, 412, "PreconditionFailed"}, {objects.ErrIncompleteBody, 400, "IncompleteBody"},
		{&objects.InvalidError{Field: "metadata", Reason: "too much"}, 400, "MetadataTooLarge"},
		{&objects.InvalidError{Field: "prefix", Reason: "too long"}, 400, "InvalidArgument"},
		{context.DeadlineExceeded, 503, "SlowDown"},
		{io.ErrNoProgress, 500, "InternalError"},
	} {
		d.store.fail = fmt.Errorf("put: %w", c.err)
		d.entries = nil
		got := d.do(raw{method: "PUT", target: "/bucket/k", body: "x"})
		if got.status != c.status || got.code != c.code {
			t.Errorf("%v: %d %s", c.err, got.status, got.code)
		}
		if (got.header.Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%v: Retry-After %q", c.err, got.header.Get("Retry-After"))
		}
		var full *objects.FullError
		if errors.As(c.err, &full) && !strings.Contains(got.body, full.Fullest) {
			t.Errorf("the fullest drives are not named: %s", got.body)
		}
		if c.status == 500 && strings.Contains(got.body, c.err.Error()) {
			t.Errorf("an inner error was told to the client: %s", got.body)
		}
		if e := d.entries[0]; (e.Err != nil) != (c.status >= 500) || e.Status != c.status || e.Code != c.code {
			t.Errorf("logged %+v", e)
		}
		head := d.do(raw{method: "HEAD", target: "/bucket/k"})
		if head.body != "" {
			t.Errorf("a HEAD was answered with %q", head.body)
		}
	}
}

// What breaks in the middle of an answer cuts it short; what breaks before it is an error.
func TestAFailingReadIsSeenByTheClient(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	d.store.Put(context.Background(), putOf("bucket", "k", strings.Repeat("x", 1<<20)))
	d.store.torn = 100
	if got := d.do(raw{method: "GET", target: "/bucket/k"}); got.status != 503 {
		t.Errorf("before the answer: %d %s", got.status, got.code)
	}
	d.store.torn = 300_000
	resp, err := d.server.Client().Do(d.request(raw{method: "GET", target: "/bucket/k"}))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= 1<<20 {
		t.Errorf("%d bytes and no error: the client takes them for the object", n)
	}
}

func TestVirtualHostedBucketsAreFound(t *testing.T) {
	d := newDoor(t)
	d.bucket("my.bucket")
	d.store.Put(context.Background(), putOf("my.bucket", "a/b", "hosted"))
	for host, want := range map[string]string{"my.bucket.localhost": "hosted", "my.bucket.LOCALHOST:9000": "hosted", "localhost": "", "my.bucket.elsewhere": ""} {
		q := raw{method: "GET", target: "/a/b"}
		r := d.request(raw{method: "GET", target: "/a/b", anonymous: true})
		r.Host = host
		r.URL = &url.URL{Scheme: "http", Host: r.URL.Host, Path: "/a/b"}
		d.sign(r, q)
		got := d.send(r)
		if want != "" && got.body != want || want == "" && got.code != "NoSuchBucket" {
			t.Errorf("%s: %d %s", host, got.status, got.body)
		}
	}
}

// No path is cleaned or redirected, whatever it looks like.
func TestPathsAreTakenFromTheWire(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	for target, key := range map[string]string{
		"/bucket//x": "/x", "/bucket/a/../b": "a/../b", "/bucket/%2Fx": "/x", "/bucket/a%2Fb": "a/b", "/bucket/./": "./",
		"/bucket/a%20b": "a b", "/bucket/a+b": "a+b", "/%62ucket/k": "k", "/bucket/%252F": "%2F",
	} {
		if got := d.do(raw{method: "PUT", target: target, body: "x"}); got.status != 200 {
			t.Errorf("%s: %d %s", target, got.status, got.body)
		}
		if _, _, err := d.stored("bucket", key); err != nil {
			t.Errorf("%s is not %q", target, key)
		}
		d.store.Delete(context.Background(), objects.DeleteRequest{Bucket: "bucket", Key: key})
	}
}

func TestDefaultDenyIsAskedForEachResource(t *testing.T) {
	d := newDoor(t)
	d.bucket("bucket")
	d.store.Put(context.Background(), putOf("bucket", "secret", "x"))
	var asked []string
	d.deny = func(action, resource string) bool {
		asked = append(asked, action+" "+resource)
		return strings.HasSuffix(resource, "secret")
	}
	got := d.do(raw{method: "PUT", target: "/bucket/k", header: header("X-Amz-Copy-Source", "bucket/secret")})
	want := "[s3:PutObject arn:aws:s3:::bucket/k s3:GetObject arn:aws:s3:::bucket/secret]"
	if got.code != "AccessDenied" || fmt.Sprint(asked) != want || d.things() != 1 {
		t.Fatalf("%s, asked %v", got.code, asked)
	}
}

func TestIncompleteWiringPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a handler without an authority was made")
		}
	}()
	d := unservedDoor(t)
	o := d.handler.Options
	o.Authority = nil
	New(o)
}
