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
		opened  map[string]Key // unsealed, by access key
		changes uint64         // that were begun, or whose fate became known
		doubt   bool           // the fate of one never did: nothing is believed but the index
	}
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
	r.mu.opened = map[string]Key{}
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

// lookup reads an identity. What was read once is believed until this keyring, which
// alone changes identities, changes it.
func (r *Keyring) lookup(ctx context.Context, accessKey string) (Key, error) {
	if accessKey == "" || len(accessKey) > 128 {
		return Key{}, ErrUnknownKey
	}
	r.mu.Lock()
	known, ok := r.mu.opened[accessKey]
	before := r.mu.changes
	r.mu.Unlock()
	if ok {
		return known, nil
	}
	item, err := r.index.Get(ctx, []byte(identityPrefix+accessKey))
	if errors.Is(err, index.ErrNotFound) {
		return Key{}, ErrUnknownKey
	}
	if err != nil {
		return Key{}, fmt.Errorf("look up access key %s: %w", accessKey, err)
	}
	k, err := r.open(accessKey, item.Value)
	if err != nil {
		return Key{}, err
	}
	r.believe(accessKey, k, before)
	return k, nil
}

// believe keeps an identity that was read when so many changes had been made.
func (r *Keyring) believe(accessKey string, k Key, changes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.changes != changes || r.mu.doubt {
		return
	}
	if len(r.mu.opened) >= openedMax {
		clear(r.mu.opened)
	}
	r.mu.opened[accessKey] = k
}

// change commits a change of an identity. Before and after it nothing that was
// read earlier is believed.
func (r *Keyring) change(ctx context.Context, accessKey string, txn index.Txn) error {
	r.disbelieve(accessKey, nil)
	_, err := r.index.Commit(ctx, txn)
	r.disbelieve(accessKey, err)
	return err
}

func (r *Keyring) disbelieve(accessKey string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.changes++
	r.mu.doubt = r.mu.doubt || errors.Is(err, index.ErrUnknown)
	if r.mu.doubt {
		clear(r.mu.opened)
	}
	delete(r.mu.opened, accessKey)
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
