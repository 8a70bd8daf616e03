package sigv4

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEachFaultHasItsOwnError(t *testing.T) {
	cases := []struct {
		name   string
		change func(r *http.Request)
		want   error
	}{
		{"anonymous", func(r *http.Request) { r.Header.Del("Authorization") }, ErrAnonymous},
		{"version 2", func(r *http.Request) { r.Header.Set("Authorization", "AWS key:sig") }, ErrUnsupported},
		{"version 4a", func(r *http.Request) { replaceAuth(r, algorithm, "AWS4-ECDSA-P256-SHA256") }, ErrUnsupported},
		{"both", func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=x" }, ErrTwoMechanisms},
		{"no credential", func(r *http.Request) { replaceAuth(r, "Credential=", "Credentials=") }, ErrHeader},
		{"short scope", func(r *http.Request) { replaceAuth(r, "/aws4_request", "") }, ErrHeader},
		{"odd date", func(r *http.Request) { replaceAuth(r, "/20261122/", "/2026112x/") }, ErrHeader},
		{"other day", func(r *http.Request) { replaceAuth(r, "/20261122/", "/20261121/") }, ErrHeader},
		{"other service", func(r *http.Request) { replaceAuth(r, "/s3/", "/s3vectors/") }, ErrHeader},
		{"upper-case name", func(r *http.Request) { replaceAuth(r, "host;", "Host;") }, ErrHeader},
		{"twice", func(r *http.Request) { replaceAuth(r, "Signature=", "Signature=00, Signature=") }, ErrHeader},
		{"short signature", func(r *http.Request) { replaceAuth(r, "Signature=", "Signature=0") }, ErrHeader},
		{"unknown key", func(r *http.Request) { replaceAuth(r, testKey, "SOMEONE") }, ErrUnknownKey},
		{"wrong signature", func(r *http.Request) { replaceAuth(r, "eu-west-3", "eu-west-4") }, ErrMismatch},
		{"unsigned header", func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, ErrUnsigned},
		{"unsigned host", func(r *http.Request) { replaceAuth(r, "host;", "") }, ErrUnsigned},
		{"no hash", func(r *http.Request) { dropSigned(r, payloadHeader) }, ErrNoPayloadHash},
		{"odd hash", func(r *http.Request) { r.Header.Set(payloadHeader, "MD5") }, ErrPayloadHash},
		{"no date", func(r *http.Request) { dropSigned(r, "X-Amz-Date") }, ErrNoDate},
		{"mangled date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "yesterday") }, ErrNoDate},
		{"broken query", func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, ErrQuery},
		{"long query", func(r *http.Request) { r.URL.RawQuery = strings.Repeat("a&", queryPairsMax) }, ErrQuery},
		{"long scope", func(r *http.Request) { replaceAuth(r, testKey, strings.Repeat("K", 600)) }, ErrHeader},
		{"many headers", func(r *http.Request) { replaceAuth(r, "host;", strings.Repeat("a;", 200)+"host;") }, ErrHeader},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, _ := http.NewRequest("GET", "https://tarn.example/b/k", nil)
			sign(t, r, "s3", hashOf(""))
			in := received(r, "")
			c.change(in)
			if _, err := verifier("s3").Verify(in); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func dropSigned(r *http.Request, name string) {
	r.Header.Del(name)
}

func TestClockSkewEndsAtFifteenMinutes(t *testing.T) {
	for _, c := range []struct {
		skew time.Duration
		want error
	}{
		{0, nil}, {15 * time.Minute, nil}, {-15 * time.Minute, nil},
		{15*time.Minute + time.Second, ErrSkewed}, {-15*time.Minute - time.Second, ErrSkewed},
	} {
		r, _ := http.NewRequest("GET", "https://tarn.example/b/k", nil)
		sign(t, r, "s3", hashOf(""))
		v := verifier("s3")
		v.clock = fixedClock{testNow.Add(c.skew)}
		if _, err := v.Verify(received(r, "")); !errors.Is(err, c.want) {
			t.Errorf("skew %s: got %v, want %v", c.skew, err, c.want)
		}
	}
}

func TestPresignedRequestsExpire(t *testing.T) {
	for _, c := range []struct {
		expires string
		late    time.Duration
		want    error
	}{
		{"60", 0, nil}, {"60", time.Minute, nil}, {"60", time.Minute + time.Second, ErrExpired},
		{"60", -20 * time.Minute, ErrNotYet},
		{"604800", 7 * 24 * time.Hour, nil}, {"604801", 0, ErrQuery}, {"0", 0, ErrQuery}, {"-1", 0, ErrQuery},
		{"99999999999999999999", 0, ErrQuery}, {"1e3", 0, ErrQuery}, {"", 0, ErrQuery},
	} {
		r, _ := http.NewRequest("GET", "https://tarn.example/b/k?X-Amz-Expires="+c.expires, nil)
		u, _, err := sdkSigner("s3").PresignHTTP(context.Background(), testCredentials, r, unsignedPayload, "s3", "r", testNow)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := http.NewRequest("GET", u, nil)
		v := verifier("s3")
		v.clock = fixedClock{testNow.Add(c.late)}
		if _, err := v.Verify(received(out, "")); !errors.Is(err, c.want) {
			t.Errorf("expires %q, late %s: got %v, want %v", c.expires, c.late, err, c.want)
		}
	}
}

func TestPresignedParametersAreEachNeededOnce(t *testing.T) {
	r, _ := http.NewRequest("GET", "https://tarn.example/b/k?X-Amz-Expires=60", nil)
	u, _, err := sdkSigner("s3").PresignHTTP(context.Background(), testCredentials, r, unsignedPayload, "s3", "r", testNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range presignNames {
		for what, with := range map[string]string{"missing": "X-Other=", "twice": name + "=1&" + name + "="} {
			out, _ := http.NewRequest("GET", strings.Replace(u, name+"=", with, 1), nil)
			if _, err := verifier("s3").Verify(received(out, "")); !errors.Is(err, ErrQuery) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
}

func TestBufferedBodiesAreBoundedAndProved(t *testing.T) {
	v := verifier("s3vectors")
	r, _ := http.NewRequest("POST", "https://tarn.example/QueryVectors", nil)
	sign(t, r, "s3vectors", hashOf("payload"))
	if _, body, err := v.VerifyBuffered(received(r, "payload"), 7); err != nil || string(body) != "payload" {
		t.Fatalf("%q, %v", body, err)
	}
	if _, _, err := v.VerifyBuffered(received(r, "payload"), 6); !errors.Is(err, ErrBodyTooLarge) {
		t.Fatalf("over the limit: %v", err)
	}
	unknown := received(r, "payload")
	unknown.ContentLength = -1
	if _, _, err := v.VerifyBuffered(unknown, 6); !errors.Is(err, ErrBodyTooLarge) {
		t.Fatalf("over the limit, length unknown: %v", err)
	}
	if _, _, err := v.VerifyBuffered(received(r, "tampered"), 100); !errors.Is(err, ErrMismatch) {
		t.Fatalf("tampered: %v", err)
	}
}

func TestTheKeyringIsBoundedAndSeesAChangedSecret(t *testing.T) {
	var k keyring
	s := Scope{AccessKey: "k", Date: "20260101", Region: "r", Service: "s3"}
	k.keep("one", s, SigningKey("one", s))
	if k.get("two", s) != SigningKey("two", s) {
		t.Fatal("a changed secret still had its old key")
	}
	for i := range 3 * cachedKeysMax {
		s.Region = fmt.Sprint(i)
		k.keep("one", s, SigningKey("one", s))
		if k.get("one", s) != SigningKey("one", s) {
			t.Fatal("wrong key")
		}
	}
	if n := len(k.mu.keys); n > cachedKeysMax {
		t.Fatalf("%d keys kept", n)
	}
}

func TestFailedSignaturesAreNotCached(t *testing.T) {
	v := verifier("s3")
	r, _ := http.NewRequest("GET", "https://tarn.example/b/k", nil)
	sign(t, r, "s3", hashOf(""))
	in := received(r, "")
	replaceAuth(in, "eu-west-3", "elsewhere")
	if _, err := v.Verify(in); !errors.Is(err, ErrMismatch) {
		t.Fatal(err)
	}
	if n := len(v.keys.mu.keys); n != 0 {
		t.Fatalf("%d keys kept", n)
	}
}
