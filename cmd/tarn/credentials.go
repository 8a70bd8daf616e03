package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tarnlake/tarn/access"
)

// masterKey is what the store's secrets are sealed with.
type masterKey struct {
	key   []byte
	place string // its file, or the environment variable's name
	made  bool   // and not yet in its file, but in the draft
}

// draft is where a made key waits until the store has taken it: whoever is stopped in
// between finds it again, and a store that has another key leaves no wrong file behind.
func (m masterKey) draft() string { return m.place + ".new" }

const masterKeyVariable = "TARN_MASTER_KEY"

// readMasterKey takes the master key from TARN_MASTER_KEY (64 hex digits) or its file; where
// there is none it makes one, for access.Open to judge whether the store has another.
func readMasterKey(s settings) (masterKey, error) {
	if text := os.Getenv(masterKeyVariable); text != "" {
		key, err := hex.DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != access.MasterKeyBytes {
			return masterKey{}, &settingError{masterKeyVariable, fmt.Sprintf("needs %d hex digits", 2*access.MasterKeyBytes)}
		}
		return masterKey{key: key, place: masterKeyVariable}, nil
	}
	m := masterKey{place: s.MasterKeyFile}
	if m.place == "" {
		m.place = filepath.Join(s.Data, "master.key")
	}
	err := m.read(m.place)
	if errors.Is(err, fs.ErrNotExist) {
		m.made = true
		err = m.read(m.draft())
	}
	if errors.Is(err, fs.ErrNotExist) {
		m.key = make([]byte, access.MasterKeyBytes)
		_, _ = rand.Read(m.key) // never fails: crypto/rand aborts the program instead
		return m, writeSecret(m.draft(), hex.EncodeToString(m.key)+"\n")
	}
	if err != nil {
		return m, &settingError{"master-key-file", err.Error()}
	}
	return m, nil
}

func (m *masterKey) read(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	m.key, err = hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(m.key) != access.MasterKeyBytes {
		return fmt.Errorf("%s does not hold %d hex digits", name, 2*access.MasterKeyBytes)
	}
	return nil
}

// keep gives a made key its place once the store has taken it.
func (m masterKey) keep() error {
	if err := os.Rename(m.draft(), m.place); err != nil {
		return fmt.Errorf("keep the master key: %w", err)
	}
	return syncFolder(m.place)
}

// refused names what is wrong when the store did not open with the key.
func (m masterKey) refused(err error) error {
	if m.made && errors.Is(err, access.ErrMasterKey) {
		_ = os.Remove(m.draft())
		return fmt.Errorf("%s is not there, and this store has a master key already: put the file back, or name it with --master-key-file: %w", m.place, err)
	}
	return fmt.Errorf("open the keyring with the master key of %s: %w", m.place, err)
}

// writeSecret makes a file that only its owner reads, whole or not at all.
func writeSecret(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("make the folder of %s: %w", name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".secret-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(f.Name())
	if _, err = f.WriteString(text); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err == nil {
		err = syncFolder(name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// syncFolder makes a new name in a file's folder durable.
func syncFolder(name string) error {
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("sync the folder of %s: %w", name, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync the folder of %s: %w", name, err)
	}
	return nil
}

// credentialsFile holds the root key pair as lines NAME=value.
func credentialsFile(data string) string { return filepath.Join(data, "credentials") }

func readCredentials(name string) (accessKey, secret string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		switch name {
		case "TARN_ACCESS_KEY":
			accessKey = value
		case "TARN_SECRET_KEY":
			secret = value
		}
	}
	if accessKey == "" || secret == "" {
		return "", "", fmt.Errorf("%s: needs the lines TARN_ACCESS_KEY=… and TARN_SECRET_KEY=…", name)
	}
	return accessKey, secret, lines.Err()
}

// rootKey finds or makes the root identity: TARN_ACCESS_KEY and TARN_SECRET_KEY
// win, then what the store keeps; a new store gets new keys.
func rootKey(ctx context.Context, s settings, keys *access.Keyring) (root access.Key, made bool, err error) {
	root.AccessKey, root.Secret, root.Name = os.Getenv("TARN_ACCESS_KEY"), os.Getenv("TARN_SECRET_KEY"), "root"
	if (root.AccessKey == "") != (root.Secret == "") {
		return root, false, &settingError{"TARN_ACCESS_KEY", "needs TARN_SECRET_KEY too, and the other way round"}
	}
	if root.AccessKey != "" {
		if len(root.AccessKey) < 3 || len(root.Secret) < 8 {
			return root, false, &settingError{"TARN_SECRET_KEY", "needs at least 8 characters, and TARN_ACCESS_KEY at least 3"}
		}
		return root, false, keys.EnsureRoot(ctx, root)
	}
	root, err = keys.Root(ctx)
	if errors.Is(err, access.ErrUnknownKey) {
		root, made = keys.NewRoot(), true
		err = keys.EnsureRoot(ctx, root)
	}
	if err != nil {
		return root, made, err
	}
	name := credentialsFile(s.Data)
	if a, b, e := readCredentials(name); e == nil && a == root.AccessKey && b == root.Secret {
		return root, made, nil
	}
	return root, made, writeSecret(name, fmt.Sprintf("TARN_ACCESS_KEY=%s\nTARN_SECRET_KEY=%s\n", root.AccessKey, root.Secret))
}
