package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
)

// Errors on which doors branch.
var (
	ErrUnknownKey = errors.New("access: no such access key")
	ErrMasterKey  = errors.New("access: the master key is not the one that this store's secrets were sealed with")
	ErrToken      = errors.New("access: the token is malformed, or was not signed here")
	ErrExpired    = errors.New("access: the token has expired")
	ErrRootStays  = errors.New("access: the root key cannot be deleted")
	ErrRoot       = errors.New("access: the root key has all rights; they cannot be changed")

	// ErrDenied is in the chain of every refusal of somebody who is known.
	ErrDenied = errors.New("access denied")
)

// NameCharsMax bounds an identity's name.
const NameCharsMax = 64

// Identity is somebody with an access key.
type Identity struct {
	AccessKey string
	Name      string
	Created   time.Time
	Root      bool // may manage keys and drives
	Rights
}

// Rights are what an identity may do with data. The zero value is none.
type Rights struct {
	All    bool   // everything, where no bucket's policy denies it
	Policy string // else: what this text allows (package authority); empty: nothing
}

// Key is an identity with its secret, as shown once.
type Key struct {
	Identity
	Secret string
}

const (
	identityPrefix = "m/identity/"
	checkKey       = "m/access/check"
	checkText      = "tarn master key"
)

// sealedIdentity is the index value's payload: JSON, so that it can grow. Format 1 knew no
// rights: everybody had all of them. Format 2 is for identities that have not.
type sealedIdentity struct {
	Format  int       `json:"format"`
	Policy  string    `json:"policy,omitempty"` // since 2
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Root    bool      `json:"root,omitempty"`
	Secret  []byte    `json:"secret"` // sealed, bound to the access key
}

const (
	formatAll     = 1
	formatLimited = 2
)

func (s *sealedIdentity) rights() Rights { return Rights{All: s.Format == formatAll, Policy: s.Policy} }

// Create makes a new identity with a fresh key pair. The name needs 1 to
// NameCharsMax printable characters. Whether a policy makes sense is the caller's to check.
func (r *Keyring) Create(ctx context.Context, name string, rights Rights) (Key, error) {
	if err := checkName(name); err != nil {
		return Key{}, err
	}
	k := Key{Identity: Identity{AccessKey: r.newAccessKey(), Name: name, Created: r.now(), Rights: rights}, Secret: r.newSecret()}
	return k, r.put(ctx, k, index.KeyAbsent)
}

// SetRights gives an identity other rights, from now on. Root's stay.
func (r *Keyring) SetRights(ctx context.Context, accessKey string, rights Rights) (Identity, error) {
	k, err := r.lookup(ctx, accessKey)
	if err != nil {
		return Identity{}, err
	}
	if k.Root {
		return Identity{}, ErrRoot
	}
	k.Rights = rights
	return k.Identity, r.put(ctx, k, index.KeyExists) // of an identity that is deleted meanwhile nothing comes back
}

func checkName(name string) error {
	n := utf8.RuneCountInString(name)
	if n < 1 || n > NameCharsMax || !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return &objects.InvalidError{Field: "name", Reason: fmt.Sprintf("needs 1 to %d printable characters, has %d", NameCharsMax, n)}
	}
	return nil
}

// EnsureRoot makes k the root identity, in the place of any other root.
func (r *Keyring) EnsureRoot(ctx context.Context, k Key) error {
	k.Root, k.All = true, true
	present, err := r.lookup(ctx, k.AccessKey)
	if err == nil && present.Secret == k.Secret && present.Root {
		return nil
	}
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return err
	}
	if k.Created.IsZero() {
		k.Created = r.now()
	}
	return r.put(ctx, k, 0)
}

// NewRoot makes a fresh root key pair, not yet kept anywhere.
func (r *Keyring) NewRoot() Key {
	return Key{Identity: Identity{AccessKey: r.newAccessKey(), Name: "root", Created: r.now(), Root: true, Rights: Rights{All: true}}, Secret: r.newSecret()}
}

// Root returns the kept root key pair, or ErrUnknownKey in a store without one.
func (r *Keyring) Root(ctx context.Context) (Key, error) {
	for item, err := range r.index.Scan(ctx, []byte(identityPrefix), []byte(identityPrefix+"\xff"), index.ScanOptions{}) {
		if err != nil {
			return Key{}, fmt.Errorf("list identities: %w", err)
		}
		k, err := r.open(string(item.Key[len(identityPrefix):]), item.Value)
		if err != nil {
			return Key{}, err
		}
		if k.Root {
			return k, nil
		}
	}
	return Key{}, ErrUnknownKey
}

// List returns every identity in order of access key.
func (r *Keyring) List(ctx context.Context) ([]Identity, error) {
	var out []Identity
	for item, err := range r.index.Scan(ctx, []byte(identityPrefix), []byte(identityPrefix+"\xff"), index.ScanOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list identities: %w", err)
		}
		accessKey := string(item.Key[len(identityPrefix):])
		s, err := decodeIdentity(item.Value)
		if err != nil {
			return nil, fmt.Errorf("identity %s: %w", accessKey, err)
		}
		out = append(out, Identity{AccessKey: accessKey, Name: s.Name, Created: s.Created, Root: s.Root, Rights: s.rights()})
	}
	return out, nil
}

// Delete ends an identity and all of its tokens.
func (r *Keyring) Delete(ctx context.Context, accessKey string) error {
	e, err := r.lookup(ctx, accessKey)
	if err != nil {
		return err
	}
	if e.Root {
		return ErrRootStays
	}
	key := []byte(identityPrefix + accessKey)
	if err := r.change(ctx, accessKey, index.Txn{Mutations: []index.Mutation{{Kind: index.Delete, Key: key}}}); err != nil {
		return fmt.Errorf("delete identity %s: %w", accessKey, err)
	}
	return nil
}

// Identity looks an access key up, or ErrUnknownKey.
func (r *Keyring) Identity(ctx context.Context, accessKey string) (Identity, error) {
	e, err := r.lookup(ctx, accessKey)
	return e.Identity, err
}

// Secret returns the secret of an access key, or ErrUnknownKey.
func (r *Keyring) Secret(ctx context.Context, accessKey string) (string, error) {
	e, err := r.lookup(ctx, accessKey)
	return e.Secret, err
}

func (r *Keyring) put(ctx context.Context, k Key, demand index.ConditionKind) error {
	format := formatLimited
	if k.All {
		format = formatAll
	}
	payload, err := json.Marshal(sealedIdentity{
		Format: format, Policy: k.Policy, Name: k.Name, Created: k.Created, Root: k.Root,
		Secret: r.seal([]byte(k.Secret), k.AccessKey),
	})
	if err != nil {
		return fmt.Errorf("encode identity %s: %w", k.AccessKey, err)
	}
	key := []byte(identityPrefix + k.AccessKey)
	txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, payload)}}}
	if demand != 0 {
		txn.Conditions = []index.Condition{{Kind: demand, Key: key}}
	}
	if err := r.change(ctx, k.AccessKey, txn); err != nil {
		return fmt.Errorf("keep identity %s: %w", k.AccessKey, err)
	}
	return nil
}

func decodeIdentity(value []byte) (sealedIdentity, error) {
	var s sealedIdentity
	_, payload, err := objects.DecodeValue(value)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fmt.Errorf("decode identity: %w", err)
	}
	if s.Format != formatAll && s.Format != formatLimited {
		return s, fmt.Errorf("decode identity: format %d is not known to this version", s.Format)
	}
	return s, nil
}

func (r *Keyring) open(accessKey string, value []byte) (Key, error) {
	s, err := decodeIdentity(value)
	if err != nil {
		return Key{}, fmt.Errorf("identity %s: %w", accessKey, err)
	}
	secret, err := r.unseal(s.Secret, accessKey)
	if err != nil {
		return Key{}, err
	}
	return Key{Identity: Identity{AccessKey: accessKey, Name: s.Name, Created: s.Created, Root: s.Root, Rights: s.rights()}, Secret: string(secret)}, nil
}
