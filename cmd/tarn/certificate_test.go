package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pairFiles are PEM files whose content and times the test sets.
type pairFiles struct {
	t         *testing.T
	cert, key string
	ticks     int
}

func newPairFiles(t *testing.T) *pairFiles {
	dir := t.TempDir()
	return &pairFiles{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
}

// write puts a file down with a time of its own.
func (p *pairFiles) write(name string, text []byte) {
	p.t.Helper()
	p.ticks++
	at := time.Unix(1_700_000_000+int64(p.ticks), 0)
	if err := errors.Join(os.WriteFile(name, text, 0o600), os.Chtimes(name, at, at)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pairFiles) writeBoth(serial int64) {
	cert, key := newPair(p.t, serial)
	p.write(p.cert, cert)
	p.write(p.key, key)
}

// newPair makes a self-signed pair for 127.0.0.1, told apart by its serial number.
func newPair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "tarn test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

func serialOf(t *testing.T, c *certificate) int64 {
	t.Helper()
	pair, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

func TestChangedCertificateIsTakenUpLive(t *testing.T) {
	files := newPairFiles(t)
	files.writeBoth(1)
	c, err := openCertificate(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	c.now = func() time.Time { return now }
	expect := func(about string, want int64) {
		t.Helper()
		now = now.Add(time.Second)
		if got := serialOf(t, c); got != want {
			t.Errorf("%s: serves pair %d, want %d", about, got, want)
		}
	}
	expect("unchanged", 1)
	cert, key := newPair(t, 2)
	files.write(files.cert, cert)
	expect("the certificate without its key", 1)
	files.write(files.key, key[:len(key)/2])
	expect("half a key", 1)
	if err := os.Remove(files.cert); err != nil {
		t.Fatal(err)
	}
	expect("no certificate", 1)
	files.write(files.cert, cert)
	files.write(files.key, key)
	expect("both whole", 2)

	old, oldKey := newPair(t, 3)
	files.ticks = 0 // files restored with times of long ago
	files.write(files.key, oldKey)
	files.write(files.cert, old)
	expect("files older than those before", 3)

	files.writeBoth(4)
	if got := serialOf(t, c); got != 3 {
		t.Errorf("looked again within a second: pair %d", got)
	}
	expect("a second later", 4)
}

func TestBadCertificateIsASettingError(t *testing.T) {
	files := newPairFiles(t)
	check := func(about string) {
		t.Helper()
		_, err := listen(settings{Listen: "127.0.0.1:0", TLSCert: files.cert, TLSKey: files.key})
		var setting *settingError
		if !errors.As(err, &setting) || setting.name != "tls-cert" {
			t.Errorf("%s: %v", about, err)
		}
	}
	check("no files")
	files.write(files.cert, []byte("not PEM"))
	files.write(files.key, []byte("not PEM"))
	check("no PEM")
	files.writeBoth(1)
	_, other := newPair(t, 2)
	files.write(files.key, other)
	check("the key of another certificate")
}

func TestTakenAddressIsASettingError(t *testing.T) {
	first, err := listen(settings{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = listen(settings{Listen: first.Addr().String()})
	var setting *settingError
	if !errors.As(err, &setting) || setting.name != "listen" {
		t.Errorf("%v", err)
	}
}

func TestTLSNegotiatesHTTP2(t *testing.T) {
	files := newPairFiles(t)
	files.writeBoth(1)
	l, err := listen(settings{Listen: "127.0.0.1:0", TLSCert: files.cert, TLSKey: files.key})
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	text, err := os.ReadFile(files.cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	for _, c := range []struct {
		http2 bool
		major int
	}{{true, 2}, {false, 1}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: c.http2}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+l.Addr().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		if res.ProtoMajor != c.major || res.TLS.Version < tls.VersionTLS12 {
			t.Errorf("HTTP/2 offered %v: answered in %s, TLS %x", c.http2, res.Proto, res.TLS.Version)
		}
	}
}
