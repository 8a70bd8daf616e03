package access

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// MasterKeyBytes is the length of a store's master key.
const MasterKeyBytes = 32

// Keyring keeps a store's identities.
type Keyring struct {
	host  *host.Host
	index index.Index
	aead  cipher.AEAD
	sign  []byte // HMAC-SHA256 key of tokens

	mu struct { // never held across I/O
		sync.Mutex
		opened map[string]opened // by access key; checked against the index at each use
	}
}

// opened is an unsealed identity with the version of its index entry.
type opened struct {
	key     Key
	version uint64
}

// openedMax bounds the cache of unsealed identities.
const openedMax = 1024

// Open takes the store's index and its master key. A store whose secrets were sealed with
// another master key gives ErrMasterKey.
func Open(ctx context.Context, h *host.Host, ix index.Index, master []byte) (*Keyring, error) {
	if len(master) != MasterKeyBytes {
		return nil, &objects.InvalidError{Field: "master key", Reason: fmt.Sprintf("needs %d bytes, has %d", MasterKeyBytes, len(master))}
	}
	sealing, err := hkdf.Key(sha256.New, master, nil, "tarn secrets 1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the sealing key: %w", err)
	}
	signing, err := hkdf.Key(sha256.New, master, nil, "tarn tokens 1", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the token key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("open the cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("open the cipher: %w", err)
	}
	r := &Keyring{host: h, index: ix, aead: aead, sign: signing}
	r.mu.opened = map[string]opened{}
	return r, r.checkMaster(ctx)
}

// checkMaster compares the master key with a text sealed when the store was new.
func (r *Keyring) checkMaster(ctx context.Context) error {
	item, err := r.index.Get(ctx, []byte(checkKey))
	if errors.Is(err, index.ErrNotFound) {
		return r.keepCheck(ctx)
	}
	if err != nil {
		return fmt.Errorf("read the master key's check: %w", err)
	}
	_, payload, err := objects.DecodeValue(item.Value)
	if err != nil {
		return fmt.Errorf("read the master key's check: %w", err)
	}
	_, err = r.unseal(payload, checkKey)
	return err
}

func (r *Keyring) keepCheck(ctx context.Context) error {
	key := []byte(checkKey)
	_, err := r.index.Commit(ctx, index.Txn{
		Conditions: []index.Condition{{Kind: index.KeyAbsent, Key: key}},
		Mutations:  []index.Mutation{{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, r.seal([]byte(checkText), checkKey))}},
	})
	if err != nil && !errors.Is(err, index.ErrReadOnly) {
		return fmt.Errorf("keep the master key's check: %w", err)
	}
	return nil
}

// seal encrypts text, bound to where it is kept: nonce, then AES-256-GCM.
func (r *Keyring) seal(text []byte, place string) []byte {
	nonce := r.random(r.aead.NonceSize())
	return r.aead.Seal(nonce, nonce, text, []byte(place))
}

func (r *Keyring) unseal(sealed []byte, place string) ([]byte, error) {
	n := r.aead.NonceSize()
	if len(sealed) < n {
		return nil, ErrMasterKey
	}
	text, err := r.aead.Open(nil, sealed[:n], sealed[n:], []byte(place))
	if err != nil {
		return nil, ErrMasterKey
	}
	return text, nil
}

// lookup reads an identity; its secret is unsealed once a version.
func (r *Keyring) lookup(ctx context.Context, accessKey string) (opened, error) {
	if accessKey == "" || len(accessKey) > 128 {
		return opened{}, ErrUnknownKey
	}
	item, err := r.index.Get(ctx, []byte(identityPrefix+accessKey))
	if errors.Is(err, index.ErrNotFound) {
		return opened{}, ErrUnknownKey
	}
	if err != nil {
		return opened{}, fmt.Errorf("look up access key %s: %w", accessKey, err)
	}
	r.mu.Lock()
	known, ok := r.mu.opened[accessKey]
	r.mu.Unlock()
	if ok && known.version == item.Version {
		return known, nil
	}
	k, err := r.open(accessKey, item.Value)
	if err != nil {
		return opened{}, err
	}
	fresh := opened{key: k, version: item.Version}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mu.opened) >= openedMax {
		clear(r.mu.opened)
	}
	r.mu.opened[accessKey] = fresh
	return fresh, nil
}

func (r *Keyring) now() time.Time { return r.host.Clock.Now().UTC().Truncate(time.Millisecond) }

func (r *Keyring) newAccessKey() string {
	return "TARN" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(r.random(10))
}

func (r *Keyring) newSecret() string { return base64.RawURLEncoding.EncodeToString(r.random(30)) }

func (r *Keyring) random(n int) []byte {
	b := make([]byte, n, n+64)
	if _, err := io.ReadFull(r.host.Entropy, b); err != nil {
		panic("access: no entropy: " + err.Error()) // a key from bad entropy would be worse
	}
	return b
}
