package s3

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/tarnlake/tarn/objects"
)

// Continuation tokens are base64 of a version byte and the last key or prefix of
// the page: opaque to clients, and good for as long as they like.
const tokenVersion = 1

func encodeToken(after string) string {
	return base64.URLEncoding.EncodeToString(append([]byte{tokenVersion}, after...))
}

func decodeToken(token string) (string, error) {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) < 2 || b[0] != tokenVersion || len(b) > objects.KeyBytesMax+1 {
		return "", fmt.Errorf("not a token that this server gave")
	}
	return string(b[1:]), nil
}

// token reads a continuation token from the query; "" where there is none.
func (c *call) token(name string) (string, error) {
	value, given := c.query.Lookup(name)
	if !given {
		return "", nil
	}
	after, err := decodeToken(value)
	if err != nil {
		return "", invalidArgument(name, value, "the continuation token provided is incorrect")
	}
	return after, nil
}

// numberParam reads a whole number from the query. Above most it is cut to most.
func (c *call) numberParam(name string, otherwise, least, most int) (int, error) {
	value := c.query.Get(name)
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || int(n) < least {
		return 0, invalidArgument(name, value, fmt.Sprintf("must be a whole number from %d to 2147483647", least))
	}
	return min(int(n), most), nil
}

// urlEncoding reports whether the client wants keys encoded.
func (c *call) urlEncoding() (bool, error) {
	value, given := c.query.Lookup("encoding-type")
	if given && value != "url" {
		return false, invalidArgument("encoding-type", value, "must be url")
	}
	return given, nil
}
