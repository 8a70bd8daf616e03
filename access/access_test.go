package access_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

var master = bytes.Repeat([]byte{7}, access.MasterKeyBytes)

func open(t *testing.T) (*access.Keyring, *host.Host, index.Index) {
	t.Helper()
	h, ix := hosttest.New(1), indextest.New(t)
	keys, err := access.Open(t.Context(), h, ix, master)
	if err != nil {
		t.Fatal(err)
	}
	return keys, h, ix
}

func TestATokenSaysWhoUntilItExpires(t *testing.T) {
	keys, h, _ := open(t)
	k, err := keys.Create(t.Context(), "pipeline", access.Rights{All: true})
	if err != nil {
		t.Fatal(err)
	}
	token, expires, err := keys.Login(t.Context(), k.AccessKey, k.Secret, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	who, err := keys.Verify(t.Context(), token)
	if err != nil || who.Name != "pipeline" || who.AccessKey != k.AccessKey || who.Root {
		t.Fatalf("%+v, %v", who, err)
	}
	hosttest.ClockOf(h).Advance(expires.Sub(h.Clock.Now()))
	if _, err := keys.Verify(t.Context(), token); !errors.Is(err, access.ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
}

func TestATamperedTokenIsRefused(t *testing.T) {
	keys, _, _ := open(t)
	k, err := keys.Create(t.Context(), "a", access.Rights{All: true})
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := keys.Token(k.AccessKey, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		bad := []byte(token)
		bad[i] ^= 1
		if _, err := keys.Verify(t.Context(), string(bad)); err == nil {
			t.Fatalf("byte %d changed, and it was taken", i)
		}
	}
	for _, bad := range []string{"", "tarn1.", "tarn1..", "x", strings.Repeat("a", 5000), token + "A", token[1:]} {
		if _, err := keys.Verify(t.Context(), bad); !errors.Is(err, access.ErrToken) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestADeletedIdentityEndsWithItsTokens(t *testing.T) {
	keys, _, _ := open(t)
	k, err := keys.Create(t.Context(), "a", access.Rights{All: true})
	if err != nil {
		t.Fatal(err)
	}
	token, _, _ := keys.Token(k.AccessKey, time.Hour)
	if err := keys.Delete(t.Context(), k.AccessKey); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Verify(t.Context(), token); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("its token: %v", err)
	}
	if _, err := keys.Secret(t.Context(), k.AccessKey); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("its secret: %v", err)
	}
	if err := keys.Delete(t.Context(), k.AccessKey); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("once more: %v", err)
	}
}

func TestAnotherMasterKeyIsRefused(t *testing.T) {
	_, h, ix := open(t)
	if _, err := access.Open(t.Context(), h, ix, bytes.Repeat([]byte{8}, access.MasterKeyBytes)); !errors.Is(err, access.ErrMasterKey) {
		t.Errorf("another key: %v", err)
	}
	var bad *objects.InvalidError
	if _, err := access.Open(t.Context(), h, ix, []byte("short")); !errors.As(err, &bad) {
		t.Errorf("a short key: %v", err)
	}
	if _, err := access.Open(t.Context(), h, ix, master); err != nil {
		t.Errorf("the same key: %v", err)
	}
}

func TestNoSecretLiesOpenInTheIndex(t *testing.T) {
	keys, _, ix := open(t)
	k, err := keys.Create(t.Context(), "a", access.Rights{All: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for item, err := range ix.Scan(t.Context(), nil, nil, index.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if bytes.Contains(item.Value, []byte(k.Secret)) {
			t.Errorf("%s holds the secret", item.Key)
		}
	}
	if seen < 2 {
		t.Errorf("only %d entries", seen)
	}
}

func TestTheRootKeyStays(t *testing.T) {
	keys, _, _ := open(t)
	if _, err := keys.Root(t.Context()); !errors.Is(err, access.ErrUnknownKey) {
		t.Fatalf("a new store's root: %v", err)
	}
	root := keys.NewRoot()
	if err := keys.EnsureRoot(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	kept, err := keys.Root(t.Context())
	if err != nil || kept.AccessKey != root.AccessKey || kept.Secret != root.Secret || !kept.Root {
		t.Fatalf("%+v, %v", kept, err)
	}
	if err := keys.Delete(t.Context(), root.AccessKey); !errors.Is(err, access.ErrRootStays) {
		t.Errorf("delete: %v", err)
	}
	if _, _, err := keys.Login(t.Context(), root.AccessKey, root.Secret+"x", 0); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("a wrong secret: %v", err)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	keys, _, _ := open(t)
	for _, name := range []string{"", strings.Repeat("é", access.NameCharsMax+1), "a\nb", "\xff"} {
		var bad *objects.InvalidError
		if _, err := keys.Create(t.Context(), name, access.Rights{}); !errors.As(err, &bad) || bad.Field != "name" {
			t.Errorf("%q: %v", name, err)
		}
	}
	if list, err := keys.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

func TestRightsAreKeptWithTheIdentity(t *testing.T) {
	keys, h, ix := open(t)
	limited := access.Rights{Policy: "a policy"}
	k, err := keys.Create(t.Context(), "reader", limited)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(about string, want access.Rights) {
		t.Helper()
		again, err := access.Open(t.Context(), h, ix, master)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*access.Keyring{keys, again} {
			if got, err := r.Identity(t.Context(), k.AccessKey); err != nil || got.Rights != want {
				t.Errorf("%s: %+v, %v; want %+v", about, got.Rights, err, want)
			}
		}
	}
	expect("as made", limited)
	for _, want := range []access.Rights{{All: true}, {}, {Policy: "another"}} {
		if _, err := keys.SetRights(t.Context(), k.AccessKey, want); err != nil {
			t.Fatal(err)
		}
		expect("as changed", want)
	}
	if secret, err := keys.Secret(t.Context(), k.AccessKey); err != nil || secret != k.Secret {
		t.Errorf("the secret changed with the rights: %v", err)
	}
	root := keys.NewRoot()
	if err := keys.EnsureRoot(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.SetRights(t.Context(), root.AccessKey, access.Rights{}); !errors.Is(err, access.ErrRoot) {
		t.Errorf("root loses its rights: %v", err)
	}
	if err := keys.Delete(t.Context(), k.AccessKey); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.SetRights(t.Context(), k.AccessKey, access.Rights{All: true}); !errors.Is(err, access.ErrUnknownKey) {
		t.Errorf("a deleted identity gets rights: %v", err)
	}
}

// Identities of releases that knew no rights have all of them, as they had.
func TestIdentitiesWithoutRightsKeepWhatTheyCould(t *testing.T) {
	keys, h, ix := open(t)
	k, err := keys.Create(t.Context(), "old", access.Rights{All: true})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("m/identity/" + k.AccessKey)
	item, err := ix.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	_, payload, err := objects.DecodeValue(item.Value)
	if err != nil || !bytes.Contains(payload, []byte(`{"format":1,"name":"old"`)) || bytes.Contains(payload, []byte("policy")) {
		t.Fatalf("not what releases before wrote: %s, %v", payload, err)
	}
	again, err := access.Open(t.Context(), h, ix, master)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Identity(t.Context(), k.AccessKey); err != nil || got.Rights != (access.Rights{All: true}) {
		t.Errorf("%+v, %v", got, err)
	}
}
