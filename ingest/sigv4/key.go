package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

const cachedKeysMax = 1024

// SigningKey derives the key of one day, region and service from a secret.
func SigningKey(secret string, s Scope) [32]byte {
	k := mac([]byte("AWS4"+secret), s.Date)
	k = mac(k[:], s.Region)
	k = mac(k[:], s.Service)
	return mac(k[:], terminator)
}

func mac(key []byte, text string) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	h.Sum(sum[:0])
	return sum
}

// keyring remembers signing keys by scope. Only scopes whose signature held are
// kept, so that strangers cannot push the others out. A changed secret is seen,
// for every look-up brings the present one.
type keyring struct {
	mu struct {
		sync.RWMutex
		keys map[Scope]derived
	}
}

type derived struct{ secret, key [32]byte }

func (k *keyring) get(secret string, s Scope) [32]byte {
	k.mu.RLock()
	d, ok := k.mu.keys[s]
	k.mu.RUnlock()
	if ok {
		sum := sha256.Sum256([]byte(secret))
		if subtle.ConstantTimeCompare(sum[:], d.secret[:]) == 1 {
			return d.key
		}
	}
	return SigningKey(secret, s)
}

// keep remembers a key that has proved itself.
func (k *keyring) keep(secret string, s Scope, key [32]byte) {
	k.mu.RLock()
	d, ok := k.mu.keys[s]
	k.mu.RUnlock()
	if ok && d.key == key {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mu.keys == nil {
		k.mu.keys = make(map[Scope]derived)
	}
	for old := range k.mu.keys { // an arbitrary one makes room
		if len(k.mu.keys) < cachedKeysMax {
			break
		}
		delete(k.mu.keys, old)
	}
	k.mu.keys[s] = derived{sha256.Sum256([]byte(secret)), key}
}
