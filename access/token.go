package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Bounds of a token's life.
const (
	TokenDefault = 12 * time.Hour
	TokenMax     = 7 * 24 * time.Hour
)

const (
	tokenPrefix   = "tarn1."
	tokenBytesMax = 1024
)

// claims is the signed part of a token: tarn1.<claims>.<HMAC-SHA256>, both in
// unpadded URL-safe base64.
type claims struct {
	AccessKey string `json:"k"`
	Expires   int64  `json:"e"` // Unix seconds
	Nonce     string `json:"n"`
}

// Login checks a key pair and returns a token for it. A wrong secret and an
// unknown key both give ErrUnknownKey.
func (r *Keyring) Login(ctx context.Context, accessKey, secret string, life time.Duration) (token string, expires time.Time, err error) {
	e, err := r.lookup(ctx, accessKey)
	if err != nil {
		return "", time.Time{}, err
	}
	if subtle.ConstantTimeCompare([]byte(e.Secret), []byte(secret)) != 1 {
		return "", time.Time{}, ErrUnknownKey
	}
	return r.Token(accessKey, life)
}

// Token signs a token for an access key; life 0 is TokenDefault, the most TokenMax.
func (r *Keyring) Token(accessKey string, life time.Duration) (token string, expires time.Time, err error) {
	if life <= 0 {
		life = TokenDefault
	}
	expires = r.now().Add(min(life, TokenMax)).Truncate(time.Second)
	body, err := json.Marshal(claims{AccessKey: accessKey, Expires: expires.Unix(), Nonce: base64.RawURLEncoding.EncodeToString(r.random(9))})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("encode token: %w", err)
	}
	text := tokenPrefix + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(r.mac(text)), expires, nil
}

// Verify tells whose token it is: ErrToken, ErrExpired, or ErrUnknownKey when its
// identity is gone.
func (r *Keyring) Verify(ctx context.Context, token string) (Identity, error) {
	dot := strings.LastIndexByte(token, '.')
	if len(token) > tokenBytesMax || !strings.HasPrefix(token, tokenPrefix) || dot < len(tokenPrefix) {
		return Identity{}, ErrToken
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(token[dot+1:])
	if err != nil || !hmac.Equal(mac, r.mac(token[:dot])) {
		return Identity{}, ErrToken
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(token[len(tokenPrefix):dot])
	if err != nil {
		return Identity{}, ErrToken
	}
	var c claims
	if err := json.Unmarshal(body, &c); err != nil {
		return Identity{}, ErrToken
	}
	if !r.now().Before(time.Unix(c.Expires, 0)) {
		return Identity{}, ErrExpired
	}
	return r.Identity(ctx, c.AccessKey)
}

func (r *Keyring) mac(text string) []byte {
	h := hmac.New(sha256.New, r.sign)
	h.Write([]byte(text))
	return h.Sum(nil)
}
