package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

func TestSecretsAreForTheirOwnerOnlyAndWhole(t *testing.T) {
	name := filepath.Join(t.TempDir(), "data", "credentials")
	for _, text := range []string{"TARN_ACCESS_KEY=one\nTARN_SECRET_KEY=long enough\n", "short\n"} {
		if err := writeSecret(name, text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	for path, want := range map[string]os.FileMode{name: 0o600, filepath.Dir(name): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
	// A folder in the file's place lets the last step fail: nothing stays behind.
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.MkdirAll(filepath.Join(taken, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(taken, "text"); err == nil || !strings.Contains(err.Error(), taken) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(taken)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUnreadableCredentialsAreNamed(t *testing.T) {
	dir := t.TempDir()
	for about, text := range map[string]string{"empty": "", "one line": "TARN_ACCESS_KEY=a\n", "noise": "\x00\xff\n=\n==\n", "no value": "TARN_ACCESS_KEY=a\nTARN_SECRET_KEY=\n"} {
		name := filepath.Join(dir, "credentials")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readCredentials(name); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "TARN_SECRET_KEY=") {
			t.Errorf("%s: %v", about, err)
		}
	}
	if _, _, err := readCredentials(filepath.Join(dir, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	c := &client{credentials: filepath.Join(dir, "nothing")}
	if _, _, err := c.keys(); statusOf(err) != statusUsage || !strings.Contains(err.Error(), c.credentials) {
		t.Errorf("%v", err)
	}
}

func TestClientKeysPreferFlagsThenEnvironmentThenFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "credentials")
	if err := writeSecret(name, "TARN_ACCESS_KEY=file\nTARN_SECRET_KEY=file=secret\n"); err != nil {
		t.Fatal(err)
	}
	check := func(c *client, access, secret string) {
		t.Helper()
		if a, s, err := c.keys(); a != access || s != secret || err != nil {
			t.Errorf("%q %q, %v, want %q %q", a, s, err, access, secret)
		}
	}
	check(&client{credentials: name}, "file", "file=secret")
	t.Setenv("TARN_ACCESS_KEY", "env")
	t.Setenv("TARN_SECRET_KEY", "env-secret")
	check(&client{credentials: name}, "env", "env-secret")
	check(&client{credentials: name, accessKey: "flag", secretKey: "flag-secret"}, "flag", "flag-secret")
	half := &client{credentials: name, accessKey: "flag"}
	if _, _, err := half.keys(); statusOf(err) != statusUsage {
		t.Errorf("half a pair: %v", err)
	}
}

func keyring(t *testing.T) *access.Keyring {
	t.Helper()
	keys, err := access.Open(t.Context(), hosttest.New(1), indextest.New(t), make([]byte, access.MasterKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestRootKeyComesFromTheEnvironmentThenTheStore(t *testing.T) {
	keys := keyring(t)
	s := settings{Data: t.TempDir()}
	first, made, err := rootKey(t.Context(), s, keys)
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	expectKept := func(about string, want access.Key) {
		t.Helper()
		if a, b, err := readCredentials(credentialsFile(s.Data)); a != want.AccessKey || b != want.Secret || err != nil {
			t.Errorf("%s: the file holds %q, %v", about, a, err)
		}
	}
	expectKept("new", first)
	again, made, err := rootKey(t.Context(), s, keys)
	if err != nil || made || again.AccessKey != first.AccessKey || again.Secret != first.Secret {
		t.Errorf("again: %v, made %v, %v", again, made, err)
	}
	if err := os.WriteFile(credentialsFile(s.Data), []byte("garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rootKey(t.Context(), s, keys); err != nil {
		t.Fatal(err)
	}
	expectKept("written anew", first)
	if info, err := os.Stat(credentialsFile(s.Data)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	t.Setenv("TARN_ACCESS_KEY", "operator")
	for secret, name := range map[string]string{"": "TARN_ACCESS_KEY", "short": "TARN_SECRET_KEY"} {
		t.Setenv("TARN_SECRET_KEY", secret)
		var setting *settingError
		if _, _, err := rootKey(t.Context(), s, keys); !errors.As(err, &setting) || setting.name != name {
			t.Errorf("secret %q: %v", secret, err)
		}
	}
	t.Setenv("TARN_SECRET_KEY", "chosen by hand")
	chosen, made, err := rootKey(t.Context(), s, keys)
	if err != nil || made || chosen.AccessKey != "operator" {
		t.Errorf("%v, made %v, %v", chosen, made, err)
	}
	if secret, err := keys.Secret(t.Context(), "operator"); err != nil || secret != "chosen by hand" {
		t.Errorf("%q, %v", secret, err)
	}
	expectKept("a secret of the operator's is not written down", first)
}

func TestMasterKeyIsReadOrRefused(t *testing.T) {
	good := strings.Repeat("0f", access.MasterKeyBytes)
	dir := t.TempDir()
	name := filepath.Join(dir, "other.key")
	s := settings{Data: dir, MasterKeyFile: name}
	for _, text := range []string{"", "0f", good + "00", strings.Repeat("zz", access.MasterKeyBytes)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var setting *settingError
		if _, err := readMasterKey(s); !errors.As(err, &setting) || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", text, err)
		}
		if text != "" {
			t.Setenv(masterKeyVariable, text)
			if _, err := readMasterKey(s); !errors.As(err, &setting) || setting.name != masterKeyVariable || strings.Contains(err.Error(), text) {
				t.Errorf("%q: %v", text, err)
			}
			t.Setenv(masterKeyVariable, "")
		}
	}
	if err := os.WriteFile(name, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := readMasterKey(s); err != nil || m.place != name || m.made || m.key[0] != 0x0f {
		t.Errorf("%v, %v", m.place, err)
	}
	t.Setenv(masterKeyVariable, strings.Repeat("aa", access.MasterKeyBytes))
	if m, err := readMasterKey(s); err != nil || m.place != masterKeyVariable || m.key[0] != 0xaa {
		t.Errorf("%v, %v", m.place, err)
	}
}

// TestMadeMasterKeySurvivesAStop: whoever stops between making the key and keeping it
// starts again with the same key.
func TestMadeMasterKeySurvivesAStop(t *testing.T) {
	s := settings{Data: t.TempDir()}
	first, err := readMasterKey(s)
	if err != nil || !first.made {
		t.Fatalf("made %v, %v", first.made, err)
	}
	again, err := readMasterKey(s)
	if err != nil || !again.made || !bytes.Equal(first.key, again.key) {
		t.Fatalf("another key after a stop: made %v, %v", again.made, err)
	}
	if err := again.keep(); err != nil {
		t.Fatal(err)
	}
	kept, err := readMasterKey(s)
	if err != nil || kept.made || !bytes.Equal(first.key, kept.key) {
		t.Errorf("kept: made %v, %v", kept.made, err)
	}
	if info, err := os.Stat(kept.place); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func smallStore(t *testing.T) settings {
	t.Helper()
	s, err := load(t, "", "--listen=127.0.0.1:0", "--data="+t.TempDir(), "--data-shards=2", "--parity-shards=1", "--extent-mib=8", "--log-level=error")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, s settings) error {
	t.Helper()
	master, err := readMasterKey(s)
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLake(t.Context(), host.Real(newLog(io.Discard, s.LogLevel)), io.Discard, s, master)
	if err == nil {
		l.close()
	}
	return err
}

func TestWrongMasterKeyIsRefusedClearly(t *testing.T) {
	s := smallStore(t)
	if err := open(t, s); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(s.Data, "master.key")
	right, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(name, strings.Repeat("00", access.MasterKeyBytes)); err != nil {
		t.Fatal(err)
	}
	if err := open(t, s); !errors.Is(err, access.ErrMasterKey) || !strings.Contains(err.Error(), name) {
		t.Errorf("another key: %v", err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(t, s); !errors.Is(err, access.ErrMasterKey) || !strings.Contains(err.Error(), name+" is not there") {
			t.Errorf("no key: %v", err)
		}
	}
	if left, _ := filepath.Glob(name + "*"); len(left) > 0 {
		t.Errorf("a refused key was left: %v", left)
	}
	t.Setenv(masterKeyVariable, string(right))
	if err := open(t, s); err != nil {
		t.Errorf("the right key from the environment: %v", err)
	}
	t.Setenv(masterKeyVariable, strings.Repeat("11", access.MasterKeyBytes))
	if err := open(t, s); !errors.Is(err, access.ErrMasterKey) || !strings.Contains(err.Error(), masterKeyVariable) {
		t.Errorf("a wrong key from the environment: %v", err)
	}
}
